"""Decode the stored pages of an open visit, so that a start can continue it."""

from __future__ import annotations

import sqlite3
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
        rows: Page number -> `row_ids` of the page.
        row_count: Rows on them, without the pages that a later start requested once more.
        count: Number of stored pages, with those.
        items: Items on the stored pages.
        rejects: Rows on them that the current models cannot decode.
        total_count: Rows in the whole listing according to the last page with a total, or None.
        expected_pages: Number of the last page that follows from that total, or None.
        changed: Text about a page that shows a changed API, or None; see `changed_shape`.
    """

    pages: dict[int, bool] = {}
    item_ids: set[int] = set()
    rows: dict[int, list[int]] = {}
    row_count: int = 0
    count: int = 0
    items: int = 0
    rejects: int = 0
    total_count: int | None = None
    expected_pages: int | None = None
    changed: str | None = None

    @property
    def has_next_page(self) -> bool:
        """True if the last page says that more pages follow."""
        return bool(self.pages) and self.pages[max(self.pages)]

    @property
    def totals(self) -> Totals:
        """Figures of these pages as the totals of a visit."""
        return Totals(
            pages=self.count,
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
        page = decode_page(stored, ids_only=True)
        if page is not None and page.denies_total:
            decoded.total_count = page.total_count
            continue
        decoded.count += 1
        if not stored.again:
            decoded.pages[stored.number] = stored.has_next_page
        if page is not None and not stored.again:
            decoded.rows[stored.number] = page.row_ids()
            decoded.row_count += page.rows
        if page is not None:
            decoded.item_ids.update(item.row_id for item in page.items)
            decoded.items += len(page.items)
            decoded.rejects += len(page.rejects)
            decoded.total_count = page.total_count or decoded.total_count
            decoded.expected_pages = page.last_page or decoded.expected_pages
            decoded.changed = decoded.changed or changed_shape(
                len(page.items), page.rejects, most_rejects
            )
    return decoded


def decode_page(stored: StoredPage, *, ids_only: bool = False) -> Page[Any] | None:
    """Decode a stored page. Return None if the current models do not accept it as a page.

    Args:
        stored: The stored page.
        ids_only: Read no more than the IDs of its rows.
    """
    fetched_at = datetime.fromtimestamp(stored.fetched_at, UTC)
    request = PageRequest(stored.listing, stored.number)
    page = read_reply(
        Reply(PAGE_CODE, {}, stored.body),
        request,
        now=fetched_at,
        attempts=stored.attempts,
        latency=stored.latency,
        ids_only=ids_only,
    )
    return page if isinstance(page, Page) else None


_SHIFTED = "SELECT shifted FROM seam WHERE visit = ? AND shifted IS NOT NULL ORDER BY start LIMIT 1"
_LAST_LOOK = "SELECT start, looked_at FROM seam WHERE visit = ? ORDER BY start DESC, looked_at DESC"
_LAST_PAGE = """
SELECT start.id, page.fetched_at, start.ended_at IS NULL, number = 1 AND capped_at IS 1
FROM page JOIN start ON start.id = page.start JOIN visit ON visit.id = page.visit
WHERE visit = ? ORDER BY seq DESC LIMIT 1
"""

RESTART_SECONDS = 10.0
"""Pause after a kill that is not longer than the pauses within a walk, which waits before retries.

A supervisor may start a dying process again and again: each time it would pay for every seam.
"""

CONFIRM_SECONDS = 900.0
"""Pause for which the first page of a listing is good if a limit of one page cut the listing.

An estimate of the cost requests these pages, and a user takes some time to confirm it. A walk of
many listings may pause as long between two pages of one of them.
"""

LOOK_SECONDS = 3600.0
"""Time for which a look at a seam is good if the start that looked stored no page afterwards.

Otherwise starts with small budgets would spend them on looks, and never go on.
"""


class SeamHistory(msgspec.Struct, frozen=True):
    """Facts about the earlier sittings of an open visit.

    Attributes:
        shifted: Reason why an earlier seam leaves rows unseen, or None.
        fetched_at: Time when the last page was fetched, seconds since 1970, UTC.
        killed: True if the start that stored it was killed.
        first_only: True if a limit of one page cut the visit, and that is its only page.
        looked_at: Time of the last look at the seam if no page was stored since, or None.
    """

    shifted: str | None = None
    fetched_at: float = 0.0
    killed: bool = False
    first_only: bool = False
    looked_at: float | None = None

    def needs_look(self, now: float) -> bool:
        """Return True if a start at this time must look at the seam.

        Args:
            now: Seconds since 1970, UTC.
        """
        if self.looked_at is not None:
            return not 0 <= now - self.looked_at <= LOOK_SECONDS
        patience = CONFIRM_SECONDS if self.first_only else RESTART_SECONDS if self.killed else -1
        return not 0 <= now - self.fetched_at <= patience


def read_seam_history(connection: sqlite3.Connection, visit: int) -> SeamHistory:
    """Read the facts about the earlier sittings of a visit.

    Args:
        connection: Connection to a journal of this version.
        visit: Number of the visit.
    """
    page = connection.execute(_LAST_PAGE, (visit,)).fetchone()
    if page is None:
        return SeamHistory()
    shifted = connection.execute(_SHIFTED, (visit,)).fetchone()
    look = connection.execute(_LAST_LOOK, (visit,)).fetchone()
    start, fetched_at, killed, first_only = page
    return SeamHistory(
        shifted=shifted[0] if shifted else None,
        fetched_at=fetched_at / 1000,
        killed=bool(killed),
        first_only=bool(first_only),
        looked_at=look[1] / 1000 if look and look[0] > start else None,
    )


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
