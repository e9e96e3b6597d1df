"""HTTP transport that writes HTTP/1.1 requests over the connections of aiohttp's connector.

It works one level below `aiohttp.ClientSession` and needs about half of its CPU time. It uses
parts of aiohttp that may change in any release: `missing_parts` checks for them.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from tmapi_async.api.replies import Reply

from .connections.page_connection import PageConnection
from .connections.read_memory import ReadMemory
from .connections.reply_reader import reads_replies
from .http import Connector, build_url, mark_not_sent, read_body
from .idle_limit import IdleLimit
from .sockets import MAX_READ

_MAX_STRAY_CONNECTIONS = 8
"""Connections given up for one request; a server that speaks first would spoil any number."""

_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)
"""Ends of a connection that brought no reply."""

KEEP_SECONDS = 15.0
"""Seconds for which an idle connection is kept, as aiohttp does by default."""

_SLACK = 0.01
"""Seconds by which a loop may wake us too early."""

_REQUIRED = {
    ("aiohttp.connector", "BaseConnector.connect"): ("req", "traces", "timeout"),
    ("aiohttp.connector", "BaseConnector.closed"): (),
    ("aiohttp.connector", "BaseConnector.force_close"): (),
    ("aiohttp.connector", "Connection.protocol"): (),
    ("aiohttp.connector", "Connection.transport"): (),
    ("aiohttp.connector", "Connection.release"): (),
    ("aiohttp.connector", "Connection.close"): (),
    ("aiohttp.client_proto", "ResponseHandler.connection_lost"): (),
    ("aiohttp.client_proto", "ResponseHandler.should_close"): (),
    ("aiohttp.client_reqrep", "ClientRequest.is_ssl"): (),
    ("aiohttp.client", "ClientSession.connector_owner"): (),
    ("aiohttp.http", "HttpResponseParser"): (),
}
"""Module and name -> parameters. `ClientRequest.headers` and `proxy` are documented."""


def missing_parts() -> tuple[str, ...]:
    """Return the names of the required parts that the installed aiohttp lacks."""
    missing = [
        name
        for (module, name), parameters in _REQUIRED.items()
        if not _has(module, name, parameters)
    ]
    if "HttpResponseParser" not in missing and not reads_replies():
        missing.append("HttpResponseParser")
    return tuple(missing)


def _has(module: str, name: str, parameters: tuple[str, ...]) -> bool:
    try:
        part = _part(module, name)
    except (ImportError, AttributeError):
        return False
    return not parameters or set(parameters) <= set(inspect.signature(part).parameters)


def _part(module: str, name: str) -> Any:
    part: Any = importlib.import_module(module)
    for attribute in name.split("."):
        part = getattr(part, attribute)
    return part


class ConnectionTransport:
    """Sends requests over the connections of aiohttp's connector, one level below its session.

    All that a session prepares (headers, proxy, TLS) is the same for each of our requests but for
    the target, so one request is prepared and the others reuse its head. aiohttp's connector makes
    the connections, and aiohttp's own parser reads the replies.

    A connection of our own connector is kept for the next request, until it was idle for
    `KEEP_SECONDS`. One of a caller's connector is taken from it for each request and given back
    after it: aiohttp then decides which connections may be used again, how many there may be and
    when an idle one is too old, and others can use the connector too.

    Args:
        client: Prepares the first request; closed with this transport.
        connector: Connector of `client`.
        prefix: Base URL, in parts.
        max_body: Longest body accepted, in bytes, decompressed.
        proxy: Proxy that every request goes through, or None.
    """

    def __init__(
        self,
        client: aiohttp.ClientSession,
        connector: Connector,
        prefix: SplitResult,
        max_body: int,
        proxy: URL | None = None,
    ) -> None:
        self._client = client
        self._connector = connector
        self._timeout = client.timeout
        self._prefix = prefix
        self._max_body = max_body
        self._proxy = proxy
        self._request: aiohttp.ClientRequest | None = None
        self.before_target = self.after_target = ""
        self._idle_limit = IdleLimit()
        self._keeps = client.connector_owner
        self._kept: list[PageConnection] = []  # the one used last is at the end
        self._timer: asyncio.TimerHandle | None = None
        self._memory = ReadMemory(MAX_READ)
        # Connections that a caller's connector may hand out again, by aiohttp's protocol.
        self._returned = WeakKeyDictionary[Any, PageConnection]()

    @property
    def connector_closed(self) -> bool:
        """True if the caller has closed the connector."""
        return self._connector.closed

    def drop_idle(self) -> None:
        """Use none of the idle connections again; the next request closes a caller's."""
        self._idle_limit.drop(time.monotonic())
        self._close_kept(self._kept)

    def distrust(self, reply: Reply) -> None:
        """Close the connection that brought a reply; the connector drops it."""
        if reply.connection is not None:
            reply.connection.close()

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        self._keeps = False
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._kept:
            connection.release()  # the connector closes it, and waits until it is closed
        self._kept.clear()
        await self._client.close()

    async def exchange(self, target: str) -> Reply:
        """Send one request, once, and read the whole reply.

        Args:
            target: Path and query below the base URL, ready to be sent.

        Raises:
            BodyTooLargeError: The body is longer than the limit.
            InvalidHttpError: The reply is not HTTP.
        """
        connection = self.take_kept()
        if connection is None:
            found = await self._connect(target)
            if isinstance(found, Reply):
                return found
            connection = found
            connection.idle = time.monotonic() - connection.ended_at
        try:
            reply = await connection.send(
                f"{self.before_target}{target}{self.after_target}".encode()
            )
        except BaseException as error:
            self.settle(connection, error)
            raise
        self.settle(connection, None)
        return reply

    def take_kept(self) -> PageConnection | None:
        """Take a connection that can carry a request at once, or None if there is none."""
        kept, limit, now = self._kept, self._idle_limit, time.monotonic()
        while kept:
            connection = kept.pop()
            connection.idle = idle = now - connection.ended_at
            if (
                idle < KEEP_SECONDS
                and (not limit.is_learned or limit.allows(idle, now))
                and connection.is_usable
            ):
                return connection
            connection.close()
        return None

    def put_back(self, connection: PageConnection) -> None:
        """Put back a connection that was taken and not used."""
        self._kept.append(connection)

    def settle(self, connection: PageConnection, error: BaseException | None) -> None:
        """End the use of a connection.

        Args:
            connection: The connection.
            error: Failure, or None after a whole reply.
        """
        if error is not None:
            if isinstance(error, _LOST):
                self._idle_limit.lost(connection.idle, time.monotonic())
            # A part of the reply may still be on its way.
            connection.close()
            return
        if connection.idle > self._idle_limit.longest_good:
            self._idle_limit.succeeded(connection.idle)
        connection.ended_at = time.monotonic()
        if self._keeps:
            self._kept.append(connection)
            if self._timer is None:
                self._set_timer(KEEP_SECONDS)
        elif (handler := connection.release()) is not None:
            self._returned[handler] = connection

    # -- connections that are kept

    def _allows(self, idle: float, now: float) -> bool:
        """Return True if no server is known to have hung up after so many seconds."""
        limit = self._idle_limit
        return not limit.is_learned or limit.allows(idle, now)

    def _close_kept(self, connections: Sequence[PageConnection]) -> None:
        for connection in connections:
            connection.close()
        del self._kept[: len(connections)]

    def _set_timer(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        """Close the connections that were idle for too long; the oldest come first."""
        self._timer, now = None, time.monotonic()
        ages = [now - connection.ended_at for connection in self._kept]
        self._close_kept(self._kept[: sum(age >= KEEP_SECONDS - _SLACK for age in ages)])
        if self._kept:
            self._set_timer(KEEP_SECONDS - now + self._kept[0].ended_at)

    # -- connections of the connector

    async def _connect(self, target: str) -> PageConnection | Reply:
        """Return a connection of the connector. A reply comes only where aiohttp is mocked."""
        if self._request is None and (mocked := await self._prepare(target)) is not None:
            return mocked
        try:
            connection = await self._take(self._request)
        except BaseException as error:
            mark_not_sent(error)
            raise
        if not self.after_target:
            # Not before there is a connection: connecting adds the headers that a proxy needs.
            self.before_target, self.after_target = self._head()
        return connection

    async def _take(self, request: aiohttp.ClientRequest | None) -> PageConnection:
        assert request is not None  # noqa: S101 - for mypy
        # The connector also hands out connections that received something while they were idle:
        # an unasked reply, which would be taken for the answer to this request, and each answer
        # after it for the answer to the next. Nothing was sent yet, so this is not an attempt.
        new_connections, timeout = 0, self._timeout
        while new_connections < _MAX_STRAY_CONNECTIONS:
            taken = await self._connector.connect(request, traces=[], timeout=timeout)
            handler, transport = taken.protocol, taken.transport
            if handler is None or transport is None:
                break
            if handler.should_close:
                new_connections += handler not in self._returned
                taken.close()
                continue
            connection = self._returned.get(handler)
            if connection is None:
                connection = PageConnection(taken, handler, transport, self._max_body, self._memory)
            else:
                connection.take(taken, handler, transport)
            now = time.monotonic()
            if self._allows(now - connection.ended_at, now) and connection.is_usable:
                return connection
            new_connections += connection.ended_at == math.inf
            connection.close()
        raise aiohttp.ServerDisconnectedError

    def _head(self) -> tuple[str, str]:
        """Return the text before and after the target in the head of every request."""
        request = self._request
        assert request is not None  # noqa: S101 - for mypy
        prefix, headers = self._prefix, request.headers.copy()
        if self._connector.force_close:
            headers["Connection"] = "close"
        lines = [f"{name}: {value}" for name, value in headers.items()]
        # A proxy that does not tunnel gets the whole URL (RFC 9112, 3.2.2).
        absolute = request.proxy is not None and not request.is_ssl()
        origin = f"{prefix.scheme}://{prefix.netloc}" if absolute else ""
        return f"GET {origin}{prefix.path}", "\r\n".join([" HTTP/1.1", *lines, "", ""])

    async def _prepare(self, target: str) -> Reply | None:
        """Let aiohttp prepare a request. Returns a reply only where aioresponses mocks aiohttp."""
        try:
            async with self._client.get(
                build_url(self._prefix, target), allow_redirects=False, middlewares=(_capture,)
            ) as response:
                body = await read_body(response.content, self._max_body, response.headers)
                return Reply(response.status, response.headers, body)
        except _PreparedRequest as prepared:
            # Not by the `proxy` of the call: aiohttp would send the headers of the session, and a
            # token among them, to the proxy.
            prepared.request.proxy = self._proxy
            self._request = prepared.request
            return None


class _PreparedRequest(Exception):  # noqa: N818 - not an error: it carries a request out of aiohttp
    def __init__(self, request: aiohttp.ClientRequest) -> None:
        super().__init__()
        self.request = request


async def _capture(
    request: aiohttp.ClientRequest, _: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware that hands out the request that aiohttp has prepared, and sends nothing."""
    raise _PreparedRequest(request)
