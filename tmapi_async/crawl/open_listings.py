"""Open listings of a crawl: pages so far, totals, and endings. No I/O."""

from __future__ import annotations

from tmapi_async.api.items import Item
from tmapi_async.api.listings import Listing
from tmapi_async.api.replies import Page
from tmapi_async.errors import EndlessListingError, Progress, TMAPIError

from .loop_guard import GuardPolicy, LoopGuard
from .outcomes import USUAL_CEILING, Ending, ListingCounts, ListingOutcome, ListingTask
from .sink import CrawlSink

_MAX_ERRORS = 100
_MAX_NAMED = 10


class OpenListing:
    """A listing that has begun and not ended.

    Attributes:
        task: The task that opened the listing.
        guard: Detects duplicates and endless listings.
        early_pages: Pages that wait for earlier ones, by number.
        pages: Number of pages seen, in page order.
        items: Number of items on them.
        rejects: Number of rows on them that could not be decoded.
        missing: First page that was neither seen nor stored before this crawl.
        page_size: Page size that the server echoed last.
        error: Error that will fail the listing, or None.
    """

    __slots__ = (
        "early_pages",
        "error",
        "guard",
        "items",
        "missing",
        "page_size",
        "pages",
        "rejects",
        "task",
    )

    def __init__(self, task: ListingTask, guard: LoopGuard) -> None:
        self.task = task
        self.guard = guard
        self.early_pages: dict[int, Page] = {}
        self.pages = self.items = self.rejects = 0
        self.page_size = 0
        self.missing = task.first
        self._skip_stored_pages()
        self.error: TMAPIError | None = None

    def add_page(self, page: Page) -> list[Item]:
        """Count the next page, in page order; return the items that are new to the listing."""
        new_items = self.guard.add_page(page.items, page.rejects)
        self.pages += 1
        self.items += len(page.items)
        self.rejects += len(page.rejects)
        self.page_size = page.page_size or len(page.items)
        if page.number == self.missing:
            self.missing += 1
            self._skip_stored_pages()
        return new_items

    def _skip_stored_pages(self) -> None:
        while self.missing in self.task.stored_pages:
            self.missing += 1

    @property
    def rows(self) -> int:
        """Number of rows walked, counted from the start of the listing."""
        skipped = (self.task.first - 1) * self.page_size
        return skipped + self.task.stored_rows + self.items + self.rejects

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
        )


class OpenListings:
    """The open listings of a crawl, and the totals of all its listings.

    Args:
        policy: Limits beyond which a listing counts as endless.
        sink: Receives the outcome of each listing.

    Attributes:
        counts: Totals so far.
        failures: Errors that failed listings; at most 100 are kept.
    """

    def __init__(self, policy: GuardPolicy, sink: CrawlSink) -> None:
        self.counts = ListingCounts()
        self.failures: list[TMAPIError] = []
        self._policy = policy
        self._sink = sink
        self._open: dict[Listing, OpenListing] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, listing: Listing) -> OpenListing | None:
        """Return an open listing, or None."""
        return self._open.get(listing)

    def all(self) -> list[OpenListing]:
        """Return all open listings."""
        return list(self._open.values())

    def begin(self, task: ListingTask) -> OpenListing:
        """Add a listing."""
        entry = OpenListing(task, LoopGuard(self._policy, task.stored_ids))
        self._open[task.listing] = entry
        self.counts.listings += not task.part
        return entry

    def count(self, entry: OpenListing, page: Page) -> list[Item]:
        """Count the next page of a listing; return the items that are new to the listing."""
        new_items = entry.add_page(page)
        # The splitter counts the distinct items across the parts of a listing.
        new = 0 if entry.task.part else len(new_items)
        self.counts.add_page(len(page.items), new, len(page.rejects))
        return new_items

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
        self._open.pop(entry.task.listing, None)
        if ending == "complete" and entry.rows == USUAL_CEILING:
            ending = "capped"
        if ending == "failed" and entry.error is not None and len(self.failures) < _MAX_ERRORS:
            self.failures.append(entry.error)
        if not entry.task.part:
            self.counts.add_ending(ending)
        self._sink.ended(entry.outcome(ending))

    def count_split(self, outcome: ListingOutcome) -> None:
        """Count a listing that was walked in parts, once they have ended."""
        self.counts.listings += 1
        self.counts.add_split(outcome)

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
        return Progress(
            pages=self.counts.pages,
            items=self.counts.items,
            complete=self.counts.complete + self.counts.capped,
            open=tuple(names[:_MAX_NAMED]),
            open_count=len(names),
            more=more,
        )
