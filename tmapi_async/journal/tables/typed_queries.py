"""Queries of the reader, each with the types of its rows.

A journal can be damaged or foreign: SQLite stores any type in any column. Rows are converted to the
types named here, or refused, before any value of them is used.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, TypeAlias, get_args

import msgspec

from tmapi_async.journal.records import STATE, State

MAX_TIME = 253_402_300_799_999
"""Last millisecond of the year 9999."""

MAX_NUMBER = 2**53
"""Limit of counts and of the numbers of rows."""

MAX_PLACE = 2**31 - 1
"""Largest number of a page, a run, or a position on a page."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
Place: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_PLACE)]
PageNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_PLACE)]
"""Number of a page as stored: below 0 for one that was requested once more."""
Time: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
Flag: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1)]


class Query(msgspec.Struct, frozen=True):
    """A query and the types of its rows.

    Attributes:
        sql: The query.
        rows: Type of the list of rows.
    """

    sql: str
    rows: Any

    def fetch(self, connection: sqlite3.Connection, *values: object) -> list[Any]:
        """Return all rows.

        Raises:
            msgspec.ValidationError: A value does not have the type of its column.
        """
        return self.checked(connection.execute(self.sql, values).fetchall())

    def checked(self, rows: list[Any]) -> list[Any]:
        """Return rows that were fetched, or raise `msgspec.ValidationError`."""
        # Without `builtin_types`, a text in place of a body would be decoded as base64.
        converted: list[Any] = msgspec.convert(rows, self.rows, builtin_types=(bytes,))
        return converted

    def each(self, connection: sqlite3.Connection, *values: object) -> Any:
        """Yield the rows one by one."""
        (row,) = get_args(self.rows)
        for values_of_row in connection.execute(self.sql, values):
            yield msgspec.convert(values_of_row, row, builtin_types=(bytes,))


