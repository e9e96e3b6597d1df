"""Changes to the journal's small tables, as data: what a start tells it beside the pages."""

from __future__ import annotations

from typing import Any

import msgspec

from tmapi_async.errors import TMAPIError

from .records import State, Totals, Visit, to_milliseconds
from .views import Division

_BEGAN = "UPDATE visit SET state = 'open', began_at = coalesce(began_at, ?) WHERE id = ?"
_FORGET = "DELETE FROM failed_page WHERE visit = ?"
_FAILED = "INSERT OR REPLACE INTO failed_page VALUES (?, ?, ?, ?, ?, ?, ?)"
_ENDED = """
UPDATE visit SET state = ?, ended_at = ?, pages = ?, items = ?, unique_items = ?, rejects = ?,
       last_page = ?, total_count = ?, capped_at = ?, error_kind = ?, error = ?
WHERE id = ?
"""
_CLOSED = "UPDATE start SET ended_at = ?, stopped_by = ? WHERE id = ?"


_ADD_LISTING = "INSERT OR IGNORE INTO listing (identity, endpoint, params) VALUES (?, ?, ?)"
_ADD_VISIT = "INSERT INTO visit (id, run, listing) SELECT ?, ?, id FROM listing WHERE identity = ?"
_ADD_PART = "INSERT OR IGNORE INTO part VALUES (?, ?)"
_DIVIDED = "INSERT OR REPLACE INTO division VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Statement(msgspec.Struct, frozen=True, gc=False):
    """One change: SQL and its values."""

    sql: str
    values: tuple[Any, ...]


def begin_visit(visit: Visit, now: float) -> Statement:
    """Pages of a visit are about to be asked for.

    Args:
        visit: The visit.
        now: Seconds since 1970, UTC, as everywhere here.
    """
    return Statement(_BEGAN, (to_milliseconds(now), visit.id))


def forget_failures(visit: Visit) -> Statement:
    """Pages that failed are asked for again, or are not needed: look-ahead past the end."""
    return Statement(_FORGET, (visit.id,))


def fail_page(visit: Visit, number: int, error: TMAPIError, *, start: int, now: float) -> Statement:
    """A page could not be had.

    Args:
        visit: The visit.
        number: 1-based page number.
        error: Why; its message holds no secret.
        start: Number of the start.
        now: When.
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
) -> Statement:
    """A visit has ended, or (`open`) was left by a start that was stopped.

    Args:
        visit: The visit.
        state: How: `complete`, `capped`, `failed`; or `open`.
        totals: What it brought over all its starts.
        now: When.
        capped_at: The limit of pages that cut it, if one did; a later start with a higher one goes
            on.
        error: Why it failed, if it did.
    """
    kind, text = (error.label, str(error)) if error is not None else (None, None)
    values = (
        state,
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
    )
    return Statement(_ENDED, values)


def add_part(visit: Visit, root: int) -> tuple[Statement, ...]:
    """A visit is made on behalf of another one, whose listing is divided.

    Args:
        visit: The visit, with a number that nobody has.
        root: Number of the other one.
    """
    listing = visit.listing
    params = msgspec.json.encode(listing.params).decode()
    return (
        Statement(_ADD_LISTING, (listing.identity, listing.endpoint, params)),
        Statement(_ADD_VISIT, (visit.id, visit.run, listing.identity)),
        Statement(_ADD_PART, (visit.id, root)),
    )


def store_division(division: Division) -> Statement:
    """Store the outcome of a listing that was divided."""
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
    """A start has ended, by itself (None) or stopped by something."""
    return Statement(_CLOSED, (to_milliseconds(now), stopped_by, start))
