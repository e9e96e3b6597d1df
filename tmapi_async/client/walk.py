"""A walk over listings, as an application holds it: awaited, iterated, left early, looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Generic, Self

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import I, Page
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask, WalkStatistics
from tmapi_async.crawl.splitting import Reconciliation
from tmapi_async.crawl.splitting.driver import Split, SplitDriver
from tmapi_async.errors import ClosedError
from tmapi_async.transport.request_state import CrawlCounts, RequestState
from tmapi_async.transport.session import Session


class Walk(Generic[I]):
    """A walk over one listing or many, whose items are of type `I`.

    Await it for the first page of one listing; iterate over it for items; iterate over `pages()`
    for pages. Nothing is sent before that. A walk can be walked once.

    Inside `async with` every task of the walk ends when the block is left. Without it, leaving the
    loop early (`break`) ends them when the generator is collected: use `async with`, or
    `contextlib.aclosing`.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        openings: Callable[[], AsyncGenerator[ListingTask]],
        first: Callable[[], PageRequest],
        *,
        lookahead: int | None,
        unique: bool,
        guard: GuardPolicy,
        on_end: Callable[[ListingOutcome], None] | None,
        split: Split | None = None,
    ) -> None:
        self._session = session
        self._openings = openings
        self._first = first
        self._lookahead = lookahead
        self._unique = unique
        self._guard = guard
        self._on_end = on_end
        self._splitter = (
            SplitDriver(split, on_listing_end=self._divided) if split is not None else None
        )
        self._crawl: Crawler | None = None
        self._stopped = self._closed = False
        self._awaited: set[asyncio.Timeout] = set()

    def __await__(self) -> Generator[Any, None, Page[I]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[I]:
        session = self._session()
        life = asyncio.timeout(None)
        self._awaited.add(life)
        try:
            async with life:
                return await session.fetch(
                    self._first(), RequestState(session.epoch, CrawlCounts())
                )
        except TimeoutError:
            raise ClosedError("the client was closed before the page came") from None
        finally:
            self._awaited.discard(life)

    def __aiter__(self) -> AsyncIterator[I]:
        return self.items()

    async def items(self) -> AsyncGenerator[I]:
        """Every item, in page order within a listing.

        Raises:
            TMAPIError: As `pages`.
        """
        crawl = self._start()
        try:
            while (page := await self._next(crawl)) is not None:
                for item in page.items:
                    yield item
        finally:
            await self.aclose()

    async def pages(self) -> AsyncGenerator[Page[I]]:
        """Every page: in page order within a listing, as they come across listings.

        Raises:
            TMAPIError: The one listing failed, or everything had to end (`progress` then says what
                was done and what is left).
            ListingsFailedError: Some of several listings failed; raised after the last page, when
                all others have been walked.
        """
        crawl = self._start()
        try:
            while (page := await self._next(crawl)) is not None:
                yield page
        finally:
            await self.aclose()

    async def _next(self, crawl: Crawler) -> Page[I] | None:
        page = await crawl.next()
        return page if page is None or self._splitter is None else self._splitter.page(page)

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """What came of the listings that were divided (`split`), as they ended."""
        return tuple(self._splitter.reconciliations) if self._splitter is not None else ()

    def stop(self) -> None:
        """Start nothing more; the loop goes on with what is on the wire, and then ends."""
        self._stopped = True
        if self._crawl is not None:
            self._crawl.stop()

    async def aclose(self) -> None:
        """End every task of the walk at once."""
        self._closed = True
        for life in self._awaited:
            life.reschedule(0)
        if self._crawl is not None:
            await self._crawl.close()
            if self._splitter is not None:
                self._splitter.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def statistics(self) -> WalkStatistics:
        """A snapshot of what the walk has done so far."""
        if self._crawl is None:
            return WalkStatistics()
        return self._crawl.statistics()

    def _start(self) -> Crawler:
        if self._closed or self._crawl is not None:
            raise ClosedError("a walk can be walked once: ask the client for another one")
        frontier, source = Frontier(lookahead=self._lookahead), self._openings()
        self._crawl = Crawler(
            self._session(),
            frontier,
            source if self._splitter is None else self._splitter.tasks(source),
            unique=self._unique and self._splitter is None,  # a splitter sees the whole family
            guard=self._guard,
            on_end=self._on_end if self._splitter is None else self._splitter.ended,
        )
        if self._stopped:
            self._crawl.stop()
        return self._crawl

    def _divided(self, outcome: ListingOutcome) -> None:
        if self._crawl is not None:
            self._crawl.divided(outcome)
        if self._on_end is not None:
            self._on_end(outcome)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not begun" if self._crawl is None else "open"
        return f"<Walk {state}: {self.statistics()}>"
