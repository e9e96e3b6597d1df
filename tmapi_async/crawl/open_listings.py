"""Open listings of a crawl: pages so far, totals, and endings. No I/O."""

from __future__ import annotations

from copy import copy
from datetime import datetime

from tmapi_async.api.items import Item
from tmapi_async.api.listings import USUAL_CEILING, Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.errors import (
    ChangedShapeError,
    EndlessListingError,
    IncompleteListingError,
    ListingsFailedError,
    Progress,
    TMAPIError,
)
from tmapi_async.journal.summaries.verdict import SHIFTED
from tmapi_async.limits.outage_queue import duration

from .answers import Answer
from .frontier import Frontier
from .loop_guard import GuardPolicy, LoopGuard
from .outcomes import Ending, ListingCounts, ListingOutcome, ListingTask
from .seam import Look, SeamWalk
from .sink import CrawlSink

LONGEST_GAP = 60.0
"""Seconds between two pages of a listing, one of them from the cache, that count as one sitting."""

_MAX_ASKED_AGAIN = 3  # pages of a listing that are requested once more: each may be paid for
_MAX_ERRORS = 100
_MAX_NAMED = 10
_USUAL_PAGE = 20  # rows; for listings of which no page said its size


class OpenListing:
    """A listing that has begun and not ended.

    Attributes:
        task: The task that opened the listing.
        guard: Detects duplicates and endless listings.
        early_pages: Pages that wait for earlier ones, by number.
        held_pages: Numbers of those that are held back from the sink until they are delivered.
        pages: Number of pages seen, in page order.
        items: Number of items on them.
        rejects: Number of rows on them that could not be decoded.
        missing: First page that was neither seen nor stored before this crawl.
        page_size: Page size that the server echoed last.
        last_page: Number of the last page seen, or the first page to walk.
        total: Rows in the whole listing according to the last page with a total, or None.
        empty_page: True if a page was empty where its total says that a full page must be.
        seam: Requests of stored pages that come before all others, or None.
        shifted: Reason why rows may be missing between two sittings, or None.
        asked_again: Number of pages requested once more because they denied their own total.
        reason: Reason why the first reject could not be decoded, or None.
        error: Error that will fail the listing, or None.
        read_at: Time of the last page seen, once a page came from the cache; or None.
    """

    __slots__ = (
        "asked_again", "early_pages", "empty_page", "error", "guard", "held_pages", "items",
        "last_page", "missing", "page_size", "pages", "read_at", "reason", "rejects", "seam",
        "shifted", "task", "total",
    )  # fmt: skip

    def __init__(self, task: ListingTask, guard: LoopGuard) -> None:
        self.task = task
        self.guard = guard
        self.early_pages: dict[int, Page] = {}
        self.held_pages: set[int] = set()
        self.pages = self.items = self.rejects = 0
        self.page_size = self.asked_again = 0
        self.missing = self.last_page = task.first
        self.total = task.stored_total
        self.seam = SeamWalk(task.seam) if task.seam is not None else None
        self.shifted = task.shifted
        self.empty_page = False
        self.reason: str | None = None
        self.read_at: datetime | None = None
        self._skip_stored_pages()
        self.error: TMAPIError | None = None

    def may_ask_again(self) -> bool:
        """Return True, and count it, if one more page may be requested once more."""
        if self.asked_again >= _MAX_ASKED_AGAIN:
            return False
        self.asked_again += 1
        return True

    def add_page(self, page: Page) -> list[Item]:
        """Count the next page, in page order; return the items that are new to the listing."""
        if page.from_cache or self.read_at is not None:
            self._compare_ages(page)
        items, rejects, number = page.items, page.rejects, page.request.number
        self.pages += 1
        self.items += len(items)
        self.page_size = page.page_size or len(items)
        self.last_page = number
        if page.total_count:
            self.total = page.total_count
        if rejects:
            self.rejects += len(rejects)
            if self.reason is None:
                self.reason = rejects[0].reason
        elif not items and page.denies_total:
            self.empty_page = True
        if number == self.missing:
            self.missing = number + 1
            if self.task.stored_pages:
                self._skip_stored_pages()
        return self.guard.add_page(items, rejects)

    def count_in(self, counts: ListingCounts) -> None:
        """Add the pages so far to totals."""
        # The splitter counts the distinct items across the parts of a listing.
        new_items = 0 if self.task.part else self.items - self.guard.duplicates
        counts.add_pages(self.pages, self.items, new_items, self.rejects)

    def _compare_ages(self, page: Page) -> None:
        """Note that rows may have moved between a page from the cache and its neighbour."""
        before, self.read_at = self.read_at, page.fetched_at
        if before is None or self.shifted is not None:
            return
        gap = (page.fetched_at - before).total_seconds()
        if abs(gap) > LONGEST_GAP:
            order = "after" if gap > 0 else "before"
            self.shifted = (
                f"{SHIFTED}: page {page.number} was read {duration(abs(gap))} {order} page "
                f"{self.last_page}, and one of the two comes from the cache"
            )

    def repeats(self, page: Page) -> bool:
        """Return True if a page has rows, and the pages read so far or one early page hold all."""
        if not page.rows:
            return False
        if self.guard.has_shown(page):
            return True
        rows = _row_keys(page)
        return any(rows <= _row_keys(early) for early in self.early_pages.values())

    def open_in(self, frontier: Frontier) -> Answer:
        """Open the listing in a frontier: at first for the stored page to request once more."""
        task = self.task
        if self.seam is not None:
            return frontier.open(task.listing, first=self.seam.number, max_pages=1)
        return frontier.open(
            task.listing,
            first=task.first,
            max_pages=task.max_pages,
            hint=task.hint,
            stored_pages=task.stored_pages,
        )

    def add_look(self, request: PageRequest, page: Page | None) -> Look:
        """Compare a stored page that was requested once more with the stored rows.

        Args:
            request: The request.
            page: The page, or None if the request failed.
        """
        assert self.seam is not None  # noqa: S101 - the caller has checked it
        look = self.seam.add(request, page, self.guard)
        self.shifted = self.shifted or look.shifted
        if look.last:
            self.seam = None
        if look.page is not None:
            self.guard.mark_seen(look.page.items)
        return look

    def _skip_stored_pages(self) -> None:
        while self.missing in self.task.stored_pages:
            self.missing += 1

    @property
    def rows(self) -> int:
        """Number of rows walked, counted from the start of the listing."""
        skipped = (self.task.first - 1) * self.page_size
        return skipped + self.task.stored_rows + self.items + self.rejects

    def disproof(self) -> TMAPIError | None:
        """Return the error of a listing that went to its end and is not complete, or None.

        The server says that a listing has ended; its own figures can prove it wrong. Rows of a live
        ranking leave while it is read, and some servers leave rows out of their pages: up to a
        tenth of the total, or less than a page, may be missing, but never more than half, and no
        whole page in the middle.
        """
        rows, total = self.rows, self.total or 0
        read_rows = self.task.stored_rows + self.items + self.rejects
        if read_rows and not self.items and not self.guard.unique:
            error: TMAPIError = unreadable_rows(read_rows, self.reason)
        elif self._is_short(rows, min(total, USUAL_CEILING)):
            error = IncompleteListingError(
                f"its total_count says {total} rows, and {rows} came; no next page"
            )
        else:
            return None
        listing = self.task.listing
        error.locate(listing.endpoint, listing.identity, self.last_page, 1)
        return error

    def _is_short(self, rows: int, total: int) -> bool:
        """Return True if too many of the promised rows are missing."""
        if self.task.first > 1 and not self.page_size:
            return False  # the number of rows before the first page is not known
        missing = total - rows
        tolerance = min(total // 2, max((self.page_size or _USUAL_PAGE) - 1, total // 10))
        return missing > tolerance or (missing > 0 and self.empty_page)

    def outcome(self, ending: Ending) -> ListingOutcome:
        """Return the outcome of the listing."""
        return ListingOutcome(
            listing=self.task.listing,
            ending=ending,
            pages=self.pages,
            items=self.items,
            unique=self.guard.unique,
            duplicates=self.guard.duplicates,
            rejects=self.rejects,
            error=self.error,
            shifted=self.shifted,
            total=self.total,
        )


def unreadable_rows(rows: int, reason: str | None) -> ChangedShapeError:
    """Return the error of a listing of which no row can be decoded.

    Args:
        rows: Number of its rows.
        reason: Reason why the first of them cannot be decoded, or None.
    """
    which = f"none of the {rows:,} rows of the listing can" if rows > 1 else "its only row cannot"
    ending = f": {reason}" if reason else ""
    return ChangedShapeError(f"{which} be decoded{ending}")


def _row_keys(page: Page) -> set[int | bytes]:
    return {*(item.row_id for item in page.items), *(reject.raw for reject in page.rejects)}


class OpenListings:
    """The open listings of a crawl, and the totals of all its listings.

    Args:
        policy: Limits beyond which a listing counts as endless.
        sink: Receives the outcome of each listing.

    Attributes:
        failures: Errors that failed listings; at most 100 are kept.
        get: Returns an open listing, or None. Called for each page, so without a call in between.
    """

    def __init__(self, policy: GuardPolicy, sink: CrawlSink) -> None:
        self._counts = ListingCounts()  # without the pages of open listings
        self.failures: list[TMAPIError] = []
        self._policy = policy
        self._sink = sink
        self._open: dict[Listing, OpenListing] = {}
        self.get = self._open.get

    def __len__(self) -> int:
        return len(self._open)

    @property
    def counts(self) -> ListingCounts:
        """Totals so far."""
        counts = copy(self._counts)
        for entry in self._open.values():
            entry.count_in(counts)
        return counts

    def all(self) -> list[OpenListing]:
        """Return all open listings."""
        return list(self._open.values())

    def begin(self, task: ListingTask) -> OpenListing:
        """Add a listing."""
        entry = OpenListing(task, LoopGuard(self._policy, task.stored_ids))
        self._open[task.listing] = entry
        self._counts.listings += not task.part
        return entry

    def deliver(self, entry: OpenListing, number: int) -> Page:
        """Hand the next page of a listing, one of its early pages, to the sink."""
        page = entry.early_pages.pop(number)
        if entry.held_pages and number in entry.held_pages:
            self._sink.page(page)
        self._sink.ordered_page(page, entry.add_page(page))
        return page

    def deliver_new(self, entry: OpenListing, numbers: tuple[int, ...]) -> int:
        """Deliver early pages that hold a new row; return how many others are left out."""
        repeats = 0
        for number in numbers:
            if entry.guard.has_shown(entry.early_pages[number]):
                repeats += 1
            else:
                self.deliver(entry, number)
        return repeats

    def fail(self, entry: OpenListing, error: TMAPIError) -> None:
        """Note an error that will fail a listing. The error of the earliest page is kept."""
        if entry.error is None or (error.page or 0) < (entry.error.page or 0):
            entry.error = error

    def fail_as_endless(self, entry: OpenListing, reason: str) -> None:
        """Note that a listing never ends."""
        listing = entry.task.listing
        error = EndlessListingError(f"{reason}; the listing was given up as endless")
        error.locate(listing.endpoint, listing.identity, entry.task.first + entry.pages - 1, 1)
        entry.error = error

    def end(self, entry: OpenListing, ending: Ending) -> None:
        """Remove a listing that has ended, and hand its outcome to the sink."""
        if self._open.pop(entry.task.listing, None) is not None:
            entry.count_in(self._counts)
        if ending == "complete" and not entry.task.part:
            ending = self._judge(entry)
        elif ending == "complete" and entry.shifted is not None:
            # The splitter compares the parts of a listing with its total.
            ending = "shifted"
        if ending == "failed" and entry.error is not None and len(self.failures) < _MAX_ERRORS:
            self.failures.append(entry.error)
        if not entry.task.part:
            self._counts.add_ending(ending)
        self._sink.ended(entry.outcome(ending))

    def _judge(self, entry: OpenListing) -> Ending:
        """Return the ending of a listing that went to the end which the server states."""
        error = entry.disproof()
        if error is not None:
            self.fail(entry, error)
            return "failed"
        if entry.rows == USUAL_CEILING:
            return "capped"
        return "complete" if entry.shifted is None else "shifted"

    def count_split(self, outcome: ListingOutcome) -> None:
        """Count a listing that was walked in parts, once they have ended."""
        self._counts.listings += 1
        self._counts.add_split(outcome)
        error = outcome.error
        if outcome.ending == "failed" and error is not None and error not in self.failures:
            self.failures.append(error)

    def take_failure(self) -> TMAPIError | None:
        """Return the error of a crawl whose listings have failed, once; None if none has."""
        failures, self.failures = self.failures, []
        if not failures:
            return None
        counts = self.counts
        only = counts.listings == 1
        return failures[0] if only else ListingsFailedError(tuple(failures), counts.failed)

    def stop(self) -> None:
        """End every open listing as stopped."""
        for entry in self.all():
            self.end(entry, "stopped")

    def progress(self, *, more: bool) -> Progress:
        """Return the finished and the remaining work, for an error.

        Args:
            more: True if listings remain that have not begun.
        """
        names = [f"{entry.task.listing} from page {entry.missing}" for entry in self.all()]
        counts = self.counts
        return Progress(
            pages=counts.pages,
            items=counts.items,
            complete=counts.complete + counts.capped + counts.shifted,
            open=tuple(names[:_MAX_NAMED]),
            open_count=len(names),
            more=more,
        )