RUNS = Query(
    f"""
    SELECT run.id, run.started_at, max(visit.ended_at), {STATE} AS ending, count(visit.id)
    FROM run LEFT JOIN visit ON visit.run = run.id AND visit.id NOT IN (SELECT visit FROM part)
    GROUP BY run.id, ending ORDER BY run.id
    """,  # noqa: S608 - a constant of this package
    list[tuple[Place, Time, Time | None, State | None, Number]],
)
VISIT = Query(
    """
    SELECT visit.run, endpoint, params
    FROM visit JOIN listing ON listing.id = visit.listing WHERE visit.id = ?
    """,
    list[tuple[Place, str, str]],
)
STARTS = Query(
    "SELECT id, run, started_at, ended_at, stopped_by, host, version, pid FROM start",
    list[tuple[Number, Place, Time, Time | None, str | None, str, str, Number]],
)
TICKS = Query(
    """
    SELECT elapsed_ms, requests, retries, wasted, pages, items, width, codes
    FROM tick WHERE start = ? ORDER BY n
    """,
    list[tuple[Number, Number, Number, Number, Number, Number, Number, str]],
)
VISITS = Query(
    f"""
    SELECT visit.id, visit.run, endpoint, params, {STATE}, began_at, pages, items, unique_items,
           rejects, last_page, total_count, error_kind, error, part.root, visit.ended_at
    FROM visit JOIN listing ON listing.id = visit.listing LEFT JOIN part ON part.visit = visit.id
    WHERE visit.id > ? AND ? IN (0, visit.run) ORDER BY visit.id LIMIT ?
    """,  # noqa: S608 - a constant of this package
    list[
        tuple[
            Number,
            Place,
            str,
            str,
            State,
            Time | None,
            Number | None,
            Number | None,
            Number | None,
            Number | None,
            Place | None,
            int | None,
            str | None,
            str | None,
            Number | None,
            Time | None,
        ]
    ],
)
VISITS_BY_LISTING = Query(
    """
    SELECT listing, run, id, CASE WHEN state IN ('complete', 'capped') THEN 2 ELSE EXISTS (
        SELECT 1 FROM page WHERE page.visit = visit.id UNION ALL
        SELECT 1 FROM part JOIN page ON page.visit = part.visit WHERE part.root = visit.id
    ) END
    FROM visit WHERE (listing, run) > (?, ?) AND id NOT IN (SELECT visit FROM part)
    ORDER BY listing, run LIMIT ?
    """,
    list[tuple[Number, Place, Number, int]],
)
PAGE_COSTS = Query(
    """
    SELECT max(seq), visit, coalesce(start.run, 0), sum(number = 1), count(*), sum(attempts),
           sum(max(attempts - 1, 0)), sum(items)
    FROM (SELECT seq, visit, number, start, attempts, items FROM page WHERE seq > ?
          ORDER BY seq LIMIT ?) AS part LEFT JOIN start ON start.id = part.start
    GROUP BY visit, start.run
    """,
    list[tuple[Number, Number, Place, Number, Number, Number, Number, Number]],
)
REJECTS = Query(
    """
    SELECT reject.seq, position, endpoint, params, number, reason, raw, visit.id
    FROM reject JOIN page USING (seq) JOIN visit ON visit.id = page.visit
         JOIN listing ON listing.id = visit.listing
    WHERE (reject.seq, position) > (?, ?) AND ? IN (0, visit.run)
    ORDER BY reject.seq, position LIMIT ?
    """,
    list[tuple[Number, Place, str, str, PageNumber, str, bytes, Number]],
)
FAILED_PAGES = Query(
    """
    SELECT visit.run, endpoint, params, number, attempts, kind, failed_page.error
    FROM failed_page JOIN visit ON visit.id = failed_page.visit
         JOIN listing ON listing.id = visit.listing
    WHERE ? IN (0, visit.run) AND NOT EXISTS (
        SELECT 1 FROM page WHERE page.visit = visit.id AND page.number = failed_page.number)
    ORDER BY failed_page.visit, number
    """,
    list[tuple[Place, str, str, Place, Number, str, str]],
)
DIVISIONS = Query(
    """
    SELECT root, complete, pages, items, unique_items, rejects, promised, account FROM division
    """,
    list[tuple[Number, Flag, Number, Number, Number, Number, Number, str]],
)
ROOTS = Query(
    """
    SELECT a.identity, b.identity FROM part
    JOIN visit AS x ON x.id = part.visit JOIN listing AS a ON a.id = x.listing
    JOIN visit AS y ON y.id = part.root JOIN listing AS b ON b.id = y.listing
    """,
    list[tuple[str, str]],
)
TREE = Query(
    "SELECT count(*), min(fetched_at), max(fetched_at) FROM category",
    list[tuple[Number, Time | None, Time | None]],
)
BROKEN_OFF = Query("SELECT count(*) FROM look WHERE ended_at IS NULL", list[tuple[Number]])
CATEGORY_BODIES = Query("SELECT cat_id, body FROM category", list[tuple[int, bytes]])
HAS_PARTS = Query("SELECT 1 FROM part LIMIT 1", list[tuple[int]])

PAGE_COLUMNS = """
seq, visit, number, fetched_at, attempts, latency_us, has_next_page, items, rejects,
dictionary, body
"""
_PAGES = list[
    tuple[
        Number,
        Number,
        PageNumber,
        Time,
        Number,
        Number,
        Flag,
        Number,
        Number,
        Number | None,
        bytes,
    ]
]
PAGES_AFTER = Query(
    f"SELECT {PAGE_COLUMNS} FROM page WHERE seq > ? AND fetched_at >= ? ORDER BY seq LIMIT ?",  # noqa: S608 - a constant of this module
    _PAGES,
)
LAST_PAGE = Query("SELECT max(seq) FROM page", list[tuple[Number | None]])
NUMBERED_PAGES = 256
"""Number of pages that `PAGES_NUMBERED` returns at most."""

PAGES_NUMBERED = Query(
    f"SELECT {PAGE_COLUMNS} FROM page WHERE seq IN ({', '.join('?' * NUMBERED_PAGES)}) ORDER BY seq",  # noqa: S608, E501 - the same
    _PAGES,
)
NUMBERS_OF_VISIT = Query("SELECT seq FROM page WHERE visit = ?", list[tuple[Number]])
PAGES_OF_VISIT = Query(
    f"SELECT {PAGE_COLUMNS} FROM page WHERE visit = ? ORDER BY number",  # noqa: S608 - the same
    _PAGES,
)
