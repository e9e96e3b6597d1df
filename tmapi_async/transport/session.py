"""The wire: sends one request, reads its reply. The only module of the client that imports aiohttp.

aiohttp's own session sends an idempotent request a second time, unasked, when a connection drops.
Here it prepares requests and does not send them (`_Wire`), so that what `Fetcher` counts as one
attempt goes out exactly once.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, quote, urlsplit

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from yarl import URL

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest, endpoint_of
from tmapi_async.api.replies import Reply
from tmapi_async.limits.gate import Gate

from .credentials import check_base_url, check_token, warn_if_exposed
from .deadlines import Deadlines
from .fetcher import Fetcher
from .observers import Observer
from .redaction import Redactor
from .retry import RetryPolicy
from .sockets import make_socket

Auth: TypeAlias = Literal["query", "header"]
Connector: TypeAlias = aiohttp.BaseConnector


class Session(Fetcher):
    """Asks for pages: every attempt behind the gate, failures retried by policy.

    Args:
        token: The account's token.
        gate: What every attempt passes.
        base_url: Scheme, host and optional path prefix.
        auth: Send the token as query field `apiToken` or as header `apikey`.
        timeout: Seconds from when the gate is passed until the body is read.
        max_body: Longest body accepted, in bytes, decompressed.
        policy: How often and how long to try.
        connector: A connector of the caller's, who closes it.
        trust_env: Take proxies from the environment.
        observer: Told of every attempt and page, or None.
    """

    def __init__(
        self,
        token: str,
        *,
        gate: Gate,
        base_url: str,
        auth: Auth,
        timeout: float,
        max_body: int,
        policy: RetryPolicy,
        connector: Connector | None = None,
        trust_env: bool = False,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(gate, policy, Redactor(check_token(token)), observer)
        self.host = check_base_url(base_url)
        self._prefix = _in_ascii(base_url.rstrip("/"))
        self._suffix = f"&apiToken={quote(token, safe='')}" if auth == "query" else ""
        self._headers = {"apikey": token} if auth == "header" else {}
        self._timeout = timeout
        self._max_body = max_body
        self._connector = connector
        self._trust_env = trust_env
        self._wire: _Wire | None = None
        self._deadlines: Deadlines | None = None

    async def open(self) -> None:
        """Open the connection pool. Sends nothing."""
        warn_if_exposed(self._prefix.geturl())
        self._deadlines = Deadlines(self._timeout, asyncio.get_running_loop())
        connector = self._connector
        # The gate is what limits; a second limit below it would be counted as latency.
        chosen = connector or aiohttp.TCPConnector(limit=0, socket_factory=make_socket)
        http = aiohttp.ClientSession(
            connector=chosen,
            connector_owner=connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "tmapi-async", "Accept": "application/json", **self._headers},
            timeout=_UNTIMED,
            middlewares=(_give_back,),
            trust_env=self._trust_env,
        )
        self._wire = _Wire(http, chosen, self._prefix, self._max_body)

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._wire is not None

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        self.gate.close()
        # First, so that no attempt finds a session that is being closed.
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()
        if self._deadlines is not None:
            self._deadlines.close()

    async def _exchange(self, request: PageRequest) -> Reply | errors.TransportError:
        """Send one request and read the whole reply. Returns failures instead of raising them."""
        if self._wire is None or self._deadlines is None:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if self._wire.cut_off:
            raise errors.ClosedError(
                "the connector was closed while the client used it: close it after the client"
            )
        try:
            with self._deadlines.begin():
                return await self._wire.exchange(self._target(request))
        except _EXPECTED as error:
            return self._transport_error(error)

    def _target(self, request: PageRequest) -> str:
        """What is asked for: path and query, below the base URL, ready for the wire."""
        listing = request.listing
        endpoint = endpoint_of(listing)
        page = f"&page={request.number}" if endpoint.paged else ""
        return f"{endpoint.path}?{f'{listing.query}{page}{self._suffix}'.lstrip('&')}"

    def _transport_error(self, error: Exception) -> errors.TransportError:
        # Never str(error): aiohttp puts the URL, and so the token, into many of its messages.
        name = type(error).__name__
        if isinstance(error, _TooLargeError):
            return errors.ReplyTooLargeError(f"more than {self._max_body} bytes")
        if isinstance(error, TimeoutError):
            return errors.DeadlineError(f"{self._timeout:g} s")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", "") or name
            return errors.CertificateError(f"{self.host}: {reason}")
        return errors.ConnectionFailedError(_failed(error, self.host))


def _in_ascii(base_url: str) -> SplitResult:
    # A request line carries nothing else; the head is not written by aiohttp, which would quote.
    try:
        return urlsplit(str(URL(base_url)))
    except ValueError:
        raise errors.InvalidRequestError(
            "the base URL has a bad host or port; a base URL looks like https://api.tmapi.top"
        ) from None


def _failed(error: Exception, host: str) -> str:
    # A proxy may be at fault, and then it is not the API's host that must be looked at.
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy {error.host}:{error.port}: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"{host}: the proxy answered HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{host}: {_reason(error.os_error)}"
    return f"{host}: {type(error).__name__}"


def _reason(error: OSError) -> str:
    # asyncio writes texts of its own with addresses in them; name look-ups have negative numbers.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


class _TooLargeError(Exception):
    pass


class _Prepared(Exception):  # noqa: N818 - no error: it carries a request out of aiohttp's session
    def __init__(self, request: aiohttp.ClientRequest) -> None:
        super().__init__()
        self.request = request


_MOST_STRAYS = 8
"""Connections given up for one request; a server that speaks first would spoil any number."""
_INTERIM = {*range(100, 200)} - {101}
# Our own deadline runs from when the gate is passed until the body is read.
_UNTIMED = aiohttp.ClientTimeout(total=None, sock_connect=None)
_EXPECTED = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    ValueError,
    EOFError,
    zlib.error,
    _TooLargeError,
)


async def _give_back(
    request: aiohttp.ClientRequest, _: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A middleware that hands out what aiohttp has prepared, and sends nothing."""
    raise _Prepared(request)


