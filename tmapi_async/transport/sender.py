"""Sends one page request, once: builds its target, keeps its deadline, names its failure."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import ssl
import zlib
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, quote, urlsplit

import aiohttp
from yarl import URL

from tmapi_async import errors
from tmapi_async.api.listings import Listing, PageRequest, endpoint_of
from tmapi_async.api.replies import Reply

from .attempts.direct_exchange import DirectExchange
from .credentials import check_base_url, check_token, warn_if_exposed
from .deadlines import Deadlines
from .frames import clear_locals
from .http import (
    MAX_HEAD_LINE,
    BodyTooLargeError,
    Connector,
    HttpTransport,
    InvalidHttpError,
    RepeatedRequest,
    TransportFactory,
    connect_seconds,
    connect_timeout,
    mark_not_sent,
    was_not_sent,
)
from .http_client_session import ClientSessionTransport
from .http_connections import ConnectionTransport, missing_parts
from .proxies import environment_proxy
from .sockets import make_socket

Auth: TypeAlias = Literal["query", "header"]

log = logging.getLogger("tmapi_async")

_HEADERS = {
    "User-Agent": "tmapi-async",
    "Accept": "application/json",
    # A page of a ranking is asked for because of what it shows now, and an error is asked for again
    # because it may have passed: neither must come from a cache.
    "Cache-Control": "no-cache",
}

_TRANSPORT_FAILURES = (
    aiohttp.ClientError,
    OSError,
    ValueError,
    EOFError,
    zlib.error,
    BodyTooLargeError,
)


_LOCAL_LIMITS = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)
)

_NO_NETWORK = frozenset((errno.ENETDOWN, errno.ENETUNREACH))


@functools.lru_cache(maxsize=1024)  # called with every page
def _target_start(listing: Listing) -> tuple[str, bool]:
    """Return the path with the listing's parameters, and True if a page number follows."""
    endpoint = endpoint_of(listing)
    separator = "&" if listing.query else ""
    return f"{endpoint.path}?{listing.query}{separator}", endpoint.paged


