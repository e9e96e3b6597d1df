"""A sink that queues: the caller pulls the pages of a crawl one by one.

A page counts as delivered when the caller takes it, and a listing as ended when its last page was
taken. A page that the caller left in the queue must not look walked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from copy import copy
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from tmapi_async.api.items import Item
from tmapi_async.api.listings import Listing
from tmapi_async.api.replies import Page
from tmapi_async.errors import ClosedError

from .crawler import Crawler
from .outcomes import ListingCounts, ListingOutcome, ListingTask, WalkStatistics
from .sink import CrawlSink


class _Repeating(msgspec.Struct, frozen=True):
    """A page with items that its listing has shown before; they are left out if `unique`."""

    page: Page
    items: int
    new_items: int


_Entry: TypeAlias = Page | _Repeating | ListingOutcome


class PageQueue(CrawlSink):
    """Holds pages in page order, and the outcomes of their listings behind them.

    Args:
        unique: Drop items whose ID the listing has shown before.
        split: The listings are parts of split listings. Parts are not counted; call
            `count_split` for each listing that was split.
        on_end: Called with the outcome of each listing, after its last page was taken.
        backlog: Returns the number of taken pages that the caller has not finished with.

    Attributes:
        pages: Number of pages in the queue.
        cut_off: True once a step of the caller was cancelled, which ended the walk. Set by the
            walk.
    """

    def __init__(
        self,
        *,
        unique: bool = False,
        split: bool = False,
        on_end: Callable[[ListingOutcome], None] | None = None,
        backlog: Callable[[], int] | None = None,
    ) -> None:
        self.pages = 0
        self._unique = unique
        self._split = split
        self._on_end = on_end
        self._backlog = backlog
        self._queue: deque[_Entry] = deque()
        self._endings = ListingCounts()  # of the outcomes that were taken, and no pages
        self._dropped = ListingCounts()  # pages that were in the queue when it was closed
        self._crawler: Crawler | None = None
        self._take_reply: Callable[[], bool] = _no_reply
        self._run: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed = self._was_full = False
        self.cut_off = False

    # -- the crawler's side

    @property
    def pending(self) -> int:
        """Number of pages in the queue and in the caller's backlog."""
        return self.pages if self._backlog is None else self.pages + self._backlog()

    def has_room(self, width: int, in_flight: int) -> bool:
        """Return True while at most one width waits here, and the backlog permits more."""
        if self.pages <= width and (
            self._backlog is None or self._backlog() + in_flight < 2 * width
        ):
            return True
        self._was_full = True
        return False

    def wake_taker(self) -> None:
        """Wake the caller if it waits for a page; see `CrawlSink.wake_taker`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def ordered_page(self, page: Page, new_items: Sequence[Item]) -> None:
        """Queue a page."""
        is_new = new_items is page.items
        self._queue.append(page if is_new else self._repeating(page, new_items))
        self.pages += 1
        if self._waiter is not None:
            self.wake_taker()

    def _repeating(self, page: Page, new_items: Sequence[Item]) -> _Repeating:
        delivered = page.only(new_items) if self._unique else page
        return _Repeating(delivered, len(page.items), len(new_items))

    def ended(self, outcome: ListingOutcome) -> None:
        """Queue an outcome behind the pages of its listing."""
        self._queue.append(outcome)
        self.wake_taker()

    # -- the caller's side

    def start(self, crawler: Crawler) -> None:
        """Run a crawler whose sink is this queue."""
        self._crawler = crawler
        self._take_reply = crawler.take_reply
        self._run = asyncio.create_task(crawler.run(), name="tmapi walk")
        self._run.add_done_callback(self._run_done)

    def take(self) -> Page[Any] | None:
        """Return the next page if it is there, or if its reply is; `next` waits for it.

        The outcomes before it are reported.
        """
        queue = self._queue
        while True:
            while queue:
                entry = queue.popleft()
                if isinstance(entry, ListingOutcome):
                    self._report(entry)
                    continue
                self.pages -= 1
                if self._was_full:
                    self._make_room()
                return entry.page if isinstance(entry, _Repeating) else entry
            if not self._take_reply():
                return None

    def _make_room(self) -> None:
        """Tell a crawl that waits for room; otherwise, taking a page changes nothing for it."""
        self._was_full = False
        if self._crawler is not None:
            self._crawler.pump()

    async def next(self) -> Page[Any] | None:
        """Return the next page, or None after the last one.

        Raises:
            ClosedError: The walk was closed before its end.
            TMAPIError: After the last page: the error that ended the crawl, or failed a listing.
        """
        run = self._run
        assert run is not None, "start the crawler first"  # noqa: S101 - for mypy
        while (page := self.take()) is None:
            if self._closed:
                # An early end by another task must not look like a complete walk.
                raise ClosedError("the walk was closed before its end")
            if run.done():
                run.result()
                return None
            self._waiter = run.get_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return page

    async def close(self) -> None:
        """End the crawl at once and drop the pages in the queue."""
        self._closed = True
        if self._crawler is None or self._run is None:
            return
        await self._crawler.close()
        if not self._run.done():
            await asyncio.wait([self._run])
        queue, self._queue, self.pages = self._queue, deque(), 0
        self._count(queue, self._dropped)
        outcomes = [entry for entry in queue if isinstance(entry, ListingOutcome)]
        pages = [entry for entry in queue if not isinstance(entry, ListingOutcome)]
        listings = {_page_of(entry).request.listing for entry in pages}
        for outcome in outcomes:
            stopped = outcome.listing in listings
            self._report(msgspec.structs.replace(outcome, ending="stopped") if stopped else outcome)

    def count_split(self, outcome: ListingOutcome) -> None:
        """Count a listing that was walked in parts, once they have ended."""
        self._endings.add_ending(outcome.ending)

    @property
    def counts(self) -> ListingCounts:
        """Totals of the pages and outcomes that were taken.

        They follow from those that the crawl has handed over: a page is not counted by itself.
        """
        if self._crawler is None:
            return ListingCounts()
        waiting, handed_over = copy(self._dropped), self._crawler.counts
        self._count(self._waiting(), waiting)
        counts = copy(self._endings)
        counts.listings = handed_over.listings
        for name in ("pages", "items", "unique_items", "duplicates", "rejects"):
            setattr(counts, name, getattr(handed_over, name) - getattr(waiting, name))
        return counts

    def _waiting(self) -> Iterable[_Entry]:
        """Return what was handed over and not taken."""
        return self._queue

    def _count(self, entries: Iterable[_Entry], counts: ListingCounts) -> None:
        """Add the pages among some entries to counts."""
        for entry in entries:
            if isinstance(entry, ListingOutcome):
                continue
            page = _page_of(entry)
            items = entry.items if isinstance(entry, _Repeating) else len(page.items)
            new_items = entry.new_items if isinstance(entry, _Repeating) else items
            counts.add_pages(1, items, 0 if self._split else new_items, len(page.rejects))

    def statistics(self) -> WalkStatistics:
        """Return the counts of the pages taken, and of the crawl behind the queue."""
        if self._crawler is None:
            return WalkStatistics()
        requests = self._crawler.request_counts()
        return WalkStatistics(
            **msgspec.structs.asdict(self.counts),
            requests=requests.requests,
            retries=requests.retries,
            wasted=requests.wasted,
            codes=requests.codes,
            unreached=requests.unreached,
            waited=round(requests.waited, 3),
            cache_hits=requests.cache_hits,
            in_flight=self._crawler.frontier.statistics().in_flight,
            waiting=self.pages,
        )

    def _report(self, outcome: ListingOutcome) -> None:
        if not self._split:
            self._endings.add_ending(outcome.ending)
        if self._on_end is not None:
            self._on_end(outcome)

    def _run_done(self, run: asyncio.Task[None]) -> None:
        if not run.cancelled():
            run.exception()  # mark as retrieved: a walk that is left early never takes it
        self.wake_taker()

    def __repr__(self) -> str:
        return f"<PageQueue: {self.pages} pages wait>"


def _page_of(entry: Page | _Repeating) -> Page:
    return entry.page if isinstance(entry, _Repeating) else entry


def _no_reply() -> bool:
    """Handle no reply: the crawl has not begun."""
    return False


ORDER_WINDOW = 512
"""Listings of an ordered walk that may be open, or may wait for an earlier one, at once."""


class OrderedPageQueue(PageQueue):
    """Gives the listings out in the order of their tasks. Each of them has one page.

    Pages that come early wait for the listings before theirs. They take no room: otherwise the
    request that all of them wait for might have to wait for room itself.

    Args:
        on_end: Called with the outcome of each listing, after its page was taken.
    """

    def __init__(self, *, on_end: Callable[[ListingOutcome], None] | None = None) -> None:
        super().__init__(on_end=on_end)
        self._early: dict[Listing, list[_Entry]] = {}
        self._left = asyncio.Event()

    async def tasks(self, source: AsyncGenerator[ListingTask]) -> AsyncGenerator[ListingTask]:
        """Yield the tasks of `source`, and note their order.

        A listing is left out while an earlier one of the same parameters is open or waits.
        """
        async with aclosing(source) as tasks:
            async for task in tasks:
                if task.listing in self._early:
                    continue
                while len(self._early) >= ORDER_WINDOW:
                    self._left.clear()
                    await self._left.wait()
                self._early[task.listing] = []
                yield task

    def ordered_page(self, page: Page, new_items: Sequence[Item]) -> None:
        """Keep a page until the listings before its own have ended."""
        is_new = new_items is page.items
        entry = page if is_new else self._repeating(page, new_items)
        self._early[page.request.listing].append(entry)

    def _waiting(self) -> Iterable[_Entry]:
        """Return what was handed over and not taken."""
        return chain(self._queue, *self._early.values())

    def ended(self, outcome: ListingOutcome) -> None:
        """Queue every page whose turn has come, and the outcomes behind them."""
        self._early[outcome.listing].append(outcome)
        while self._early:
            listing, entries = next(iter(self._early.items()))
            if not entries or not isinstance(entries[-1], ListingOutcome):
                break
            del self._early[listing]
            for entry in entries:
                self._queue.append(entry)
                self.pages += not isinstance(entry, ListingOutcome)
            self.wake_taker()
        self._left.set()
