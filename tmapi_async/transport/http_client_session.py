"""HTTP transport on the public interface of aiohttp: one call of `ClientSession.get` a request."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult

import aiohttp
from yarl import URL

from tmapi_async.api.replies import Reply

from .http import Connector, build_url, read_body


class ClientSessionTransport:
    """Sends requests by `aiohttp.ClientSession.get`.

    Needs more than twice the CPU time of `ConnectionTransport`. It cannot see an unasked reply that
    came over an idle connection and would be taken for the next one. That is detected where the
    reply echoes another page or ID than requested. It does not learn idle times either, and cannot
    close idle connections, nor the one that has brought a reply to another request.

    Args:
        client: Sends; closed with this transport.
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
        self._prefix = prefix
        self._max_body = max_body
        self._proxy = proxy
        self.before_target = self.after_target = ""

    @property
    def connector_closed(self) -> bool:
        """True if the caller has closed the connector."""
        return self._connector.closed

    def take_kept(self) -> None:
        """Return None: aiohttp's public interface does not show idle connections."""

    def put_back(self, connection: Any) -> None:
        """Do nothing: no connection is taken."""

    def settle(self, connection: Any, error: BaseException | None) -> None:
        """Do nothing: no connection is taken."""

    def drop_idle(self) -> None:
        """Do nothing: aiohttp's public interface does not show idle connections."""

    def distrust(self, reply: Reply) -> None:
        """Do nothing: the public interface does not show which connection brought a reply."""

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        await self._client.close()

    async def exchange(self, target: str) -> Reply:
        """Send one request, once, and read the whole reply.

        Args:
            target: Path and query below the base URL, ready to be sent.

        Raises:
            BodyTooLargeError: The body is longer than the limit.
        """
        async with self._client.get(
            build_url(self._prefix, target),
            allow_redirects=False,
            middlewares=(_SendOnce(self._proxy),),
        ) as response:
            body = await read_body(response.content, self._max_body, response.headers)
            return Reply(response.status, response.headers, body)


class _SendOnce:
    """Middleware that lets one request be sent once.

    aiohttp sends an idempotent request a second time by itself when a kept connection drops
    (RFC 9110, 9.2.2). Here that would be an attempt that is billed but not counted: the second
    call raises the error of the first.

    It also sets the proxy. With the `proxy` of a session or of a call, aiohttp would send the
    headers of the session, and so a token among them, to the proxy.
    """

    def __init__(self, proxy: URL | None) -> None:
        self._proxy = proxy
        self._error: Exception | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._error is not None:
            raise self._error
        # Set before sending: an attempt that ends in any way is the only one.
        self._error = aiohttp.ServerDisconnectedError()
        try:
            request.proxy = self._proxy
            return await send(request)
        except Exception as error:
            self._error = error
            raise