class PageSender:
    """Sends page requests, each of them once.

    Args:
        token: Token of the account.
        base_url: Scheme, host and optional path prefix.
        auth: Send the token as query field `apiToken` or as header `apikey`.
        timeout: Seconds from when the gate is passed until the body is read.
        max_body: Longest body accepted, in bytes, decompressed.
        connector: Connector of the caller, who closes it; or None.
        trust_env: Take proxies from the environment. `~/.netrc` is never read.
        transport: Makes the HTTP transport; None takes the fastest that works with the installed
            version of aiohttp.

    Attributes:
        host: Host and port, for messages.
        transport: Connections; None while the sender is not open.

    Raises:
        InvalidRequestError: Token or base URL cannot be used.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        auth: Auth,
        timeout: float,
        max_body: int,
        connector: Connector | None = None,
        trust_env: bool = False,
        transport: TransportFactory | None = None,
    ) -> None:
        check_token(token)
        self.host = check_base_url(base_url)
        self._prefix = _in_ascii(base_url.rstrip("/"))
        self._suffix = f"&apiToken={quote(token, safe='')}" if auth == "query" else ""
        self._headers = {"apikey": token} if auth == "header" else {}
        self._timeout = timeout
        self._connect_seconds = connect_seconds(timeout)
        self._max_body = max_body
        self._connector = connector
        self._trust_env = trust_env
        self._factory = transport
        self.transport: HttpTransport | None = None
        self._deadlines: Deadlines | None = None

    @property
    def is_open(self) -> bool:
        """True if requests can be sent."""
        return self.transport is not None

    async def open(self) -> None:
        """Open the connection pool. Sends nothing."""
        warn_if_exposed(self._prefix.geturl())
        proxy = environment_proxy(self._prefix) if self._trust_env else None
        factory = self._factory or choose_transport()
        self._deadlines = Deadlines(self._timeout, asyncio.get_running_loop())
        # The gate limits the number of connections. A second limit below it would be measured as
        # latency.
        connector = self._connector or aiohttp.TCPConnector(limit=0, socket_factory=make_socket)
        client = aiohttp.ClientSession(
            connector=connector,
            connector_owner=self._connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**_HEADERS, **self._headers},
            timeout=connect_timeout(self._connect_seconds, own_pool=self._connector is None),
            max_line_size=MAX_HEAD_LINE,
            max_field_size=MAX_HEAD_LINE,
            # The key of a request depends on its proxy, which is set after the request is made.
            request_class=RepeatedRequest if proxy is None else aiohttp.ClientRequest,
        )
        self.transport = factory(client, connector, self._prefix, self._max_body, proxy)

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        # First, so that no attempt uses a transport that is being closed.
        transport, self.transport = self.transport, None
        if transport is not None:
            await transport.close()
        if self._deadlines is not None:
            self._deadlines.close()

    async def send(
        self, request: PageRequest, seconds: float | None = None
    ) -> Reply | errors.TransportError:
        """Send one request, once, and read the whole reply.

        Args:
            request: The listing and the page number.
            seconds: Time limit; None takes the sender's own.

        Returns:
            The reply, or the failure: failures are returned, not raised.

        Raises:
            ClosedError: The sender or the caller's connector is closed.
        """
        if self.transport is None or self._deadlines is None:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if self._connector is not None and self.transport.connector_closed:
            raise _connector_closed()
        deadlines = self._deadlines if seconds is None else self._deadlines.others(seconds)
        try:
            with deadlines.begin():
                return await self.transport.exchange(self._target(request))
        except _TRANSPORT_FAILURES as error:
            return self._transport_error(error, deadlines.seconds)
        except BaseException as error:
            clear_locals(error)
            if isinstance(error, asyncio.CancelledError) and self._was_closed():
                raise _connector_closed() from None
            raise

    # -- exchanges without a task

    def send_at_once(self, exchange: DirectExchange) -> None:
        """Send the request of an exchange over its connection, once."""
        assert self._deadlines is not None  # noqa: S101 - a connection was taken
        seconds, request = exchange.state.options.timeout, exchange.request
        deadlines = self._deadlines if seconds is None else self._deadlines.others(seconds)
        deadlines.add(exchange)
        exchange.deadlines = deadlines
        transport = exchange.transport
        head = f"{transport.before_target}{self._target(request)}{transport.after_target}"
        exchange.connection.start(head.encode(), exchange.arrive)

    def failure(self, exchange: DirectExchange) -> errors.TransportError:
        """Return the failure that has ended an exchange; see `send`."""
        end, deadlines = exchange.end, exchange.deadlines
        assert isinstance(end, Exception) and deadlines is not None  # noqa: PT018, S101 - it failed
        if isinstance(end, _TRANSPORT_FAILURES):
            return self._transport_error(end, deadlines.seconds)
        clear_locals(end)
        raise end

    # -- connections and failures

    def _was_closed(self) -> bool:
        """Return True if nobody cancelled the task: a closed connector cancels who waits for it."""
        task = asyncio.current_task()
        is_closed = self._connector is not None and self._connector.closed
        return is_closed and task is not None and not task.cancelling()

    def drop_idle(self) -> None:
        """Use none of the idle connections again."""
        if self.transport is not None:
            self.transport.drop_idle()

    def distrust(self, reply: Reply) -> None:
        """Use the connection that brought a reply no longer."""
        if self.transport is not None:
            self.transport.distrust(reply)

    async def probe(self, request: PageRequest, seconds: float) -> Reply | errors.TransportError:
        """Send one request, as `send` does, within a shorter time limit."""
        try:
            async with asyncio.timeout(seconds):
                return await self.send(request)
        except TimeoutError as error:
            return self._transport_error(error, min(seconds, self._timeout))

    def _target(self, request: PageRequest) -> str:
        """Return path and query below the base URL, ready to be sent."""
        start, is_paged = _target_start(request.listing)
        if is_paged:
            return f"{start}page={request.number}{self._suffix}"
        return f"{start}{self._suffix.lstrip('&')}".rstrip("&")

    def _transport_error(self, error: Exception, seconds: float) -> errors.TransportError:
        # Never str(error): aiohttp puts the URL, and so the token, into many of its messages.
        name = type(error).__name__
        if isinstance(error, BodyTooLargeError):
            return errors.ReplyTooLargeError(f"more than {self._max_body} bytes")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", "") or name
            return errors.CertificateError(f"{self.host}: {reason}")
        if was_not_sent(error):
            return self._unsent_error(error, min(seconds, self._connect_seconds))
        if isinstance(error, TimeoutError):
            return errors.DeadlineError(f"{seconds:g} s")
        return errors.ConnectionFailedError(_describe(error, self.host))

    def _unsent_error(self, error: Exception, seconds: float) -> errors.UnreachableError:
        if isinstance(error, TimeoutError):
            return errors.UnreachableError(f"{self.host}: no connection within {seconds:g} s")
        text = _describe(error, self.host)
        if isinstance(error, OSError) and error.errno in _LOCAL_LIMITS:
            return errors.LocalLimitError(text)
        if isinstance(error, OSError) and error.errno in _NO_NETWORK:
            text = f"{text}: this machine has no network"
        return errors.UnreachableError(text)


def _connector_closed() -> errors.ClosedError:
    error = errors.ClosedError(
        "the connector was closed while the client used it: close it after the client"
    )
    mark_not_sent(error)
    return error


def choose_transport() -> TransportFactory:
    """Return the fastest transport that works with the installed version of aiohttp."""
    missing = missing_parts()
    if not missing:
        return ConnectionTransport
    _warn_once(missing)
    return ClientSessionTransport


@functools.cache
def _warn_once(missing: tuple[str, ...]) -> None:
    log.warning(
        "aiohttp %s lacks %s: requests go through aiohttp.ClientSession, which needs more CPU "
        "time. Install the version of aiohttp that tmapi-async asks for to be faster",
        aiohttp.__version__,
        ", ".join(missing),
    )


def _in_ascii(base_url: str) -> SplitResult:
    # A request line holds ASCII only, and `ConnectionTransport` does not quote, as aiohttp does.
    try:
        return urlsplit(str(URL(base_url)))
    except ValueError:
        raise errors.InvalidRequestError(
            "the base URL has a bad host or port; a base URL looks like https://api.tmapi.top"
        ) from None


def _describe(error: Exception, host: str) -> str:
    # If a proxy is at fault, the user must check the proxy and not the API's host.
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy {error.host}:{error.port}: {_reason(error.os_error)}"
    return f"{host}: {_fault(error)}"


def _fault(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _reason(error.os_error)
    if isinstance(error, InvalidHttpError | aiohttp.ClientResponseError):
        return _describe_invalid_http(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed before a reply came"
    return _reason(error) if isinstance(error, OSError) else type(error).__name__


def _describe_invalid_http(error: Exception) -> str:
    # The parser's text holds what the server sent, so it is read and not shown.
    cause = error.__cause__ if isinstance(error, InvalidHttpError) else error
    text = str(getattr(cause, "message", ""))
    if "Got more than" in text or "Too many headers" in text:
        return (
            f"the header of the reply is too big: a field has more than {MAX_HEAD_LINE:,} bytes, "
            "or there are too many fields"
        )
    if _TLS_ALERT in text:
        return "the server answers in TLS: use https:// in the base URL"
    return "the reply is not valid HTTP"


_TLS_ALERT = r"b'\x15\x03"
"""Text of the HTTP parser about the first bytes of a server that expected TLS."""

_PLAIN_TEXT = frozenset(
    (
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNKNOWN_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    )
)
"""Reasons that OpenSSL gives if the first bytes of the other side are not TLS."""


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):  # its number is of OpenSSL, not of the system
        reason = getattr(error, "reason", None)
        if reason in _PLAIN_TEXT:
            return (
                "the port does not speak TLS: check the port of the base URL, or use http:// if "
                "the server has no TLS"
            )
        return f"TLS failed: {(reason or type(error).__name__).replace('_', ' ').lower()}"
    # asyncio writes its own texts, with addresses in them. Failed name look-ups have negative
    # numbers.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__
