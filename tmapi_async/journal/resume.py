"""Decode the stored pages of an open visit, so that a start can continue it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.api.values import Reject

from .records import PAGE_CODE, Totals
from .views import StoredPage


class DecodedPages(msgspec.Struct, gc=False):
    """Stored pages of a visit, decoded again.

    Attributes:
        pages: Page number -> `has_next_page`.
        item_ids: Distinct item IDs on them.
        items: Items on them.
        rejects: Rows on them that the current models cannot decode.
        total_count: Rows in the whole listing according to the last page with a total, or None.
        changed: Text about a page that shows a changed API, or None; see `changed_shape`.
    """

    pages: dict[int, bool] = {}
    item_ids: set[int] = set()
    items: int = 0
    rejects: int = 0
    total_count: int | None = None
    changed: str | None = None

    @property
    def has_next_page(self) -> bool:
        """True if the last page says that more pages follow."""
        return bool(self.pages) and self.pages[max(self.pages)]

    @property
    def totals(self) -> Totals:
        """Figures of these pages as the totals of a visit."""
        return Totals(
            pages=len(self.pages),
            items=self.items,
            unique_items=len(self.item_ids),
            rejects=self.rejects,
            last_page=max(self.pages, default=0),
            total_count=self.total_count,
        )


def decode_stored(pages: Iterable[StoredPage], most_rejects: float = 1.0) -> DecodedPages:
    """Decode the durable pages of a visit.

    All rows are decoded: a listing that continues must know which items it has already shown. The
    current models may read rows that an earlier version could not read, or the other way round.

    A page that denies its own total is left out, so that the continued listing requests it again.
    The journal keeps the page until a better reply for it comes.

    Args:
        pages: The pages.
        most_rejects: Share of rejects above which a page counts as changed.
    """
    decoded = DecodedPages()
    for stored in pages:
        page = decode_page(stored)
        if page is not None and page.denies_total:
            decoded.total_count = page.total_count
            continue
        decoded.pages[stored.number] = stored.has_next_page
        if page is not None:
            decoded.item_ids.update(item.item_id for item in page.items)
            decoded.items += len(page.items)
            decoded.rejects += len(page.rejects)
            decoded.total_count = page.total_count or decoded.total_count
            decoded.changed = decoded.changed or changed_shape(
                len(page.items), page.rejects, most_rejects
            )
    return decoded


def decode_page(stored: StoredPage) -> Page[Any] | None:
    """Decode a stored page. Return None if the current models do not accept it as a page."""
    fetched_at = datetime.fromtimestamp(stored.fetched_at, UTC)
    request = PageRequest(stored.listing, stored.number)
    page = read_reply(Reply(PAGE_CODE, {}, stored.body), request, now=fetched_at)
    return page if isinstance(page, Page) else None


LEAST_ROWS = 10
"""Rows that a page must have to show a changed API: a few bad rows may be half of a short page."""


def changed_shape(items: int, rejects: Sequence[Reject], most_rejects: float) -> str | None:
    """Return a text that says why a page shows a changed API, or None if it does not.

    Args:
        items: Number of rows that could be decoded.
        rejects: Rows that could not be decoded.
        most_rejects: Maximum share of rejects, from 0 to 1.
    """
    rows = items + len(rejects)
    if rows < LEAST_ROWS or len(rejects) <= most_rejects * rows:
        return None
    return f"{len(rejects)} of {rows} rows cannot be decoded: {rejects[0].reason}"
