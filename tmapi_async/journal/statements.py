"""Changes to the journal's small tables, as data. Every function returns what to `apply`."""

from __future__ import annotations

from typing import Any

import msgspec

from tmapi_async.errors import TMAPIError

from .records import SHIFTED_KIND, State, Totals, Visit, to_milliseconds
from .views import Division

_BEGAN = "UPDATE visit SET state = 'open', began_at = coalesce(began_at, ?) WHERE id = ?"
_FORGET = "DELETE FROM failed_page WHERE visit = ?"
_FAILED = "INSERT OR REPLACE INTO failed_page VALUES (?, ?, ?, ?, ?, ?, ?)"
_ENDED = """
UPDATE visit SET state = ?, ended_at = ?, pages = ?, items = ?, unique_items = ?, rejects = ?,
       last_page = ?, total_count = ?, capped_at = ?, error_kind = ?, error = ?
WHERE id = ? AND ? <= (SELECT count(*) FROM page WHERE page.visit = visit.id)
"""
_CLOSED = "UPDATE start SET ended_at = ?, stopped_by = ? WHERE id = ?"


_ADD_LISTING = "INSERT OR IGNORE INTO listing (identity, endpoint, params) VALUES (?, ?, ?)"
_ADD_VISIT = "INSERT INTO visit (id, run, listing) SELECT ?, ?, id FROM listing WHERE identity = ?"
_ADD_PART = "INSERT OR IGNORE INTO part VALUES (?, ?)"
_DIVIDED = "INSERT OR REPLACE INTO division VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


_LOOKED = "INSERT OR REPLACE INTO seam VALUES (?, ?, ?, ?, ?, ?, ?)"


class Statement(msgspec.Struct, frozen=True, gc=False):
    """One change: an SQL statement and its values.

    Attributes:
        sql: The statement.
        values: Its values.
        rows: Number of rows that it must change. Otherwise the file does not keep what it is given.
    """

    sql: str
    values: tuple[Any, ...]
    rows: int = 1


def begin_visit(visit: Visit, now: float) -> Statement:
    """Mark a visit as begun, before its first request.

    Args:
        visit: The visit.
        now: Current time, seconds since 1970, UTC.
    """
    return Statement(_BEGAN, (to_milliseconds(now), visit.id))


def forget_failures(visit: Visit) -> Statement:
    """Delete the failures of a visit: its pages are requested again, or past the end."""
    return Statement(_FORGET, (visit.id,), rows=0)


def fail_page(visit: Visit, number: int, error: TMAPIError, *, start: int, now: float) -> Statement:
    """Record that a page failed.

    Args:
        visit: The visit.
        number: 1-based page number.
        error: The error. Its message contains no secret.
        start: Number of the start.
        now: Current time, seconds since 1970, UTC.
    """
    row = (visit.id, number, start, to_milliseconds(now), error.attempts, error.label, str(error))
    return Statement(_FAILED, row)


def end_visit(
    visit: Visit,
    state: State,
    totals: Totals,
    *,
    now: float,
    capped_at: int | None = None,
    error: TMAPIError | None = None,
    shifted: str | None = None,
) -> Statement:
    """Record the end of a visit, or the totals of an `open` visit that a start leaves.

    The change is refused if the file holds fewer pages of the visit than the totals.

    Args:
        visit: The visit.
        state: `complete`, `capped`, `shifted`, `failed`, or `open`.
        totals: Totals of the visit over all its starts.
        now: Current time, seconds since 1970, UTC.
        capped_at: Limit of pages that cut the visit, or None. A start with a higher limit
            continues the visit.
        error: Error that failed the visit, or None.
        shifted: Reason why a shifted visit may lack rows, or None.
    """
    kind, text = (error.label, str(error)) if error is not None else (None, None)
    if state == "shifted":
        kind, text = SHIFTED_KIND, shifted
    values = (
        "capped" if state == "shifted" else state,
        None if state == "open" else to_milliseconds(now),
        totals.pages,
        totals.items,
        totals.unique_items,
        totals.rejects,
        totals.last_page,
        totals.total_count,
        capped_at,
        kind,
        text,
        visit.id,
        totals.pages,
    )
    return Statement(_ENDED, values)


def store_look(
    visit: Visit,
    number: int,
    left: int,
    came: int,
    shifted: str | None,
    *,
    start: int,
    now: float,
) -> Statement:
    """Store the result of requesting a stored page once more.

    Args:
        visit: The visit.
        number: Number of the page.
        left: Rows by which the ranking had slid towards its start.
        came: Rows by which the ranking had slid towards its end.
        shifted: Reason why rows may be missing, or None.
        start: Number of the start.
        now: Current time, seconds since 1970, UTC.
    """
    row = (visit.id, start, number, to_milliseconds(now), left, came, shifted)
    return Statement(_LOOKED, row)


def add_part(visit: Visit, root: int) -> tuple[Statement, ...]:
    """Add the visit of a part.

    Args:
        visit: Visit of the part, with an unused number.
        root: Number of the divided listing's visit.
    """
    listing = visit.listing
    params = msgspec.json.encode(listing.params).decode()
    return (
        Statement(_ADD_LISTING, (listing.identity, listing.endpoint, params), rows=0),
        Statement(_ADD_VISIT, (visit.id, visit.run, listing.identity)),
        Statement(_ADD_PART, (visit.id, root), rows=0),
    )


def store_division(division: Division) -> Statement:
    """Store the result of a divided listing."""
    values = (
        division.root,
        division.complete,
        division.pages,
        division.items,
        division.unique_items,
        division.rejects,
        division.promised,
        division.account,
    )
    return Statement(_DIVIDED, values)


def end_start(start: int, stopped_by: str | None, now: float) -> Statement:
    """Record the end of a start, and the reason if something stopped it."""
    return Statement(_CLOSED, (to_milliseconds(now), stopped_by, start))