class _Wire:
    """Sends requests over the connections of aiohttp's connector, one level below its session.

    All that a session prepares (headers, proxy, TLS) is the same for each of our requests but for
    the target, so it prepares one and no more. A connection is taken from the connector for each
    request and given back after it: which may be used again, how many there may be and when an
    idle one is too old remains aiohttp's business, and a connector of the caller's is not hogged.
    The reply is read by aiohttp's own parser.

    Args:
        http: Prepares; closed with this.
        connector: Where connections come from.
        prefix: The base URL, in parts.
        max_body: Longest body accepted, in bytes, decompressed.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        connector: Connector,
        prefix: SplitResult,
        max_body: int,
    ) -> None:
        self._http = http
        self._connector = connector
        self._prefix = prefix
        self._max_body = max_body
        self._request: aiohttp.ClientRequest | None = None
        self._before = self._after = ""

    @property
    def cut_off(self) -> bool:
        """Whether the caller has closed the connector."""
        return self._connector.closed

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def exchange(self, target: str) -> Reply:
        """Put one request on the wire, once, and read the whole reply.

        Args:
            target: Path and query below the base URL.
        """
        if self._request is None:
            mocked = await self._prepare(target)
            if mocked is not None:
                return mocked
        assert self._request is not None  # noqa: S101 - for mypy
        connection = await self._connect(self._request)
        try:
            reply = await self._over(connection, target)
        except BaseException:
            # Something of the reply may still be on its way.
            connection.close()
            raise
        # Closes it in truth if the server said that it would.
        connection.release()
        return reply

    async def _connect(self, request: aiohttp.ClientRequest) -> Connection:
        # The connector hands out again what has received something while it was idle: a reply
        # that nobody asked for, which would be taken for the answer to this request, and each
        # answer after it for the answer to the next. Nothing was sent, so this is no attempt.
        for _ in range(_MOST_STRAYS):
            connection = await self._connector.connect(request, traces=[], timeout=_UNTIMED)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ServerDisconnectedError

    async def _over(self, connection: Connection, target: str) -> Reply:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        # A parser for this reply.
        protocol.set_response_params(read_until_eof=True)
        if not self._after:
            # Not before there is a connection: that adds what a proxy asks for.
            self._before, self._after = self._surroundings()
        transport.write(f"{self._before}{target}{self._after}".encode())
        message, content = await protocol.read()
        while message.code in _INTERIM:
            message, content = await protocol.read()
        return Reply(message.code, message.headers, await _read_body(content, self._max_body))

    def _surroundings(self) -> tuple[str, str]:
        """What goes before and after the target in the head of every request."""
        request = self._request
        assert request is not None  # noqa: S101 - for mypy
        prefix, headers = self._prefix, request.headers.copy()
        if self._connector.force_close:
            headers["Connection"] = "close"
        lines = [f"{name}: {value}" for name, value in headers.items()]
        # A proxy that does not tunnel is told the whole URL (RFC 9112, 3.2.2).
        told_all = request.proxy is not None and not request.is_ssl()
        origin = f"{prefix.scheme}://{prefix.netloc}" if told_all else ""
        return f"GET {origin}{prefix.path}", "\r\n".join([" HTTP/1.1", *lines, "", ""])

    async def _prepare(self, target: str) -> Reply | None:
        """Let aiohttp prepare a request. A reply comes only where it is mocked (aioresponses)."""
        prefix = self._prefix
        url = URL.build(
            scheme=prefix.scheme,
            authority=prefix.netloc,
            path=prefix.path + target.partition("?")[0],
            query_string=target.partition("?")[2],
            encoded=True,
        )
        try:
            async with self._http.get(url, allow_redirects=False) as response:
                body = await _read_body(response.content, self._max_body)
                return Reply(response.status, response.headers, body)
        except _Prepared as prepared:
            self._request = prepared.request
            return None


async def _read_body(content: aiohttp.StreamReader, limit: int) -> bytes:
    """Read the body, decompressed, and break off as soon as it is longer than the limit."""
    first = await content.readany()
    if content.at_eof() and len(first) <= limit:
        return first
    chunks, size = [first], len(first)
    while size <= limit:
        chunk = await content.readany()
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
    raise _TooLargeError
