"""Connect the planners of divided listings with a crawler: pages in, listing tasks out. No I/O.

A `SplitDriver` is the crawler's source of listings. A listing to be divided is first opened for its
first page alone, and so is every part of it. A part that the planner wants walked is opened again,
with that page as a known one. Nothing is requested twice: pages stored from an earlier process (see
`PartStore`) are given to the planner in place of requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any, Self

import msgspec

from tmapi_async.api.listings import USUAL_CEILING, Listing
from tmapi_async.api.replies import Page
from tmapi_async.crawl.outcomes import Ending, ListingOutcome, ListingTask
from tmapi_async.crawl.seam import Look
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.argument_checks import check_callable
from tmapi_async.errors.shown_value import show_value

from .active_split import ActiveSplit
from .part_store import PartStore, StoredPart
from .queries import Observation, SplitQuery
from .reconciliation import Expectation, Reconciliation

_MAX_ACTIVE_SPLITS = 8
"""Listings divided at the same time: all item IDs of each are held in memory."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Settings for dividing listings.

    Attributes:
        ceiling: A `total_count` of this many rows or more says that there may be more rows.
        on_expect: Called with the expected cost of a listing: when it turns out to be at the
            ceiling, when every part of it fits, and again with each second walk of a part that has
            brought too few rows.
        on_reconciled: Called with the result of a listing when it has ended; not if it was stopped.
    """

    ceiling: int = USUAL_CEILING
    on_expect: Callable[[Listing, Expectation], None] | None = None
    on_reconciled: Callable[[Reconciliation], None] | None = None

    def check(self) -> None:
        """Check the settings.

        Raises:
            InvalidRequestError: `ceiling` is not a whole number from 1, or what is to be called is
                no function.
        """
        is_whole = isinstance(self.ceiling, int) and not isinstance(self.ceiling, bool)
        if not is_whole or self.ceiling < 1:
            raise InvalidRequestError(
                f"ceiling must be a whole number from 1, not {show_value(self.ceiling)}"
            )
        check_callable("on_expect", self.on_expect)
        check_callable("on_reconciled", self.on_reconciled)


def read_split(value: object) -> Split | None:
    """Read a `split` argument: a bool, or a `Split`. Return None for no division.

    Raises:
        InvalidRequestError: The value is neither, or its settings are invalid.
    """
    if value is None or isinstance(value, bool):
        return Split() if value else None
    if not isinstance(value, Split):
        raise InvalidRequestError(f"split must be True, False or a Split, not {show_value(value)}")
    value.check()
    return value


class _NextTask:
    """The next task of a source, awaited in the background so that parts do not wait for it."""

    def __init__(self, source: AsyncGenerator[ListingTask], changed: asyncio.Event) -> None:
        self._source = source
        self._changed = changed
        self._waiter: asyncio.Task[ListingTask | None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._waiter is not None:
            self._waiter.cancel()
            await asyncio.wait([self._waiter])

    def ready(self) -> bool:
        """Start to wait for the next task if needed. Return True if the task is there."""
        if self._waiter is None:
            self._waiter = asyncio.create_task(self._next(), name="tmapi roots")
            self._waiter.add_done_callback(lambda _: self._changed.set())
        return self._waiter.done()

    def take(self) -> ListingTask | None:
        """Return the next task, or None after the last one.

        Raises:
            Exception: The source raised it.
        """
        waiter, self._waiter = self._waiter, None
        assert waiter is not None  # noqa: S101 - `ready` returned True
        return waiter.result()

    async def _next(self) -> ListingTask | None:
        return await anext(self._source, None)


class SplitDriver:
    """Divides the listings of a crawl. Pass `page` and `ended` everything that the crawler brings.

    Args:
        split: Settings.
        on_listing_end: Called with the outcome of each divided listing.
        store: Storage for parts, or None.

    Attributes:
        reconciliations: Results of the listings that have ended.
    """

    def __init__(
        self,
        split: Split,
        *,
        on_listing_end: Callable[[ListingOutcome], None],
        store: PartStore | None = None,
    ) -> None:
        self._split = split
        self._on_listing_end = on_listing_end
        self._store = store
        self._active: dict[Listing, ActiveSplit] = {}
        self._split_of: dict[Listing, ActiveSplit] = {}
        self._ready: deque[ListingTask] = deque()
        self._changed = asyncio.Event()
        self.reconciliations: list[Reconciliation] = []

    def __contains__(self, listing: object) -> bool:
        return listing in self._split_of

    async def tasks(self, source: AsyncGenerator[ListingTask]) -> AsyncGenerator[ListingTask]:
        """Yield tasks for the listings of a source and for the parts that they are divided into."""
        source_may_continue = True
        async with aclosing(source) as roots, _NextTask(roots, self._changed) as upcoming:
            while source_may_continue or self._active or self._ready:
                while self._ready:
                    yield self._ready.popleft()
                self._changed.clear()
                if (
                    source_may_continue
                    and len(self._active) < _MAX_ACTIVE_SPLITS
                    and upcoming.ready()
                ):
                    root = upcoming.take()
                    source_may_continue = root is not None
                    if root is not None:
                        self._begin(root.listing)
                elif source_may_continue or self._active:
                    await self._changed.wait()

    def _begin(self, root: Listing) -> None:
        if root in self._split_of:
            return  # requested again while it is being divided: once is enough
        active = self._active[root] = ActiveSplit(root, self._split.ceiling)
        self._run_queries(active, active.planner.begin())

    # -- called with results of the crawl

    def page(self, page: Page[Any]) -> Page[Any]:
        """Pass a page to its planner. Return the page with only those items that are new."""
        listing = page.request.listing
        active = self._split_of.get(listing)
        if active is None:
            return page
        new_items = {
            item.item_id: item for item in page.items if not active.planner.has_seen(item.item_id)
        }
        self._add_page(active, listing, Observation.of(page))
        return page.only([*new_items.values()])

    def looked(self, look: Look) -> None:
        """Pass a stored page that was requested once more to its planner if it shows new rows."""
        listing = look.request.listing
        active = self._split_of.get(listing)
        if active is not None and look.page is not None and look.new:
            self._add_page(active, listing, Observation.of(look.page, again=True))

    def _add_page(self, active: ActiveSplit, listing: Listing, page: Observation) -> None:
        if page.number == 1 and not page.again:
            active.first_pages.setdefault(listing, page)
        if listing in active.paused:
            active.paused[listing][page.number] = page.has_next
        self._run_queries(active, active.planner.page(listing, page))
        if page.number == 1 and not page.again and listing not in active.stored:
            self._announce(active)

    def ended(self, outcome: ListingOutcome) -> None:
        """Take in the end of a listing task: of a full walk, or of the first page alone."""
        listing = outcome.listing
        active = self._split_of[listing]
        is_probe = listing in active.probing
        active.probing.discard(listing)
        active.open.discard(listing)
        active.stopped = active.stopped or outcome.ending == "stopped"
        if outcome.error is not None:
            active.errors.append(outcome.error)
        walk_follows = (
            is_probe and listing in active.first_pages and active.planner.is_full_walk(listing)
        )
        pauses = outcome.ending == "capped" and listing in active.paused
        if pauses and outcome.shifted is not None:
            active.shifted[listing] = outcome.shifted
        if self._store is not None and not (walk_follows and active.first_pages[listing].has_next):
            ended = msgspec.structs.replace(outcome, ending="stopped") if pauses else outcome
            self._store.part_ended(active.root, ended, walked=not is_probe or walk_follows)
        if outcome.ending == "stopped" or (is_probe and not walk_follows):
            self._finish_if_done(active)
        elif is_probe and outcome.ending != "failed":
            self._walk(active, listing)
            self._finish_if_done(active)
        else:
            self._end_walk(active, listing, outcome.ending, str(outcome.error or ""))
            self._announce(active)

    def _end_walk(
        self, active: ActiveSplit, listing: Listing, ending: Ending, error: str = ""
    ) -> None:
        self._run_queries(active, active.planner.walk_ended(listing, ending, error))

    # -- orders of the planner

    def _run_queries(self, active: ActiveSplit, queries: Iterable[SplitQuery]) -> None:
        active.queries += queries
        if active.busy:
            return  # stored pages are added while a query is carried out: one at a time
        active.busy = True
        while active.queries:
            query = active.queries.popleft()
            if query.action == "open":
                self._open(active, query.listing)
            elif query.action == "walk" and query.listing not in active.probing:
                self._walk(active, query.listing)
        active.busy = False
        self._finish_if_done(active)

    def _open(self, active: ActiveSplit, listing: Listing) -> None:
        if listing in self._split_of:
            raise InvalidRequestError(
                f"{listing} is a part of another listing too: walk the two one after the other"
            )
        self._split_of[listing] = active
        active.open.add(listing)
        stored = StoredPart()
        if self._store is not None:
            stored = self._store.load_part(active.root, listing)
        if stored.pages:
            active.stored[listing] = stored
            for page in stored.pages:
                self._add_page(active, listing, page)
            if not active.planner.is_full_walk(listing):
                active.open.discard(listing)
            return
        active.probing.add(listing)
        self._queue(active, ListingTask(listing=listing, max_pages=1, part=True))

    def _walk(self, active: ActiveSplit, listing: Listing) -> None:
        stored = active.stored.get(listing) or StoredPart((active.first_pages[listing],))
        active.open.add(listing)
        pages = [page for page in stored.pages if not page.again]
        last = pages[-1]
        # Pages come side by side: if work was stopped, some before the last may be missing.
        whole = last.number == len(pages) and not last.has_next
        if stored.ending is not None or whole:
            active.open.discard(listing)
            self._end_walk(active, listing, stored.ending or "complete")
            return
        self._queue(active, active.walk_task(listing, stored, pages))

    def _queue(self, active: ActiveSplit, task: ListingTask) -> None:
        if self._store is not None:
            self._store.begin_part(active.root, task.listing)
        self._ready.append(task)
        self._changed.set()

    # -- reports

    def _announce(self, active: ActiveSplit) -> None:
        """Report the expected cost if it is news."""
        if active.planner.is_full_walk(active.root) or self._split.on_expect is None:
            return
        expected = active.planner.expectation()
        if expected.settled:
            is_news = expected.second > active.second_walks
        else:
            is_news = not active.announced
        if is_news:
            active.announced = True
            active.second_walks = expected.second if expected.settled else active.second_walks
            self._split.on_expect(active.root, expected)

    def _finish_if_done(self, active: ActiveSplit) -> None:
        if active.open or active.stopped or active.root not in self._active:
            return
        del self._active[active.root]
        self._report(active)
        self._changed.set()

    def _report(self, active: ActiveSplit) -> None:
        reconciliation = active.planner.reconcile()
        for listing in active.planner.listings:
            self._split_of.pop(listing, None)
        outcome = active.outcome(reconciliation)
        if not active.stopped:
            self.reconciliations.append(reconciliation)
        if self._store is not None:
            self._store.reconciled(reconciliation, outcome)
        self._on_listing_end(outcome)
        if self._split.on_reconciled is not None and not active.stopped:
            self._split.on_reconciled(reconciliation)

    def close(self) -> None:
        """Report listings that are still being divided as stopped: no page will come any more."""
        remaining, self._active = list(self._active.values()), {}
        for active in remaining:
            active.stopped = True
            self._report(active)
