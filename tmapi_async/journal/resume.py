"""What the held pages of an open visit tell a start that goes on with it."""

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
    """The pages of a visit that are durable, decoded again.

    Attributes:
        pages: Page number to `has_next_page`.
        item_ids: Distinct item IDs on them.
        items: Items on them.
        rejects: Rows on them that today's models cannot decode.
        total_count: Rows in the whole listing as told last, or None.
        changed: A page most of whose rows cannot be decoded, as text; or None.
    """

    pages: dict[int, bool] = {}
    item_ids: set[int] = set()
    items: int = 0
    rejects: int = 0
    total_count: int | None = None
    changed: str | None = None

    @property
    def more(self) -> bool:
        """Whether the last of them says that more follows."""
        return bool(self.pages) and self.pages[max(self.pages)]

    @property
    def totals(self) -> Totals:
        """The same as the figures of a visit."""
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

    The rows are needed: a listing that goes on must know which items it has shown. Today's models
    may read what an earlier version could not, and the other way round.

    Args:
        pages: The pages.
        most_rejects: Share of rejects above which a page counts as changed.
    """
    decoded = DecodedPages()
    for stored in pages:
        decoded.pages[stored.number] = stored.has_next_page
        page = decode_page(stored)
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
    """Decode a stored page; return None if today's models do not read it as a page."""
    fetched_at = datetime.fromtimestamp(stored.fetched_at, UTC)
    request = PageRequest(stored.listing, stored.number)
    page = read_reply(Reply(PAGE_CODE, {}, stored.body), request, now=fetched_at)
    return page if isinstance(page, Page) else None


LEAST_ROWS = 10
"""A page with fewer rows says nothing about the API: a few bad rows may be its half."""


def changed_shape(items: int, rejects: Sequence[Reject], most_rejects: float) -> str | None:
    """Say why a page looks like one of a changed API, or None if it does not.

    Args:
        items: Its rows that could be decoded.
        rejects: Those that could not.
        most_rejects: Share of its rows, from 0 to 1, that may be rejects.
    """
    rows = items + len(rejects)
    if rows < LEAST_ROWS or len(rejects) <= most_rejects * rows:
        return None
    return f"{len(rejects)} of {rows} rows cannot be decoded: {rejects[0].reason}"
