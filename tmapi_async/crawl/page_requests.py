"""The page requests of a crawl: each is fetched, and its outcome is handed on, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.transport.attempts.direct_exchange import DirectExchange
from tmapi_async.transport.request_state import RequestState, StoppedError

from .page_fetcher import PageFetcher

SendAtOnce: TypeAlias = Callable[
    [PageRequest, RequestState, Callable[[DirectExchange], None]], DirectExchange | None
]


class Outcomes(Protocol):
    """Receives the outcomes of page requests: one of the three for each."""

    def answered(self, request: PageRequest, page: Page) -> None:
        """Take the page."""
        ...

    def failed(self, request: PageRequest, error: errors.TMAPIError, *, sent: bool) -> None:
        """Take the error, and whether an attempt was sent."""
        ...

    def give_back(self, request: PageRequest, *, sent: bool = True) -> None:
        """Take back a request that was given up, and whether an attempt was sent."""
        ...

    def may_ask_again(self, request: PageRequest) -> bool:
        """Return True if a page that denies its own total is worth one more request."""
        ...


class PageRequests:
    """Fetches pages, by a task or without one, and hands on the outcomes.

    Args:
        fetcher: Fetches the pages.
        outcomes: Receives the outcomes.

    Attributes:
        send_at_once: Sends a request without a task, or returns None; see `DirectFetcher.begin`.
    """

    def __init__(self, fetcher: PageFetcher, outcomes: Outcomes) -> None:
        self._fetcher = fetcher
        self._direct = fetcher.direct
        self._outcomes = outcomes
        self.send_at_once: SendAtOnce = _nothing if self._direct is None else self._direct.begin

    async def fetch(
        self, request: PageRequest, state: RequestState, exchange: DirectExchange | None = None
    ) -> None:
        """Fetch a page and hand on the outcome, also if the request is stopped or cancelled.

        Args:
            request: The page request.
            state: Its state.
            exchange: First attempt, which was made without a task and `handle` has left; or None.
        """
        outcome: Page | errors.TMAPIError | None = None
        try:
            outcome = await self._fetch(request, state, exchange)
            if outcome.denies_total and self._outcomes.may_ask_again(request):
                outcome = await self._ask_again(request, state, outcome)
        except errors.TMAPIError as error:
            outcome = error
        finally:
            if outcome is None:
                self._outcomes.give_back(request, sent=state.sent)
        if isinstance(outcome, Page):
            self._outcomes.answered(request, outcome)
        elif outcome is not None:
            self._outcomes.failed(request, outcome, sent=state.sent)

    async def _fetch(
        self, request: PageRequest, state: RequestState, exchange: DirectExchange | None
    ) -> Page:
        if exchange is None or self._direct is None:
            return await self._fetcher.fetch(request, state)
        if isinstance(exchange.outcome, Page):
            return exchange.outcome
        return await self._direct.go_on(exchange)

    async def _ask_again(self, request: PageRequest, state: RequestState, page: Page) -> Page:
        """Request a page once more; return the reply that shows more of the listing."""
        try:
            second = await self._fetcher.fetch(request, state)
        except errors.TMAPIError:
            return page  # paid for; what refuses this request refuses the next one, too
        except (StoppedError, asyncio.CancelledError):
            self._outcomes.answered(request, page)
            raise
        return max(second, page, key=lambda reply: (reply.rows, reply.has_next_page))

    # -- without a task

    def handle(self, exchange: DirectExchange) -> bool:
        """Hand on the page of an exchange; return False if `fetch` must go on with the request."""
        assert self._direct is not None  # noqa: S101 - it has begun the exchange
        try:
            outcome = self._direct.finish(exchange)
        except BaseException:
            self._outcomes.give_back(exchange.request)
            raise
        if not isinstance(outcome, Page) or (outcome.total_count and outcome.denies_total):
            return False
        self._outcomes.answered(exchange.request, outcome)
        return True

    def abandon(self, exchange: DirectExchange) -> None:
        """Give up an exchange that was not handled, or with which `fetch` did not go on."""
        assert self._direct is not None  # noqa: S101 - it has begun the exchange
        if isinstance(exchange.outcome, Page):
            self._outcomes.answered(exchange.request, exchange.outcome)
            return
        self._direct.abandon(exchange)
        self._outcomes.give_back(exchange.request)


def _nothing(*_: object) -> None:
    """Send nothing without a task."""
