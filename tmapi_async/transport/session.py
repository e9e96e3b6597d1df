"""A session: one account's fetcher and sender, opened and closed together."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.outage_queue import OutageQueue

from .attempts.direct_fetcher import DirectFetcher
from .fetcher import Fetcher
from .frames import forgets_locals
from .http import Connector, TransportFactory
from .observers import Observer
from .redaction import Redactor
from .request_state import RequestState
from .retry import RetryPolicy
from .sender import Auth, PageSender

__all__ = ["Auth", "Connector", "Session"]


class Session:
    """Fetches pages of one account: every attempt passes the gate, failures are retried.

    Args:
        token: Token of the account.
        gate: Gate that every attempt passes.
        base_url: Scheme, host and optional path prefix.
        auth: Send the token as query field `apiToken` or as header `apikey`.
        timeout: Seconds from when the gate is passed until the body is read.
        max_body: Longest body accepted, in bytes, decompressed.
        policy: Number and duration of attempts.
        connector: Connector of the caller, who closes it; or None.
        trust_env: Take proxies from the environment. `~/.netrc` is never read.
        observer: Receives a report of every attempt and page; or None.
        transport: Makes the HTTP transport; None takes the fastest that works.
        wait: Seconds after which an API that does not answer is given up; see `Fetcher`.

    Raises:
        InvalidRequestError: Token or base URL cannot be used.
    """

    @forgets_locals
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
        transport: TransportFactory | None = None,
        wait: float | None = None,
    ) -> None:
        self.gate = gate
        self._sender = PageSender(
            token,
            base_url=base_url,
            auth=auth,
            timeout=timeout,
            max_body=max_body,
            connector=connector,
            trust_env=trust_env,
            transport=transport,
        )
        self._fetcher = Fetcher(self._sender, gate, policy, Redactor(token), observer, wait=wait)

    @property
    def is_open(self) -> bool:
        """True if requests can be sent."""
        return self._sender.is_open

    @property
    def direct(self) -> DirectFetcher | None:
        """Sends and reads attempts without a task; None with an observer."""
        return self._fetcher.direct

    @property
    def epoch(self) -> int:
        """Number of errors so far that ended all work. A walk begun before the last one ends."""
        return self._fetcher.epoch

    @property
    def outages(self) -> OutageQueue:
        """Attempts that wait while the API does not answer."""
        return self._fetcher.outages

    @property
    def waited(self) -> float:
        """Seconds for which the API did not answer, so far."""
        return self._fetcher.outages.waited

    async def open(self) -> None:
        """Open the connection pool. Sends nothing."""
        await self._sender.open()

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        self._fetcher.outages.close()
        self.gate.close()
        await self._sender.close()

    def fetch(self, request: PageRequest, state: RequestState) -> Coroutine[Any, Any, Page[Any]]:
        """Fetch one page; see `Fetcher.fetch`.

        Args:
            request: The listing and the page number.
            state: State shared with the walk, which may stop the request.
        """
        return self._fetcher.fetch(request, state)
