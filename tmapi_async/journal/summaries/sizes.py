"""Sizes of listings, as far as a journal knows them without a request."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator

import msgspec

from tmapi_async.journal.records import Visit
from tmapi_async.journal.resume import read_seam_history
from tmapi_async.journal.tables.typed_queries import Flag, Number, Place, Query

_WHOLE = """
state IN ('complete', 'capped') AND capped_at IS NULL AND last_page > 0
    AND NOT EXISTS (SELECT 1 FROM part WHERE part.visit = visit.id)
"""
_EARLIER = Query(
    f"""
    SELECT last_page, division.pages FROM listing JOIN visit ON visit.listing = listing.id
    LEFT JOIN division ON division.root = visit.id
    WHERE identity = ? AND visit.id != ? AND {_WHOLE} ORDER BY run DESC LIMIT 1
    """,  # noqa: S608 - constants of this package
    list[tuple[Place, Number | None]],
)
_CUT = Query(
    """
    SELECT visit.id, pages FROM listing JOIN visit ON visit.listing = listing.id
    WHERE identity = ? AND visit.id != ? AND state = 'capped' AND capped_at > 0 AND pages > 0
    ORDER BY run DESC LIMIT 1
    """,
    list[tuple[Number, Number]],
)
_FIRST_PAGE = Query(
    """
    SELECT page_size, total_count, items + rejects, has_next_page FROM page
    WHERE visit = ? AND number > 0 ORDER BY number LIMIT 1
    """,
    list[tuple[int | None, int | None, Number, Flag]],
)
_ENDED = Query(
    f"""
    SELECT last_page, count(*) FROM visit JOIN listing ON listing.id = visit.listing
    WHERE endpoint = ? AND {_WHOLE} GROUP BY last_page
    """,  # noqa: S608 - constants of this package
    list[tuple[Place, Number]],
)


class ListingSize(msgspec.Struct, frozen=True, gc=False):
    """Size of a listing that a start has still to walk, as far as it is known.

    Attributes:
        visit: The visit to begin or to continue.
        earlier_pages: Pages of its latest whole visit, or None.
        divided_pages: Pages of that visit and of its parts if it was divided, or None.
        least_pages: Pages that it has at least: those of a visit that `max_pages` has cut; or None.
        total: Rows according to its first stored page, or that of the visit that was cut; or None.
        page_size: Rows of a full page according to that page, or None.
        looks: Stored pages that the start will request once more, to see if rows moved.
    """

    visit: Visit
    earlier_pages: int | None = None
    divided_pages: int | None = None
    least_pages: int | None = None
    total: int | None = None
    page_size: int | None = None
    looks: int = 0

    @property
    def stored(self) -> int:
        """Number of pages that are stored already."""
        return self.visit.totals.pages


def listing_sizes(connection: sqlite3.Connection, visits: Iterable[Visit]) -> Iterator[ListingSize]:
    """Yield the sizes of the listings of a plan.

    Args:
        connection: Connection to a journal of this version.
        visits: The unfinished visits of the plan.
    """
    now = time.time()
    for visit in visits:
        earlier = _EARLIER.fetch(connection, visit.listing.identity, visit.id)
        pages, divided = earlier[0] if earlier else (None, None)
        size = ListingSize(visit, pages, divided)
        if pages is None:
            size = _with_cut_visit(connection, size)
        first = _FIRST_PAGE.fetch(connection, visit.id) if visit.begun else []
        if first:
            page_size, total, rows, has_next = first[0]
            history = read_seam_history(connection, visit.id)
            size = msgspec.structs.replace(
                size,
                total=total,
                page_size=page_size or (rows if has_next else None),
                looks=int(history.shifted is None and history.needs_look(now)),
            )
        yield size


def _with_cut_visit(connection: sqlite3.Connection, size: ListingSize) -> ListingSize:
    """Return a size with what an earlier visit tells that ended at a maximum number of pages."""
    cut = _CUT.fetch(connection, size.visit.listing.identity, size.visit.id)
    if not cut:
        return size
    visit, pages = cut[0]
    size = msgspec.structs.replace(size, least_pages=pages)
    for page_size, total, rows, has_next in _FIRST_PAGE.fetch(connection, visit):
        size = msgspec.structs.replace(
            size, total=total, page_size=page_size or (rows if has_next else None)
        )
    return size


def ended_sizes(connection: sqlite3.Connection, endpoint: str) -> dict[int, int]:
    """Return a map: pages -> number of whole visits of an endpoint with so many pages."""
    return dict(_ENDED.fetch(connection, endpoint))
