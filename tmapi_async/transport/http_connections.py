"""HTTP transport that writes HTTP/1.1 requests over the connections of aiohttp's connector.

It works one level below `aiohttp.ClientSession` and needs about half of its CPU time. It uses
parts of aiohttp that may change in any release: `missing_parts` checks for them.
"""

from __future__ import annotations

import importlib
import inspect
import select
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from tmapi_async.api.replies import Reply

from .http import (
    MAX_HEAD_LINE,
    Connector,
    InvalidHttpError,
    build_url,
    mark_not_sent,
    read_body,
)
from .idle_limit import IdleLimit

if TYPE_CHECKING:  # not at run time: a version of aiohttp without it must still import this module
    from aiohttp.connector import Connection

_MAX_STRAY_CONNECTIONS = 8
"""Connections given up for one request; a server that speaks first would spoil any number."""

_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)
"""Ends of a connection that brought no reply."""

_INTERIM = {*range(100, 200)} - {101}

_REQUIRED = {
    ("aiohttp.connector", "BaseConnector.connect"): ("req", "traces", "timeout"),
    ("aiohttp.connector", "BaseConnector.closed"): (),
    ("aiohttp.connector", "BaseConnector.force_close"): (),
    ("aiohttp.connector", "Connection.protocol"): (),
    ("aiohttp.connector", "Connection.transport"): (),
    ("aiohttp.connector", "Connection.release"): (),
    ("aiohttp.connector", "Connection.close"): (),
    ("aiohttp.client_proto", "ResponseHandler.set_response_params"): (
        "read_until_eof",
        "max_line_size",
        "max_field_size",
    ),
    ("aiohttp.client_proto", "ResponseHandler.read"): (),
    ("aiohttp.client_proto", "ResponseHandler.should_close"): (),
    ("aiohttp.client_reqrep", "ClientRequest.is_ssl"): (),
    ("aiohttp.http", "HttpProcessingError"): (),
}
"""Module and name -> parameters. `ClientRequest.headers` and `proxy` are documented."""


def missing_parts() -> tuple[str, ...]:
    """Return the names of the required parts that the installed aiohttp lacks."""
    return tuple(
        name
        for (module, name), parameters in _REQUIRED.items()
        if not _has(module, name, parameters)
    )


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
    the target, so one request is prepared and the others reuse its head. A connection is taken
    from the connector for each request and given back after it. So aiohttp still decides which
    connections may be used again, how many there may be and when an idle one is too old, and a
    connector of the caller's can be used by others too. aiohttp's own parser reads the reply.

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
        self._before_target = self._after_target = ""
        self._idle_limit = IdleLimit()
        self._uses = WeakKeyDictionary[Any, _Use]()  # by the protocol of the connection
        self._parser_error: type[Exception] = _part("aiohttp.http", "HttpProcessingError")

    @property
    def connector_closed(self) -> bool:
        """True if the caller has closed the connector."""
        return self._connector.closed

    def drop_idle(self) -> None:
        """Use none of the idle connections again; the next request closes them."""
        self._idle_limit.drop(time.monotonic())

    def distrust(self, reply: Reply) -> None:
        """Close the connection that brought a reply; the connector drops it."""
        connection = reply.connection
        if connection is not None and connection.transport is not None:
            connection.transport.close()

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        await self._client.close()

    async def exchange(self, target: str) -> Reply:
        """Send one request, once, and read the whole reply.

        Args:
            target: Path and query below the base URL, ready to be sent.

        Raises:
            BodyTooLargeError: The body is longer than the limit.
            InvalidHttpError: The reply is not HTTP.
        """
        if self._request is None:
            mocked = await self._prepare(target)
            if mocked is not None:
                return mocked
        assert self._request is not None  # noqa: S101 - for mypy
        try:
            connection, use, idle = await self._connect(self._request)
        except BaseException as error:
            mark_not_sent(error)
            raise
        try:
            reply = await self._send(connection, target)
        except _LOST:
            if idle is not None:
                self._idle_limit.lost(idle, time.monotonic())
            connection.close()
            raise
        except self._parser_error as error:
            connection.close()
            raise InvalidHttpError from error
        except BaseException:
            # A part of the reply may still be on its way.
            connection.close()
            raise
        if idle is not None and idle > self._idle_limit.longest_good:
            self._idle_limit.succeeded(idle)
        use.ended_at = time.monotonic()
        # The connector closes the connection if the server said that it would.
        connection.release()
        return reply

    async def _connect(
        self, request: aiohttp.ClientRequest
    ) -> tuple[Connection, _Use, float | None]:
        """Return a connection, its use, and for how many seconds it was idle; None if it is new."""
        # The connector also hands out connections that received something while they were idle:
        # an unasked reply, which would be taken for the answer to this request, and each answer
        # after it for the answer to the next. Nothing was sent yet, so this is not an attempt.
        new_connections, timeout = 0, self._timeout
        while new_connections < _MAX_STRAY_CONNECTIONS:
            connection = await self._connector.connect(request, traces=[], timeout=timeout)
            protocol, now = connection.protocol, time.monotonic()
            if protocol is None:
                break
            use = self._uses.get(protocol)
            if use is None:
                use = self._uses[protocol] = _Use(connection)
            idle = None if use.ended_at is None else now - use.ended_at
            limit = self._idle_limit
            is_young = idle is None or not limit.is_learned or limit.allows(idle, now)
            if is_young and not protocol.should_close and not use.unread(0):
                return connection, use, idle
            new_connections += idle is None
            connection.close()
        raise aiohttp.ServerDisconnectedError

    async def _send(self, connection: Connection, target: str) -> Reply:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        # Makes a parser for this reply.
        protocol.set_response_params(
            read_until_eof=True, max_line_size=MAX_HEAD_LINE, max_field_size=MAX_HEAD_LINE
        )
        if not self._after_target:
            # Not before there is a connection: connecting adds the headers that a proxy needs.
            self._before_target, self._after_target = self._head()
        transport.write(f"{self._before_target}{target}{self._after_target}".encode())
        message, content = await protocol.read()
        while message.code in _INTERIM:
            message, content = await protocol.read()
        headers = message.headers
        body = await read_body(content, self._max_body, headers)
        return Reply(message.code, headers, body, protocol)

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


class _Use:
    """Use of one connection by this transport.

    Attributes:
        ended_at: Time of the end of the last exchange, on the monotonic clock; None if there was
            none.
        unread: Function that returns something true if bytes or the end of the connection wait,
            unread by the loop; its argument is the time to wait for them, 0 milliseconds.
    """

    __slots__ = ("ended_at", "unread")

    def __init__(self, connection: Connection) -> None:
        self.ended_at: float | None = None
        transport = connection.transport
        sock = None if transport is None else transport.get_extra_info("socket")
        self.unread: Callable[[int], object] = _nothing_unread
        # Over TLS, session tickets of the server may wait in the socket: they are no reply. Windows
        # has no poll.
        is_tls = transport is None or transport.get_extra_info("sslcontext") is not None
        if sys.platform != "win32" and sock is not None and not is_tls:
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLIN)
            self.unread = poll.poll


def _nothing_unread(_: int) -> object:
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
