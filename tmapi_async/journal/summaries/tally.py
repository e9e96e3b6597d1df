"""Listings counted by state. No I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

from tmapi_async.api.endpoints import ITEM_ENDPOINTS
from tmapi_async.api.listings import Listing
from tmapi_async.journal.records import State, Totals
from tmapi_async.journal.views import VisitInfo

MAX_SUSPECTS = 5
"""Number of empty and contradicted listings that a tally names."""

_ABOUT_ONE_PRODUCT = frozenset(
    endpoint.name for endpoint in ITEM_ENDPOINTS.values() if endpoint.paged
)


def doubt_about(
    listing: Listing, state: State, totals: Totals, *, divided: bool = False
) -> Literal["empty", "contradicted"] | None:
    """Return why a complete listing deserves a look, or None.

    Args:
        listing: The listing. A product may have no ratings, so that an empty listing of rows about
            one product is no cause for doubt.
        state: Its state.
        totals: Its totals.
        divided: True if it was divided: its own total says nothing about its parts.
    """
    if state != "complete":
        return None
    if not totals.items:
        return None if listing.endpoint in _ABOUT_ONE_PRODUCT else "empty"
    return "contradicted" if totals.missing_rows and not divided else None


def doubt_about_visit(visit: VisitInfo) -> Literal["empty", "contradicted"] | None:
    """Return why the complete listing of a visit deserves a look, or None."""
    return doubt_about(visit.listing, visit.state, visit.totals, divided=visit.parts > 0)


class RunTally(msgspec.Struct):
    """Totals of all listings that a start was asked for, over all their starts.

    Attributes:
        listings: Number of listings.
        complete: Listings walked to the end that the server reported.
        capped: Listings that ended exactly at a ceiling, or were cut by a limit of pages.
        shifted: Listings walked in two sittings, between which rows may have been missed.
        failed: Listings given up.
        empty: Complete listings without any item.
        contradicted: Complete listings with fewer rows than their own total says.
        suspects: Names of the first of those empty and contradicted listings.
        pages: Stored pages.
        items: Items on these pages.
        unique_items: Sum of the distinct items of each listing. Those of an open listing are added
            when the listing ends.
        rejects: Rows that could not be decoded.
    """

    listings: int = 0
    complete: int = 0
    capped: int = 0
    shifted: int = 0
    failed: int = 0
    empty: int = 0
    contradicted: int = 0
    suspects: tuple[str, ...] = ()
    pages: int = 0
    items: int = 0
    unique_items: int = 0
    rejects: int = 0

    @property
    def left(self) -> int:
        """Number of listings that have not ended."""
        return self.listings - self.complete - self.capped - self.shifted - self.failed

    def add(self, totals: Totals, sign: int = 1) -> None:
        """Add the totals of a visit; subtract them if `sign` is -1."""
        self.pages += sign * totals.pages
        self.items += sign * totals.items
        self.unique_items += sign * totals.unique_items
        self.rejects += sign * totals.rejects

    def add_pages(self, pages: int, items: int, rejects: int) -> None:
        """Count pages with their items and rejects."""
        self.pages += pages
        self.items += items
        self.rejects += rejects

    def include(self, other: RunTally) -> None:
        """Add the counts of another tally, of other listings."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.suspects = self.suspects[:MAX_SUSPECTS]

    def add_listing(
        self, listing: Listing, state: State, totals: Totals, *, divided: bool = False
    ) -> None:
        """Count a listing with its totals.

        Args:
            listing: The listing.
            state: Its state.
            totals: Its totals.
            divided: True if it was divided: its own total says nothing about its parts.
        """
        self.listings += 1
        self.add(totals)
        if state != "open":
            self.count_ending(listing, state, totals, divided=divided)

    def add_visit(self, visit: VisitInfo) -> None:
        """Count the listing of a visit, as `JournalReader.listings` yields it."""
        self.add_listing(visit.listing, visit.state, visit.totals, divided=visit.parts > 0)

    def count_ending(
        self, listing: Listing, state: State, totals: Totals, *, divided: bool = False
    ) -> None:
        """Count the ending of a listing that `listings` counts already. See `add_listing`."""
        setattr(self, state, getattr(self, state) + 1)
        doubt = doubt_about(listing, state, totals, divided=divided)
        if doubt is None:
            return
        setattr(self, doubt, getattr(self, doubt) + 1)
        if len(self.suspects) < MAX_SUSPECTS:
            self.suspects = (*self.suspects, listing.identity)
