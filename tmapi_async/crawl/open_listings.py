"""What is known of the listings of a crawl: what each has brought, how it ended. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from tmapi_async.api.items import Item
from tmapi_async.api.listings import Listing
from tmapi_async.api.replies import Page
from tmapi_async.errors import EndlessListingError, Progress, TMAPIError

from .loop_guard import GuardPolicy, LoopGuard
from .outcomes import USUAL_CEILING, Counts, Ending, ListingOutcome, ListingTask

_MOST_ERRORS = 100
_MOST_NAMED = 10


class OpenListing:
    """An open listing.

    Attributes:
        opening: What was asked for.
        guard: Watches for duplicates and for listings that never end.
        held: Pages that wait for earlier ones, by number.
        pages: Pages seen, in page order; `items` and `rejects` are the rows on them.
        missing: First page that was neither seen nor held from before.
        page_size: Page size that the server echoed last.
        error: What failed it, if something did.
    """

    __slots__ = (
        "error",
        "guard",
        "held",
        "items",
        "missing",
        "opening",
        "page_size",
        "pages",
        "rejects",
    )

    def __init__(self, opening: ListingTask, guard: LoopGuard) -> None:
        self.opening = opening
        self.guard = guard
        self.held: dict[int, Page] = {}
        self.pages = self.items = self.rejects = 0
        self.page_size = 0
        self.missing = opening.first
        self._pass_held()
        self.error: TMAPIError | None = None

    def see(self, page: Page) -> list[Item]:
        """Take in the next page, in page order; returns the items new to the listing."""
        fresh = self.guard.see(page.items, page.rejects)
        self.pages += 1
        self.items += len(page.items)
        self.rejects += len(page.rejects)
        self.page_size = page.page_size or len(page.items)
        if page.number == self.missing:
            self.missing += 1
            self._pass_held()
        return fresh

    def fresh(self, items: list[Item]) -> int:
        """How many items are new to the listing; for a part, whoever divides counts them."""
        return 0 if self.opening.part else len(items)

    def _pass_held(self) -> None:
        while self.missing in self.opening.held:
            self.missing += 1

    @property
    def rows(self) -> int:
        """Rows walked, counted from the start of the listing."""
        skipped = (self.opening.first - 1) * self.page_size
        return skipped + self.opening.rows + self.items + self.rejects

    def outcome(self, ending: Ending) -> ListingOutcome:
        """The entry as the outcome it came to."""
        return ListingOutcome(
            listing=self.opening.listing,
            ending=ending,
            pages=self.pages,
            items=self.items,
            unique=self.guard.unique,
            duplicates=self.guard.duplicates,
            rejects=self.rejects,
            error=self.error,
        )


class OpenListings:
    """The open listings of a crawl, and the totals of all.

    Args:
        guard: When a listing counts as endless.
        on_end: Called with the outcome of each listing.

    Attributes:
        counts: Totals so far.
        failures: What failed listings, at most 100 of them.
    """

    def __init__(self, guard: GuardPolicy, on_end: Callable[[ListingOutcome], None] | None) -> None:
        self.counts = Counts()
        self.failures: list[TMAPIError] = []
        self._guard = guard
        self._on_end = on_end
        self._open: dict[Listing, OpenListing] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, listing: Listing) -> OpenListing | None:
        """The entry of an open listing, or None."""
        return self._open.get(listing)

    def begin(self, opening: ListingTask) -> OpenListing:
        """Enter a listing."""
        entry = OpenListing(opening, LoopGuard(self._guard, opening.seen))
        self._open[opening.listing] = entry
        self.counts.listings += not opening.part
        return entry

    def count(self, items: int, fresh: int, rejects: int) -> None:
        """Count a page that is delivered; `fresh` of its items are new to its listing."""
        counts = self.counts
        counts.pages += 1
        counts.items += items
        counts.unique_items += fresh
        counts.duplicates += items - fresh
        counts.rejects += rejects

    def fail(self, entry: OpenListing, error: TMAPIError) -> None:
        """Note why a listing will fail: the error of the earliest page is the one to tell."""
        if entry.error is None or (error.page or 0) < (entry.error.page or 0):
            entry.error = error

    def endless(self, entry: OpenListing, reason: str) -> None:
        """Note that a listing never ends."""
        listing = entry.opening.listing
        error = EndlessListingError(f"{reason}; the walk of it was ended")
        error.locate(listing.endpoint, listing.identity, entry.opening.first + entry.pages - 1, 1)
        entry.error = error

    def forget(self, entry: OpenListing) -> None:
        """The listing has ended; how, is told by `close`."""
        self._open.pop(entry.opening.listing, None)

    def close(self, entry: OpenListing, ending: Ending) -> None:
        """Enter how a listing ended."""
        if ending == "complete" and entry.rows == USUAL_CEILING:
            ending = "capped"
        if ending == "failed" and entry.error is not None and len(self.failures) < _MOST_ERRORS:
            self.failures.append(entry.error)
        if not entry.opening.part:
            self._count_ending(ending)
        if self._on_end is not None:
            self._on_end(entry.outcome(ending))

    def divided(self, outcome: ListingOutcome) -> None:
        """Enter how a listing ended that was walked in parts."""
        self.counts.listings += 1
        self.counts.unique_items += outcome.unique
        self.counts.duplicates -= outcome.unique
        self._count_ending(outcome.ending)

    def _count_ending(self, ending: Ending) -> None:
        setattr(self.counts, ending, getattr(self.counts, ending) + 1)

    def stop(self) -> None:
        """Enter that every open listing was stopped."""
        for entry in self.open_entries():
            self.forget(entry)
            self.close(entry, "stopped")

    def open_entries(self) -> list[OpenListing]:
        """The entries of all open listings."""
        return list(self._open.values())

    def progress(self, *, more: bool) -> Progress:
        """What is done and what is left; `more` says that listings not begun remain."""
        left = list(self._open.values())
        named = [
            f"{entry.opening.listing} from page {entry.missing}" for entry in left[:_MOST_NAMED]
        ]
        return Progress(
            pages=self.counts.pages,
            items=self.counts.items,
            complete=self.counts.complete + self.counts.capped,
            open=tuple(named),
            open_count=len(left),
            more=more,
        )
