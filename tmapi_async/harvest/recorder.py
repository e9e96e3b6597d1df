"""Keeps what a crawl brings: pages into the journal, listings as they begin and end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.crawl.splitting import Reconciliation
from tmapi_async.errors import BodyError, ChangedShapeError, JournalError, TMAPIError
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.plan import Plan, Start
from tmapi_async.journal.records import PageRecord, State, Totals, Visit
from tmapi_async.journal.resume import DecodedPages, changed_shape, decode_stored
from tmapi_async.journal.statements import (
    Statement,
    begin_visit,
    end_visit,
    fail_page,
    forget_failures,
)

from .progress import Throughput

_MOST_LEFT = 256


class OpenVisit:
    """A listing being walked, with what it holds, pages of earlier starts included."""

    __slots__ = (
        "brought", "error", "items", "last", "more", "pages", "part", "rejects", "total", "unique",
        "visit",
    )  # fmt: skip

    def __init__(
        self, visit: Visit, before: Totals, *, more: bool = False, part: bool = False
    ) -> None:
        self.visit, self.part = visit, part
        self.pages, self.items, self.unique = before.pages, before.items, before.unique_items
        self.rejects, self.last, self.total = before.rejects, before.last_page, before.total_count
        self.more, self.brought = more, False
        self.error: TMAPIError | None = None

    def add(self, page: PageRecord) -> None:
        """Count a page."""
        self.brought = True
        self.pages += 1
        self.items += page.items
        self.rejects += len(page.rejects)
        self.total = page.total_count or self.total
        if page.number > self.last:
            self.last, self.more = page.number, page.has_next_page

    @property
    def totals(self) -> Totals:
        """What it holds; the distinct items are those known when it was opened or ended."""
        return Totals(self.pages, self.items, self.unique, self.rejects, self.last, self.total)


class Recorder(CrawlSink):
    """The bookkeeping of one start, as the sink of its crawl.

    Args:
        journal: Where everything goes.
        plan: What there is to do.
        max_pages: Most pages of each listing, or None.
        most_rejects: Share of a page's rows that may be rejects.
        fail: Ends a listing of the crawl, soon; not from within the call.
        broken: Called when the journal can take no more.

    Attributes:
        tally: What the listings asked for hold, over all their starts.
        pages: Pages brought by this start.
        failed_pages: Pages that could not be had.
    """

    def __init__(
        self,
        journal: Journal,
        plan: Plan,
        *,
        max_pages: int | None,
        most_rejects: float,
        fail: Callable[[Listing, TMAPIError], None],
        broken: Callable[[JournalError], None],
    ) -> None:
        self.tally = plan.tally
        self.pages = self.failed_pages = 0
        self._journal = journal
        self._start = Start(0, 0, [])
        self._max_pages = max_pages
        self._most_rejects = most_rejects
        self._fail = fail
        self._broken = broken
        self._open: dict[Listing, OpenVisit] = {}
        self._left: dict[Listing, OpenVisit] = {}  # failed lately: pages of them may be on the wire
        self._reached = 0  # visits of the start that have had their turn
        self._pace = Throughput()
        self._held = sum(visit.totals.pages for visit in plan.unfinished)
        known = [
            visit.expected_pages for visit in plan.unfinished if visit.expected_pages is not None
        ]
        self._expected = sum(known) if len(known) == len(plan.unfinished) else None

    def begin(self, start: Start) -> None:
        """Take the start as recorded; before anything else."""
        self._start = start

    def find_visit(self, listing: Listing) -> Visit | None:
        """The visit that pages of a listing belong to, or None if it is not being walked."""
        entry = self._open.get(listing)
        return entry.visit if entry is not None else None

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """What came of the listings that this start divided."""
        return ()

    @property
    def pending(self) -> int:
        """Number of pages that await their commit."""
        return self._journal.waiting

    @property
    def open_listings(self) -> int:
        """Listings begun and not ended."""
        return len(self._open)

    def forecast(self, now: float) -> tuple[float, float | None]:
        """Pages a second of late, and seconds until the end or None while nothing tells."""
        rate = self._pace.rate(now, self.pages)
        left = self.tally.left
        return rate, self._pace.eta(rate, left=left, held=self._held, expected=self._expected)

    async def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """The listings to walk, each with what is held of it, one at a time."""
        for visit in self._start.visits:
            self._reached += 1
            held = self._read(visit) if visit.begun else DecodedPages()
            if held is None:
                continue
            self._journal.apply(begin_visit(visit, time.time()))
            if visit.begun:
                self._journal.apply(forget_failures(visit))
            self._open[visit.listing] = OpenVisit(visit, held.totals, more=held.more)
            yield self._opening(visit, held)

    async def reopen(self, listing: Listing) -> ListingTask | None:
        """A listing again that was begun and given back, with all that is held of it by now.

        Returns:
            How to go on with it; None if it has ended, or what is held fails it.

        Raises:
            JournalError: The journal can take no more.
        """
        entry = self._open.get(listing)
        if entry is None or entry.error is not None:
            self._end_failed(listing)
            return None
        await self._journal.flush()
        visit = entry.visit
        try:
            held = decode_stored(self._journal.stored_pages(visit), self._most_rejects)
        except BodyError as damaged:
            entry.error = damaged
            self._end_failed(listing)
            return None
        self._journal.apply(forget_failures(visit))
        return self._opening(visit, held)

    def _end_failed(self, listing: Listing) -> None:
        entry = self._open.pop(listing, None)
        if entry is not None:
            self._fail_entry(entry, entry.error)

    async def suspend(self, listing: Listing) -> None:
        """A listing that was begun and given back is not gone on with: note what it holds.

        Raises:
            JournalError: The journal can take no more.
        """
        entry = self._open.pop(listing, None)
        if entry is None or not entry.brought:
            return  # what an earlier start noted still holds
        if entry.error is not None:
            self._fail_entry(entry, entry.error)
            return
        await self._journal.flush()
        with contextlib.suppress(BodyError):
            held = decode_stored(self._journal.stored_pages(entry.visit))
            self.tally.unique_items += len(held.item_ids) - entry.unique
            entry.unique = len(held.item_ids)
            self._note(end_visit(entry.visit, "open", entry.totals, now=time.time()))

    def _opening(self, visit: Visit, held: DecodedPages) -> ListingTask:
        return ListingTask(
            listing=visit.listing,
            max_pages=self._max_pages,
            hint=visit.expected_pages,
            stored_pages=held.pages,
            stored_ids=held.item_ids,
            stored_rows=held.items + held.rejects,
        )

    def _read(self, visit: Visit) -> DecodedPages | None:
        """What is held of a visit; None if that fails it before anything is asked of it."""
        try:
            held = decode_stored(self._journal.stored_pages(visit), self._most_rejects)
        except BodyError as damaged:
            self._fail_entry(OpenVisit(visit, visit.totals), damaged)
            return None
        self.tally.add(visit.totals, -1)
        self.tally.add(held.totals)
        self._held += len(held.pages) - visit.totals.pages
        if held.changed is None:
            return held
        error = ChangedShapeError(held.changed)
        error.locate(visit.listing.endpoint, visit.listing.identity, held.totals.last_page, 0)
        self._fail_entry(OpenVisit(visit, held.totals), error)
        return None

    def count_unreached(self) -> None:
        """Count the distinct items of listings a kill left open and this start did not reach."""
        for visit in self._start.visits[self._reached :]:
            if visit.state == "open" and visit.totals.pages and not visit.totals.unique_items:
                with contextlib.suppress(BodyError):
                    held = decode_stored(self._journal.stored_pages(visit))
                    self.tally.unique_items += len(held.item_ids)

    def page(self, page: Page) -> None:
        """Keep a page."""
        listing = page.request.listing
        entry = self._open.get(listing) or self._left.get(listing)
        if entry is not None:
            self._store(entry, PageRecord.of(page))

    def store(self, visit: Visit, record: PageRecord) -> bool:
        """Store a page that a worker decoded; return True if the journal took it."""
        listing = visit.listing
        entry = self._open.get(listing) or self._left.get(listing)
        return entry is not None and self._store(entry, record)

    def _store(self, entry: OpenVisit, page: PageRecord) -> bool:
        try:
            self._journal.submit(entry.visit, page)
        except JournalError as error:
            self._broken(error)
            return False
        entry.add(page)
        self.pages += 1
        self.tally.add(Totals(1, page.items, 0, len(page.rejects), 0))
        if entry.visit.listing in self._left:
            self._note(_failed(entry))
            return True
        self._held += 1
        if entry.error is None and page.rejects:
            self._judge(entry, page)
        return True

    def _judge(self, entry: OpenVisit, page: PageRecord) -> None:
        changed = changed_shape(page.items, page.rejects, self._most_rejects)
        if changed is not None:
            listing = entry.visit.listing
            entry.error = ChangedShapeError(changed)
            entry.error.locate(listing.endpoint, listing.identity, page.number, page.attempts)
            self._fail(listing, entry.error)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Note a page that could not be had."""
        entry = self._open.get(request.listing)
        if entry is not None:
            self.failed_pages += 1
            start, now = self._start.id, time.time()
            self._note(fail_page(entry.visit, request.number, error, start=start, now=now))

    def ended(self, outcome: ListingOutcome) -> None:
        """Note how a listing ended."""
        entry = self._open.pop(outcome.listing)
        if not entry.part:
            self.tally.unique_items += outcome.unique - entry.unique
        entry.unique = outcome.unique
        if entry.error is not None or outcome.ending == "failed":
            self._fail_entry(entry, entry.error or outcome.error)
        elif outcome.ending == "stopped":
            self._note(end_visit(entry.visit, "open", entry.totals, now=time.time()))
        else:
            self._end(entry, outcome.ending)

    def _fail_entry(self, entry: OpenVisit, error: TMAPIError | None) -> None:
        entry.error = error
        self._end(entry, "failed")
        self._left[entry.visit.listing] = entry
        if len(self._left) > _MOST_LEFT:
            del self._left[next(iter(self._left))]

    def _end(self, entry: OpenVisit, state: State) -> None:
        visit, totals = entry.visit, entry.totals
        self._held -= totals.pages
        if not entry.part:
            self.tally.count_ending(state)
            self._pace.listing_ended(totals.pages)
        if self._expected is not None:
            self._expected -= visit.expected_pages or 0
        if state == "failed":
            self._note(_failed(entry))
            return
        # Look-ahead past the end may have failed; nobody needs it.
        self._note(forget_failures(visit))
        cut = state == "capped" and entry.more and self._max_pages is not None
        capped_at = self._max_pages if cut else None
        self._note(end_visit(visit, state, totals, now=time.time(), capped_at=capped_at))

    def _note(self, *changes: Statement) -> None:
        try:
            self._journal.apply(*changes)
        except JournalError as error:
            self._broken(error)


def _failed(entry: OpenVisit) -> Statement:
    return end_visit(entry.visit, "failed", entry.totals, now=time.time(), error=entry.error)
