"""Keeps what a crawl brings: pages into the journal, listings as they begin and end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable

from ..errors import TMAPIError
from ..listings import Listing, PageRequest
from ..outcomes import ListingOutcome, Opening
from ..replies import Page
from .changes import Statement, failures_forgotten, page_failed, visit_began, visit_ended
from .errors import BodyError, ChangedShapeError, JournalError
from .journal import Journal
from .planning import Plan, Start
from .progress import Pace
from .records import PageRecord, State, Totals, Visit
from .resume import Held, changed_shape, decode_held


class _Open:
    """A listing being walked, with what it holds, pages of earlier starts included."""

    __slots__ = ("before", "error", "items", "last", "more", "pages", "rejects", "total", "visit")

    def __init__(self, visit: Visit, held: Held) -> None:
        self.visit = visit
        self.before = len(held.seen)
        self.pages, self.items, self.rejects = len(held.pages), held.items, held.rejects
        self.last = max(held.pages, default=0)
        self.more = held.pages.get(self.last, False)
        self.total = held.total_count
        self.error: TMAPIError | None = None

    def add(self, page: Page) -> None:
        """Count a page."""
        self.pages += 1
        self.items += len(page.items)
        self.rejects += len(page.rejects)
        self.total = page.total_count or self.total
        if page.number > self.last:
            self.last, self.more = page.number, page.has_next_page

    def totals(self, unique: int) -> Totals:
        """What it holds."""
        return Totals(self.pages, self.items, unique, self.rejects, self.last, self.total)


class Keeper:
    """The bookkeeping of one start. Its `page`, `failed` and `ended` are hooks of the crawl.

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
        self._open: dict[Listing, _Open] = {}
        self._left: _Open | None = None  # the one failed last: pages of it may be on the wire
        self._reached = 0  # visits of the start that have had their turn
        self._pace = Pace()
        self._held = sum(visit.totals.pages for visit in plan.unfinished)
        known = [visit.expected for visit in plan.unfinished if visit.expected is not None]
        self._expected = sum(known) if len(known) == len(plan.unfinished) else None

    def begin(self, start: Start) -> None:
        """Take the start as recorded; before anything else."""
        self._start = start

    @property
    def open(self) -> int:
        """Listings begun and not ended."""
        return len(self._open)

    def outlook(self, now: float) -> tuple[float, float | None]:
        """Pages a second of late, and seconds until the end or None while nothing tells."""
        rate = self._pace.rate(now, self.pages)
        left = self.tally.left
        return rate, self._pace.eta(rate, left=left, held=self._held, expected=self._expected)

    async def openings(self) -> AsyncGenerator[Opening, None]:
        """The listings to walk, each with what is held of it, one at a time."""
        for visit in self._start.visits:
            self._reached += 1
            held = self._read(visit) if visit.begun else Held()
            if held is None:
                continue
            self._journal.apply(visit_began(visit, time.time()))
            if visit.begun:
                self._journal.apply(failures_forgotten(visit))
            self._open[visit.listing] = _Open(visit, held)
            yield Opening(
                listing=visit.listing,
                max_pages=self._max_pages,
                expected=visit.expected,
                held=held.pages,
                seen=held.seen,
                rows=held.items + held.rejects,
            )

    def _read(self, visit: Visit) -> Held | None:
        """What is held of a visit; None if that fails it before anything is asked of it."""
        try:
            held = decode_held(self._journal.held(visit), visit.listing, self._most_rejects)
        except BodyError as damaged:
            self._end(_Open(visit, Held()), "failed", visit.totals, damaged)
            return None
        self.tally.add(visit.totals, -1)
        self.tally.add(held.totals)
        self._held += len(held.pages) - visit.totals.pages
        if held.changed is None:
            return held
        error = ChangedShapeError(held.changed)
        error.locate(visit.listing.endpoint, visit.listing.identity, held.totals.last_page, 0)
        self._end(_Open(visit, held), "failed", held.totals, error)
        return None

    def count_the_rest(self) -> None:
        """Count the distinct items of listings a kill left open and this start did not reach."""
        for visit in self._start.visits[self._reached :]:
            if visit.state == "open" and visit.totals.pages and not visit.totals.unique_items:
                with contextlib.suppress(BodyError):
                    held = decode_held(self._journal.held(visit), visit.listing)
                    self.tally.unique_items += len(held.seen)

    def page(self, page: Page) -> None:
        """Keep a page."""
        listing = page.request.listing
        entry = self._open.get(listing) or self._left
        if entry is None or entry.visit.listing != listing:
            return
        try:
            self._journal.give(_record(entry.visit, page))
        except JournalError as error:
            self._broken(error)
            return
        entry.add(page)
        self.pages += 1
        self._held += 1
        self.tally.add(Totals(1, len(page.items), 0, len(page.rejects), 0))
        if entry.error is None and page.rejects:
            self._judge(entry, page)

    def _judge(self, entry: _Open, page: Page) -> None:
        changed = changed_shape(page, self._most_rejects)
        if changed is not None:
            listing = page.request.listing
            entry.error = ChangedShapeError(changed)
            entry.error.locate(listing.endpoint, listing.identity, page.number, page.attempts)
            self._fail(listing, entry.error)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Note a page that could not be had."""
        entry = self._open.get(request.listing)
        if entry is not None:
            self.failed_pages += 1
            start, now = self._start.id, time.time()
            self._note(page_failed(entry.visit, request.number, error, start=start, now=now))

    def ended(self, outcome: ListingOutcome) -> None:
        """Note how a listing ended."""
        entry = self._open.pop(outcome.listing)
        totals = entry.totals(outcome.unique)
        self.tally.unique_items += outcome.unique - entry.before
        error = entry.error or outcome.error
        if entry.error is None and outcome.ending == "stopped":
            self._note(visit_ended(entry.visit, "open", totals, now=time.time()))
            return
        state: State = "failed"
        if entry.error is None and outcome.ending != "stopped":
            state = outcome.ending
        self._end(entry, state, totals, error)
        self._left = entry if state == "failed" else self._left

    def _end(
        self, entry: _Open, state: State, totals: Totals, error: TMAPIError | None = None
    ) -> None:
        visit, now = entry.visit, time.time()
        self.tally.end(state)
        self._pace.listing_ended(totals.pages)
        self._held -= totals.pages
        if self._expected is not None:
            self._expected -= visit.expected or 0
        cut = state == "capped" and entry.more and self._max_pages is not None
        capped_at = self._max_pages if cut else None
        if state != "failed":
            # Look-ahead past the end may have failed; nobody needs it.
            error = None
            self._note(failures_forgotten(visit))
        self._note(visit_ended(visit, state, totals, now=now, capped_at=capped_at, error=error))

    def _note(self, change: Statement) -> None:
        try:
            self._journal.apply(change)
        except JournalError as error:
            self._broken(error)


def _record(visit: Visit, page: Page) -> PageRecord:
    return PageRecord(
        visit,
        page.number,
        page.body,
        page.fetched_at.timestamp(),
        page.attempts,
        page.latency,
        200,  # the API's code of a page
        page.page_size,
        page.has_next_page,
        page.total_count,
        len(page.items),
        page.rejects,
    )
