"""Interface of an HTTP transport, and the parts that both implementations share.

`ConnectionTransport` is the fast one and the default. `ClientSessionTransport` uses the public
interface of aiohttp only; it takes over when a version of aiohttp lacks the parts that the fast
one needs. Both send a request exactly once: the fetcher counts attempts, and each is billed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import SplitResult

import aiohttp
from yarl import URL

from tmapi_async.api.replies import Reply

Connector: TypeAlias = aiohttp.BaseConnector

CONNECT_SECONDS = 10.0
"""Most seconds until a connection is made: four packets that ask for one were lost by then."""

_NOT_SENT = "no connection was made: nothing was sent"
_UNCONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)


def connect_seconds(timeout: float) -> float:
    """Return the time limit for connecting, in seconds.

    The deadline of the session runs from when the gate is passed until the body is read. An attempt
    that fails to connect must end before it, to be told from one that the server leaves unanswered.

    Args:
        timeout: Seconds for a whole attempt.
    """
    return min(CONNECT_SECONDS, 0.9 * timeout)


def connect_timeout(seconds: float, *, own_pool: bool) -> aiohttp.ClientTimeout:
    """Return the time limits of aiohttp: for connecting alone.

    Args:
        seconds: Time limit for connecting.
        own_pool: True if no attempt waits for a connection that somebody else uses.
    """
    if own_pool:
        return aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=None)
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


def mark_not_sent(error: BaseException) -> None:
    """Note in an exception that it came before anything was sent."""
    error.add_note(_NOT_SENT)


def was_not_sent(error: BaseException) -> bool:
    """Return True if an attempt that raised this exception had sent nothing."""
    cause = error.__cause__  # of a deadline: the cancellation
    return isinstance(error, _UNCONNECTED) or any(
        _NOT_SENT in getattr(part, "__notes__", ()) for part in (error, cause)
    )


MAX_HEAD_LINE = 2**16
"""Bytes of the status line, and of each header field of a reply; cookies may fill a field."""


class HttpTransport(Protocol):
    """Sends requests over a pool of connections.

    Attributes:
        before_target: Text of every request before its target, known with the first connection.
        after_target: Text of every request after its target.
    """

    before_target: str
    after_target: str

    @property
    def connector_closed(self) -> bool:
        """True if the caller has closed the connector."""
        ...

    async def exchange(self, target: str) -> Reply:
        """Send one request, once, and read the whole reply.

        Args:
            target: Path and query below the base URL, ready to be sent.

        Raises:
            BodyTooLargeError: The body is longer than the limit.
            Exception: The request failed, by an exception of aiohttp or of the system.
        """
        ...

    def take_kept(self) -> Any | None:
        """Take a connection that can carry a request at once, or None if there is none.

        Give the connection to `put_back`, or after it was used to `settle`.
        """
        ...

    def put_back(self, connection: Any) -> None:
        """Put back a connection that was taken and not used."""
        ...

    def settle(self, connection: Any, error: BaseException | None) -> None:
        """End the use of a connection.

        Args:
            connection: The connection.
            error: Failure, or None after a whole reply.
        """
        ...

    def drop_idle(self) -> None:
        """Use none of the idle connections again."""
        ...

    def distrust(self, reply: Reply) -> None:
        """Use the connection that brought a reply no longer: it brings replies to others."""
        ...

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        ...


TransportFactory: TypeAlias = Callable[
    [aiohttp.ClientSession, Connector, SplitResult, int, URL | None], HttpTransport
]
"""Makes a transport from a client session, its connector, the base URL, the body limit, a proxy."""


class RepeatedRequest(aiohttp.ClientRequest):
    """Request that can be sent many times, without a proxy.

    The connector's key of its connections is computed once; aiohttp computes it for each request.
    """

    @functools.cached_property
    def connection_key(self) -> Any:
        """Key of the connections that can carry the request, for the connector."""
        return super().connection_key


class InvalidHttpError(aiohttp.ClientError):
    """The reply is not HTTP that aiohttp's parser understands."""


class BodyTooLargeError(Exception):
    """The body, compressed or decompressed, is longer than the limit."""


def build_url(prefix: SplitResult, target: str) -> URL:
    """Return the URL of a target below the base URL, without quoting anything again."""
    path, _, query = target.partition("?")
    return URL.build(
        scheme=prefix.scheme,
        authority=prefix.netloc,
        path=prefix.path + path,
        query_string=query,
        encoded=True,
    )


async def read_body(content: aiohttp.StreamReader, limit: int, headers: Mapping[str, str]) -> bytes:
    """Read the body, decompressed; stop as soon as it is longer than the limit.

    Args:
        content: Stream of the body.
        limit: Maximum number of bytes, compressed and decompressed.
        headers: Header fields of the reply.

    Raises:
        BodyTooLargeError: The body is longer than the limit.
    """
    first = await content.readany()
    if content.at_eof() and len(first) <= limit:
        return first
    # The length before decompression, so that nothing of a body that is too long is read in vain.
    length = headers.get("Content-Length", "")
    if length.isdecimal() and float(length) > limit:
        raise BodyTooLargeError
    chunks, size = [first], len(first)
    while size <= limit:
        chunk = await content.readany()
        if not chunk:
            if content.total_raw_bytes > limit:
                break
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
    raise BodyTooLargeError
