"""Tasks, outcomes and counts of a crawl. Plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.errors import TMAPIError

from .seam import Seam

Ending: TypeAlias = Literal["complete", "capped", "shifted", "failed", "stopped"]


class ListingTask(msgspec.Struct, frozen=True, kw_only=True):
    """A listing to walk, with the pages stored before.

    Attributes:
        listing: The listing.
        first: Page to start from.
        max_pages: Maximum number of pages to walk, or None.
        hint: Number of the last page in an earlier run, or None; look-ahead does not go beyond it.
        stored_pages: Pages that need no request, with their `has_next_page`.
        stored_ids: Item IDs on those pages.
        stored_rows: Number of rows on those pages.
        stored_total: Rows in the whole listing according to those pages, or None.
        seam: Seam at which stored pages are to be requested once more first, or None.
        shifted: Reason why an earlier seam leaves rows unseen, or None.
        part: True for a part of a listing that is split. The whole counts as a listing, its parts
            do not.
    """

    listing: Listing
    first: int = 1
    max_pages: int | None = None
    hint: int | None = None
    stored_pages: Mapping[int, bool] = {}
    stored_ids: Iterable[int] = ()
    stored_rows: int = 0
    stored_total: int | None = None
    seam: Seam | None = None
    shifted: str | None = None
    part: bool = False


class ListingOutcome(msgspec.Struct, frozen=True, gc=False):
    """Ending and counts of one listing.

    Attributes:
        listing: The listing.
        ending: "complete", "capped" (ended exactly at a ceiling, or at `max_pages` with more to
            come), "shifted" (walked in two sittings, and rows may have been missed between them),
            "failed" or "stopped".
        pages: Number of pages delivered.
        items: Number of items on them, duplicates included.
        unique: Number of distinct item IDs, those of pages stored before included.
        duplicates: Number of items whose ID the listing had shown before.
        rejects: Number of rows that could not be decoded.
        error: Error that failed the listing, or None.
        shifted: Reason why rows may be missing between two sittings, or None.
        total: Rows in the whole listing according to its last page with a total, or None.
    """

    listing: Listing
    ending: Ending
    pages: int
    items: int
    unique: int
    duplicates: int
    rejects: int
    error: TMAPIError | None = None
    shifted: str | None = None
    total: int | None = None


class ListingCounts(msgspec.Struct):
    """Running totals over listings. `WalkStatistics` documents the fields."""

    listings: int = 0
    complete: int = 0
    capped: int = 0
    shifted: int = 0
    failed: int = 0
    stopped: int = 0
    pages: int = 0
    items: int = 0
    unique_items: int = 0
    duplicates: int = 0
    rejects: int = 0

    def add_pages(self, pages: int, items: int, new_items: int, rejects: int) -> None:
        """Count pages; `new_items` of their items are new to their listing."""
        self.pages += pages
        self.items += items
        self.unique_items += new_items
        self.duplicates += items - new_items
        self.rejects += rejects

    def add_ending(self, ending: Ending) -> None:
        """Count the ending of a listing."""
        match ending:
            case "complete":
                self.complete += 1
            case "capped":
                self.capped += 1
            case "shifted":
                self.shifted += 1
            case "failed":
                self.failed += 1
            case "stopped":
                self.stopped += 1

    def add_split(self, outcome: ListingOutcome) -> None:
        """Count the ending of a listing whose pages were counted as those of its parts."""
        self.unique_items += outcome.unique
        self.duplicates -= outcome.unique
        self.add_ending(outcome.ending)


class WalkStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a walk at one moment.

    Attributes:
        listings: Listings begun.
        complete: Listings walked to the end that the server stated.
        capped: Listings that ended exactly at a result ceiling, or at `max_pages` with more to
            come.
        shifted: Listings walked in two sittings, between which rows may have been missed: a part of
            their pages came from the cache, or a harvest has continued them.
        failed: Listings given up after an error.
        stopped: Listings left open when the walk ended.
        pages: Pages delivered.
        items: Items on them.
        unique_items: Distinct items within a listing, summed.
        duplicates: Items that their listing had shown before.
        rejects: Rows that could not be decoded.
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Number of replies by code or kind of failure.
        unreached: Attempts that reached no server. The budget is not charged for them.
        waited: Seconds for which the API did not answer, so that nothing else was sent.
        cache_hits: Pages taken from the cache of the client, without a request.
        in_flight: Page requests on their way now.
        waiting: Pages decoded and not yet taken by the caller.
    """

    listings: int = 0
    complete: int = 0
    capped: int = 0
    shifted: int = 0
    failed: int = 0
    stopped: int = 0
    pages: int = 0
    items: int = 0
    unique_items: int = 0
    duplicates: int = 0
    rejects: int = 0
    requests: int = 0
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = {}
    unreached: int = 0
    waited: float = 0.0
    cache_hits: int = 0
    in_flight: int = 0
    waiting: int = 0
