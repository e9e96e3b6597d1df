"""Record the results of a crawl: pages into the journal, listings as they begin and end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.seam import Look, find_seam
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.crawl.splitting import Reconciliation
from tmapi_async.errors import (
    BodyError,
    ChangedShapeError,
    JournalError,
    StaleReplyError,
    TMAPIError,
)
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.plan import Plan, Start
from tmapi_async.journal.records import PageRecord, State, Visit, look_number
from tmapi_async.journal.resume import (
    DecodedPages,
    changed_shape,
    decode_stored,
    read_seam_history,
)
from tmapi_async.journal.statements import (
    Statement,
    begin_visit,
    end_visit,
    fail_page,
    forget_failures,
    store_look,
)
from tmapi_async.journal.summaries.forecast import Remaining
from tmapi_async.journal.summaries.throughput import Throughput
from tmapi_async.journal.summaries.verdict import SHIFTED

from .open_visit import OpenVisit

_MAX_FAILED = 256


class Recorder(CrawlSink):
    """Bookkeeping of one start, as the sink of its crawl.

    Args:
        journal: The journal.
        plan: The plan of the start.
        max_pages: Maximum number of pages per listing, or None.
        most_rejects: Maximum share of a page's rows that may be rejects.
        fail: Fails a listing of the crawl soon, but not during the call.
        broken: Called when the journal has failed.

    Attributes:
        tally: Totals of the requested listings over all their starts.
        pages: Pages stored by this start.
        failed_pages: Pages of this start that failed.
        second_looks: Stored pages that this start requested once more.
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
        self.pages = self.failed_pages = self.second_looks = 0
        self._journal = journal
        self._start = Start(0, 0, plan.unfinished)
        self._began_at = 0.0
        self._max_pages = max_pages
        self._most_rejects = most_rejects
        self._fail = fail
        self._broken = broken
        self._open: dict[Listing, OpenVisit] = {}
        # Listings that failed lately: pages of them may still be on the wire.
        self._failed: dict[Listing, OpenVisit] = {}
        self._begun_visits = 0  # of those that earlier starts began, reached so far
        self._throughput = Throughput(time.monotonic())
        known = plan.unfinished.known
        self._open_pages = sum(visit.totals.pages for visit in known)
        lengths = [visit.expected_pages for visit in known if visit.expected_pages is not None]
        self._expected_pages = sum(lengths) if len(lengths) == len(plan.unfinished) else None

    def begin(self, start: Start) -> None:
        """Set the recorded start. Call this method before any other."""
        self._start, self._began_at = start, time.monotonic()

    def find_visit(self, listing: Listing) -> Visit | None:
        """Return the visit of a listing that is being walked, or None."""
        entry = self._open.get(listing)
        return entry.visit if entry is not None else None

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """Results of the listings that this start divided."""
        return ()

    @property
    def ids_only(self) -> bool:
        """True: a journal keeps bodies, and counts distinct IDs."""
        return True

    @property
    def resumable(self) -> bool:
        """True: a later start continues listings that are stopped."""
        return True

    @property
    def pending(self) -> int:
        """Number of pages that await their commit; endless while the journal is in trouble."""
        return self._journal.backlog

    @property
    def open_listings(self) -> int:
        """Number of listings that were begun and have not ended."""
        return len(self._open)

    def forecast(self, now: float) -> tuple[float, Remaining | None]:
        """Return the recent pages per second, and the seconds until the end or None if unknown."""
        rate = self._throughput.rate(now, self.pages)
        sizes = [entry.pages for entry in self._open.values() if not entry.part]
        expected = self._expected_pages
        eta = self._throughput.eta(
            rate,
            open_sizes=sizes,
            waiting=max(0, self.tally.left - len(sizes)),
            expected=None if expected is None else max(0, expected - self._open_pages),
        )
        return rate, eta

    async def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """Yield the listings to walk, one at a time, each with its stored pages."""
        for visit in self._start.visits:
            self._begun_visits += visit.begun
            stored = self._read(visit) if visit.begun else DecodedPages()
            if stored is None:
                continue
            self._journal.apply(begin_visit(visit, time.time()))
            if visit.begun:
                self._journal.apply(forget_failures(visit))
            entry = self._open[visit.listing] = OpenVisit(
                visit, stored.totals, has_next_page=stored.has_next_page
            )
            if stored.pages:
                self._add_seam(entry, stored)
            yield entry.task(stored, self._max_pages)

    async def reopen(self, listing: Listing) -> ListingTask | None:
        """Return the task of a begun listing again, with all pages that are stored by now.

        Returns:
            The task; None if the listing has ended, or if its stored pages fail it.

        Raises:
            JournalError: The journal has failed.
        """
        entry = self._open.get(listing)
        if entry is None or entry.error is not None:
            self._end_failed(listing)
            return None
        await self._journal.flush()
        visit = entry.visit
        try:
            stored = decode_stored(self._journal.stored_pages(visit), self._most_rejects)
        except BodyError as damaged:
            entry.error = damaged
            self._end_failed(listing)
            return None
        self._journal.apply(forget_failures(visit))
        return entry.task(stored, self._max_pages)

    def _add_seam(self, entry: OpenVisit, stored: DecodedPages) -> None:
        history = self._journal.read(
            lambda connection: read_seam_history(connection, entry.visit.id)
        )
        entry.stored_pages, entry.shifted = stored.pages, history.shifted
        # After one shift that leaves rows unseen, another look would only cost money.
        if history.shifted is None and history.needs_look(time.time()):
            entry.seam = find_seam(stored.pages, stored.rows)

    def _end_failed(self, listing: Listing) -> None:
        entry = self._open.pop(listing, None)
        if entry is not None:
            self._fail_entry(entry, entry.error)

    async def suspend(self, listing: Listing) -> None:
        """Record the totals of a begun listing that no crawl continues in this start.

        Raises:
            JournalError: The journal has failed.
        """
        entry = self._open.pop(listing, None)
        if entry is None or not entry.has_new_pages:
            return  # the totals that an earlier start recorded are still valid
        if entry.error is not None:
            self._fail_entry(entry, entry.error)
            return
        await self._journal.flush()
        with contextlib.suppress(BodyError):
            stored = decode_stored(self._journal.stored_pages(entry.visit))
            self.tally.unique_items += len(stored.item_ids) - entry.unique_items
            entry.unique_items = len(stored.item_ids)
            self._apply(end_visit(entry.visit, "open", entry.totals, now=time.time()))

    def _read(self, visit: Visit) -> DecodedPages | None:
        """Return the stored pages of a visit, or None if they fail the visit."""
        try:
            stored = decode_stored(self._journal.stored_pages(visit), self._most_rejects)
        except BodyError as damaged:
            self._fail_entry(OpenVisit(visit, visit.totals), damaged)
            return None
        self.tally.add(visit.totals, -1)
        self.tally.add(stored.totals)
        self._open_pages += stored.count - visit.totals.pages
        if stored.changed is None:
            return stored
        error = ChangedShapeError(stored.changed)
        error.locate(visit.listing.endpoint, visit.listing.identity, stored.totals.last_page, 0)
        self._fail_entry(OpenVisit(visit, stored.totals), error)
        return None

    def count_unreached(self) -> None:
        """Count the distinct items of open listings that this start did not reach.

        Only listings that a kill left open have no count in the journal.
        """
        begun = [visit for visit in self._start.visits.known if visit.begun]
        for visit in begun[self._begun_visits :]:
            if visit.state == "open" and visit.totals.pages and not visit.totals.unique_items:
                with contextlib.suppress(BodyError):
                    stored = decode_stored(self._journal.stored_pages(visit))
                    self.tally.unique_items += len(stored.item_ids)

    def page(self, page: Page) -> None:
        """Store a page."""
        listing = page.request.listing
        entry = self._open.get(listing) or self._failed.get(listing)
        if entry is not None:
            self._store(entry, PageRecord.of(page))

    def looked(self, look: Look) -> None:
        """Record the result of requesting a stored page once more."""
        record = PageRecord.of(look.page) if look.page is not None and look.new else None
        self.store_look(look, record)

    def store_look(self, look: Look, record: PageRecord | None) -> bool:
        """Record a look; `record` is the page if it shows rows that the visit lacks.

        Both are durable before any page of the second sitting.

        Returns:
            True if the journal took the page.
        """
        entry = self._open.get(look.request.listing)
        if entry is None:
            return False
        self.second_looks += 1
        entry.add_look(look)
        start, number = self._start.id, look.request.number
        stored = False
        if record is not None:
            stored_number = look_number(start, number)
            stored = self._store(entry, msgspec.structs.replace(record, number=stored_number))
        result = (look.left, look.came, look.shifted)
        self._apply(store_look(entry.visit, number, *result, start=start, now=time.time()))
        return stored

    def store(self, pages: Sequence[tuple[Visit, PageRecord]]) -> int:
        """Store pages that workers decoded. Return how many of them the journal took.

        All but a few of a message are usual ones, which are submitted and counted together.
        """
        usual, stored = [], 0
        for pair in pages:
            visit, page = pair
            entry = self._open.get(visit.listing)
            if entry is None or entry.error is not None or page.age or page.rejects:
                entry = entry or self._failed.get(visit.listing)
                stored += entry is not None and self._store(entry, page)
            else:
                usual.append(pair)
        return stored + self._store_usual(usual)

    def _store_usual(self, pages: Sequence[tuple[Visit, PageRecord]]) -> int:
        try:
            self._journal.submit(*pages)
        except JournalError as error:
            self._broken(error)
            return 0
        for visit, page in pages:
            self._open[visit.listing].add(page)
        self.pages += len(pages)
        self._open_pages += len(pages)
        self.tally.add_pages(len(pages), sum(page.items for _, page in pages), 0)
        return len(pages)

    def _store(self, entry: OpenVisit, page: PageRecord) -> bool:
        if page.age and self._is_stale(page):
            if entry.error is None:
                self._fail_at(entry, page, StaleReplyError(f"the page is {page.age:.0f} s old"))
            return False
        if entry.error is not None and page.number in entry.stored_pages:
            return False  # the listing failed while it was requested once more
        try:
            self._journal.submit((entry.visit, page))
        except JournalError as error:
            self._broken(error)
            return False
        entry.add(page)
        self.pages += 1
        self.tally.add_pages(1, page.items, len(page.rejects))
        if self._failed and entry.visit.listing in self._failed:
            self._apply(entry.failure(time.time()))
            return True
        self._open_pages += 1
        if entry.error is None and page.rejects:
            self._check_shape(entry, page)
        return True

    def _is_stale(self, page: PageRecord) -> bool:
        """Return True if a page is older than this start, and its run asks for all pages again."""
        return self._start.run > 1 and page.age > time.monotonic() - self._began_at

    def _check_shape(self, entry: OpenVisit, page: PageRecord) -> None:
        changed = changed_shape(page.items, page.rejects, self._most_rejects)
        if changed is not None:
            self._fail_at(entry, page, ChangedShapeError(changed))

    def _fail_at(self, entry: OpenVisit, page: PageRecord, error: TMAPIError) -> None:
        listing = entry.visit.listing
        error.locate(listing.endpoint, listing.identity, page.number, page.attempts)
        entry.error = error
        self._fail(listing, error)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Record a page that failed."""
        entry = self._open.get(request.listing)
        if entry is not None:
            self.failed_pages += 1
            start, now = self._start.id, time.time()
            self._apply(fail_page(entry.visit, request.number, error, start=start, now=now))

    def ended(self, outcome: ListingOutcome) -> None:
        """Record the outcome of a listing."""
        entry = self._open.pop(outcome.listing)
        # The crawl also counts the items of pages that were refused here.
        unique = outcome.unique if entry.error is None else min(outcome.unique, entry.items)
        if not entry.part:
            self.tally.unique_items += unique - entry.unique_items
        entry.unique_items = unique
        if entry.error is not None or outcome.ending == "failed":
            self._fail_entry(entry, entry.error or outcome.error)
        elif outcome.ending == "stopped":
            self._apply(end_visit(entry.visit, "open", entry.totals, now=time.time()))
        else:
            self._end(entry, outcome.ending)

    def _fail_entry(self, entry: OpenVisit, error: TMAPIError | None) -> None:
        entry.error = error
        self._end(entry, "failed")
        self._failed[entry.visit.listing] = entry
        if len(self._failed) > _MAX_FAILED:
            del self._failed[next(iter(self._failed))]

    def _end(self, entry: OpenVisit, state: State) -> None:
        visit, totals = entry.visit, entry.totals
        self._open_pages -= totals.pages
        if not entry.part:
            self.tally.count_ending(visit.listing, state, totals, divided=entry.divided)
            self._throughput.listing_ended(totals.pages)
        if self._expected_pages is not None:
            self._expected_pages -= visit.expected_pages or 0
        if state == "failed":
            self._apply(entry.failure(time.time()))
            return
        # Look-ahead past the end may have failed. Nobody needs those pages.
        self._apply(forget_failures(visit))
        cut = state == "capped" and entry.has_next_page and self._max_pages is not None
        capped_at = self._max_pages if cut else None
        now, shifted = time.time(), entry.shifted or SHIFTED
        self._apply(end_visit(visit, state, totals, now=now, capped_at=capped_at, shifted=shifted))

    def _apply(self, *changes: Statement) -> None:
        try:
            self._journal.apply(*changes)
        except JournalError as error:
            self._broken(error)
