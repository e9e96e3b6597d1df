"""One request for a page that several tasks of a client ask for at the same time.

The first task that asks for a page leads: it sends the request. The others follow: they wait, and
get its page or a copy of its error. A page that was awaited alone is led by a task of its own, so
that it ends only when nobody waits for it any more. A walk leads its pages itself, which costs no
task; if it is given up, its followers request the page again.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, with_whole_items
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.attempts.direct_exchange import DirectExchange
from tmapi_async.transport.request_state import CallOptions, CrawlCounts, RequestState
from tmapi_async.transport.retry import RetryPolicy

from .page_fetcher import DirectPages, PageFetcher

_Key: TypeAlias = "PageRequest | tuple[PageRequest, float | None, RetryPolicy | None]"
"""A page; with the limits of the call, if it has limits of its own."""

_Outcome: TypeAlias = "Page[Any] | BaseException | None"
"""A page, the error to raise, or None if the leader was given up before it had either."""


class SharedPages:
    """Fetches pages through a session, each of them once at a time.

    Args:
        session: Sends the requests.

    Attributes:
        gate: Gate of the session.
        direct: Sends and reads attempts without a task; None if the session cannot.
    """

    def __init__(self, session: PageFetcher) -> None:
        self.gate: Gate = session.gate
        self._session = session
        # Pages that are being fetched, with their followers. None, the usual value, is cheaper
        # than an empty list.
        self._followers: dict[_Key, list[asyncio.Future[_Outcome]] | None] = {}
        self._leaders: dict[_Key, asyncio.Task[Page[Any]]] = {}
        self.direct = (
            SharedExchanges(session.direct, self._followers, self._lead)
            if session.direct is not None
            else None
        )

    @property
    def epoch(self) -> int:
        """Number of errors so far that ended all work. A walk begun before the last one ends."""
        return self._session.epoch

    @property
    def waited(self) -> float:
        """Seconds waited so far for an API that did not answer."""
        return self._session.waited

    async def fetch(self, request: PageRequest, state: RequestState) -> Page[Any]:
        """Fetch a page for a walk; see `Session.fetch`."""
        key = _key(request, state.options)
        while key in self._followers:
            state.counts.resting += 1  # holds no slot: another worker may take one
            try:
                page = await self._follow(key)
            finally:
                state.counts.resting -= 1
            if page is not None:
                return page
        self._followers[key] = None
        return await self._lead(key, self._session.fetch(request, state), state)

    async def _lead(
        self, key: _Key, fetch: Coroutine[Any, Any, Page[Any]], state: RequestState
    ) -> Page[Any]:
        """Fetch a page, and hand every outcome to the followers."""
        outcome: _Outcome = None
        try:
            outcome = await fetch
        except errors.TMAPIError as error:
            outcome = error
            raise
        finally:
            _tell(self._followers.pop(key), outcome, state)
        return outcome

    # -- pages awaited alone

    async def fetch_alone(self, request: PageRequest, options: CallOptions) -> Page[Any]:
        """Fetch a page for a caller that may be cancelled while others wait for the same page.

        Raises:
            TMAPIError: The page could not be fetched.
        """
        key = _key(request, options)
        while True:
            if key not in self._followers:
                self._lead_alone(key, request, options)
            page = await self._follow(key)
            if page is not None:
                return page

    async def close(self) -> None:
        """Give up the pages that are still being fetched alone."""
        leaders = list(self._leaders.values())
        for leader in leaders:
            leader.cancel()
        if leaders:
            await asyncio.wait(leaders)

    def _lead_alone(self, key: _Key, request: PageRequest, options: CallOptions) -> None:
        """Fetch a page in a task of its own, which hands every outcome to the followers."""
        self._followers[key] = []
        fetch = self._session.fetch(request, RequestState(self.epoch, CrawlCounts(), options))
        leader = self._leaders[key] = asyncio.create_task(fetch, name="tmapi_async page")

        # Called also if the task was cancelled before its first step.
        def ended(task: asyncio.Task[Page[Any]]) -> None:
            del self._leaders[key]
            outcome = None if task.cancelled() else task.exception() or task.result()
            _hand_over(self._followers.pop(key) or [], outcome)

        leader.add_done_callback(ended)

    async def _follow(self, key: _Key) -> Page[Any] | None:
        """Wait for a page that is being fetched; None if its leader was given up."""
        followers = self._followers[key]
        if followers is None:
            followers = self._followers[key] = []
        future: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        followers.append(future)
        try:
            outcome = await future
        except BaseException:  # cancelled; or collected while it waits
            if future in followers:
                followers.remove(future)
            if not followers and self._followers.get(key) is followers:
                self._give_up(key)
            raise
        if isinstance(outcome, errors.TMAPIError):
            raise copy.copy(outcome)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _give_up(self, key: _Key) -> None:
        leader = self._leaders.get(key)
        if leader is not None:
            leader.cancel()

    def __repr__(self) -> str:
        return f"<SharedPages: {len(self._followers)} being fetched>"


class SharedExchanges:
    """First attempts of page requests of walks, without a task; each request leads.

    Args:
        direct: Sends and reads them.
        followers: Pages that are being fetched, with their followers.
        lead: Fetches a page, and hands every outcome to its followers.
    """

    def __init__(
        self,
        direct: DirectPages,
        followers: dict[_Key, list[asyncio.Future[_Outcome]] | None],
        lead: Callable[
            [_Key, Coroutine[Any, Any, Page[Any]], RequestState], Coroutine[Any, Any, Page[Any]]
        ],
    ) -> None:
        self._direct = direct
        self._followers = followers
        self._lead = lead

    def begin(
        self,
        request: PageRequest,
        state: RequestState,
        arrived: Callable[[DirectExchange], None],
    ) -> DirectExchange | None:
        """Send the first attempt of a page request, and lead; see `DirectFetcher.begin`."""
        options, followers = state.options, self._followers
        key: _Key = request
        if options.timeout is not None or options.retry is not None:
            key = _key(request, options)
        if key in followers:
            return None
        exchange = self._direct.begin(request, state, arrived)
        if exchange is not None:
            exchange.key = key
            followers[key] = None
        return exchange

    def finish(self, exchange: DirectExchange) -> Page[Any] | errors.TMAPIError:
        """Read what has come; see `DirectFetcher.finish`. After an error, the page is still led."""
        try:
            outcome = self._direct.finish(exchange)
        except BaseException:
            _tell(self._followers.pop(exchange.key), None, exchange.state)
            raise
        if isinstance(outcome, Page):
            followers = self._followers.pop(exchange.key)
            if followers:
                _tell(followers, outcome, exchange.state)
        return outcome

    def go_on(self, exchange: DirectExchange) -> Coroutine[Any, Any, Page[Any]]:
        """Return a coroutine that fetches the page after `finish` has returned an error."""
        return self._lead(exchange.key, self._direct.go_on(exchange), exchange.state)

    def abandon(self, exchange: DirectExchange) -> None:
        """Give up an exchange, or what follows it: `go_on` was not begun."""
        if exchange.outcome is None:
            self._direct.abandon(exchange)
        _tell(self._followers.pop(exchange.key), None, exchange.state)


def _tell(
    followers: list[asyncio.Future[_Outcome]] | None, outcome: _Outcome, state: RequestState
) -> None:
    """Hand the outcome of a walk's request to the tasks that wait for the same page."""
    if not followers:
        return
    if isinstance(outcome, Page) and state.ids_only:
        outcome = with_whole_items(outcome)
    _hand_over(followers, outcome)


def _hand_over(followers: list[asyncio.Future[_Outcome]], outcome: _Outcome) -> None:
    for future in followers:
        if not future.done():
            future.set_result(outcome)
    followers.clear()


def _key(request: PageRequest, options: CallOptions) -> _Key:
    if options.timeout is None and options.retry is None:
        return request
    return request, options.timeout, options.retry
