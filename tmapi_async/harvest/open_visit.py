"""Figures of a listing that a start is walking."""

from __future__ import annotations

from collections.abc import Container

from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.crawl.seam import Look, Seam
from tmapi_async.errors import TMAPIError
from tmapi_async.journal.records import PageRecord, Totals, Visit
from tmapi_async.journal.resume import DecodedPages
from tmapi_async.journal.statements import Statement, end_visit


class OpenVisit:
    """Figures of a listing that is being walked, pages of earlier starts included.

    Attributes:
        visit: The visit.
        part: True if the listing is a part of a divided listing.
        divided: True if the listing itself was divided.
        has_next_page: True if the last page says that more pages follow.
        has_new_pages: True if this start has stored a page of the visit.
        stored_pages: Numbers of the pages that earlier starts stored.
        seam: Seam at which this start has still to look, or None.
        shifted: Reason why a seam leaves rows unseen, or None.
        error: Error that fails the listing, or None.
    """

    __slots__ = (
        "divided", "error", "has_new_pages", "has_next_page", "items", "last_page", "pages", "part",
        "rejects", "seam", "shifted", "stored_pages", "total_count", "unique_items", "visit",
    )  # fmt: skip

    def __init__(
        self, visit: Visit, before: Totals, *, has_next_page: bool = False, part: bool = False
    ) -> None:
        self.visit, self.part, self.divided = visit, part, False
        self.pages, self.items, self.rejects = before.pages, before.items, before.rejects
        self.unique_items = before.unique_items
        self.last_page, self.total_count = before.last_page, before.total_count
        self.has_next_page, self.has_new_pages = has_next_page, False
        self.stored_pages: Container[int] = ()
        self.seam: Seam | None = None
        self.shifted: str | None = None
        self.error: TMAPIError | None = None

    def task(self, stored: DecodedPages, max_pages: int | None) -> ListingTask:
        """Return the task to walk the listing on from its stored pages.

        Args:
            stored: The stored pages.
            max_pages: Maximum number of pages of the listing, or None.
        """
        visit = self.visit
        return ListingTask(
            listing=visit.listing,
            max_pages=max_pages,
            hint=visit.expected_pages or stored.expected_pages,
            stored_pages=stored.pages,
            stored_ids=stored.item_ids,
            stored_rows=stored.row_count,
            stored_total=stored.total_count,
            seam=self.seam,
            shifted=self.shifted,
        )

    def add(self, page: PageRecord) -> None:
        """Count a page."""
        self.has_new_pages = True
        self.pages += 1
        self.items += page.items
        if page.rejects:
            self.rejects += len(page.rejects)
        if page.total_count:
            self.total_count = page.total_count
        if page.number > self.last_page:
            self.last_page, self.has_next_page = page.number, page.has_next_page

    def add_look(self, look: Look) -> None:
        """Note the result of requesting a stored page once more."""
        self.shifted = self.shifted or look.shifted
        if look.last:
            self.seam = None

    def failure(self, now: float) -> Statement:
        """Return the change that records the failure of the listing.

        Args:
            now: Current time, seconds since 1970, UTC.
        """
        return end_visit(self.visit, "failed", self.totals, now=now, error=self.error)

    @property
    def totals(self) -> Totals:
        """Totals of the visit. Distinct items are counted only when a visit is opened or ends."""
        return Totals(
            self.pages,
            self.items,
            self.unique_items,
            self.rejects,
            self.last_page,
            self.total_count,
        )
