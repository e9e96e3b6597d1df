"""Queries of a journal that is being written. Each reads a bounded number of rows."""

from __future__ import annotations

from tmapi_async.journal.records import STATE, State
from tmapi_async.journal.tables.typed_queries import Flag, Number, Place, Query, Time

_LISTINGS = """
visit.id >= ? AND visit.id < ? AND visit.run = ? AND visit.id NOT IN (SELECT visit FROM part)
"""
"""Listings of a run in a block of visits, without the parts of divided listings."""

LATEST_RUN = Query("SELECT coalesce(max(id), 0) FROM run", list[tuple[Place]])
LATEST_START = Query(
    """
    SELECT id, run, started_at, ended_at, stopped_by, host, version, pid FROM start
    ORDER BY id DESC LIMIT 1
    """,
    list[tuple[Number, Place, Time, Time | None, str | None, str, str, Number]],
)
LATEST_TICKS = Query(
    """
    SELECT elapsed_ms, requests, retries, wasted, pages, items, width, codes
    FROM tick WHERE start = ? ORDER BY n DESC LIMIT ?
    """,
    list[tuple[Number, Number, Number, Number, Number, Number, Number, str]],
)
EARLIER_TOTALS = Query(
    """
    SELECT elapsed_ms, requests, retries, wasted, pages, items, width, codes
    FROM start CROSS JOIN tick ON tick.start = start.id
        AND n = (SELECT max(n) FROM tick AS late WHERE late.start = start.id)
    WHERE start.run = ? AND start.id < ?
    """,
    list[tuple[Number, Number, Number, Number, Number, Number, Number, str]],
)
LAST_VISIT = Query("SELECT coalesce(max(id), 0) FROM visit", list[tuple[Number]])
COUNTS = Query(
    f"""
    SELECT ending, begun, pages, count(*), sum(items), sum(unique_items), sum(rejects),
           coalesce(sum(earlier), 0), count(earlier)
    FROM (
        SELECT {STATE} AS ending, began_at IS NOT NULL AS begun,
            coalesce(division.pages, visit.pages, 0) AS pages,
            coalesce(division.items, visit.items, 0) AS items,
            coalesce(division.unique_items, visit.unique_items, 0) AS unique_items,
            coalesce(division.rejects, visit.rejects, 0) AS rejects,
            CASE state WHEN 'open' THEN (
                SELECT CASE earlier.state WHEN 'complete' THEN earlier.last_page END
                FROM visit AS earlier
                WHERE earlier.listing = visit.listing AND earlier.run < visit.run
                ORDER BY earlier.run DESC LIMIT 1
            ) END AS earlier
        FROM visit LEFT JOIN division ON division.root = visit.id
        WHERE {_LISTINGS} LIMIT -1  -- or SQLite would look up `earlier` once for each use of it
    ) GROUP BY ending, begun, pages
    """,  # noqa: S608 - constants of this package
    list[tuple[State, Flag, Number, Number, Number, Number, Number, Number, Number]],
)
"""State, begun or not, pages -> listings and their sums; pages in the latest earlier visit."""

BEGUN = Query(
    f"""
    SELECT visit.id, identity, began_at
    FROM visit JOIN listing ON listing.id = visit.listing
    WHERE {_LISTINGS} AND state = 'open' AND began_at IS NOT NULL
    """,  # noqa: S608 - the same
    list[tuple[Number, str, Time]],
)
WAITING = Query(
    f"""
    SELECT visit.id, identity FROM visit JOIN listing ON listing.id = visit.listing
    WHERE {_LISTINGS} AND state = 'open' AND began_at IS NULL ORDER BY visit.id LIMIT ?
    """,  # noqa: S608 - the same
    list[tuple[Number, str]],
)
FAILED = Query(
    f"""
    SELECT visit.id, identity, coalesce(pages, 0), coalesce(items, 0), coalesce(rejects, 0),
           error_kind
    FROM visit JOIN listing ON listing.id = visit.listing
    WHERE {_LISTINGS} AND state = 'failed' ORDER BY visit.id LIMIT ?
    """,  # noqa: S608 - the same
    list[tuple[Number, str, Number, Number, Number, str | None]],
)
LAST_PAGE = Query("SELECT coalesce(max(seq), 0) FROM page", list[tuple[Number]])
STORED = Query(
    """
    SELECT count(*), coalesce(sum(items), 0), coalesce(sum(rejects), 0), coalesce(max(start), 0)
    FROM page WHERE seq <= ? AND visit IN (SELECT ? UNION ALL SELECT visit FROM part WHERE root = ?)
    """,
    list[tuple[Number, Number, Number, Number]],
)
NEW_PAGES = Query(
    """
    SELECT coalesce(part.root, new.visit), count(*), sum(items), sum(rejects), max(seq)
    FROM (SELECT seq, visit, items, rejects FROM page WHERE seq > ? ORDER BY seq LIMIT ?) AS new
    LEFT JOIN part ON part.visit = new.visit GROUP BY 1
    """,
    list[tuple[Number, Number, Number, Number, Number]],
)
"""Listing -> pages that were committed after a page, with their sums."""
