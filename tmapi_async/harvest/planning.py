"""What a start has to do, from what the journal holds and what is asked for.

Without `refresh`, a listing that a run has finished is left alone, and one that was begun goes on
where it stands, in its own run; one that is new joins the latest run. With `refresh` a new run is
made if nothing of what is asked for is unfinished; otherwise it goes on like a start without it.
So nothing is paid for twice unless a finished listing is asked for anew, by name and on purpose.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from ..listings import Listing
from .records import State, Visit, milliseconds

_CHUNK = 500  # parameters of one query; old SQLite allows 999

_LATEST = """
SELECT listing.identity, listing.id, visit.id, visit.run, visit.state, visit.began_at,
       visit.last_page, visit.capped_at
FROM listing LEFT JOIN visit ON visit.id = (
    SELECT id FROM visit WHERE listing = listing.id ORDER BY run DESC LIMIT 1)
WHERE listing.identity IN ({marks})
"""


class Plan(msgspec.Struct):
    """What a start has to do; nothing is written until `Journal.begin`.

    Attributes:
        new_run: Whether a new run is to be made.
        run: The latest run so far, or 0; new listings join it unless a new one is made.
        unfinished: Visits to go on with or to begin, in the order asked for; those whose number is
            0 are to be made.
        finished: Numbers of the visits that have nothing left to do.
        host: The host of the latest start, or None; another one deserves a warning.
    """

    new_run: bool
    run: int
    unfinished: list[Visit]
    finished: list[int]
    host: str | None

    @property
    def done(self) -> bool:
        """Whether nothing is left to be sent."""
        return not self.unfinished


class _Found(msgspec.Struct, frozen=True, gc=False):
    visit: int | None
    run: int | None
    state: State | None
    begun: bool
    last_page: int | None
    capped_at: int | None

    def finished(self, max_pages: int | None) -> bool:
        if self.state != "capped":
            return self.state == "complete"
        # Cut by an earlier --max-pages: there is more to do if this start may go further.
        cut = self.capped_at
        return cut is None or (max_pages is not None and max_pages <= cut)


def make_plan(
    connection: sqlite3.Connection,
    listings: Iterable[Listing],
    *,
    refresh: bool,
    max_pages: int | None,
) -> Plan:
    """Compare what is asked for with what the journal holds.

    Args:
        connection: The journal.
        listings: What is asked for; repeated ones count once.
        refresh: Make a new run if everything asked for is finished.
        max_pages: Pages of a listing that this start may ask for, or None.

    Returns:
        The plan.
    """
    run = connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()[0]
    latest = connection.execute("SELECT host FROM start ORDER BY id DESC LIMIT 1").fetchone()
    unfinished: list[Visit] = []
    finished: list[int] = []
    again: list[Visit] = []
    for listing, found in _look_up(connection, listings):
        if found is None or found.visit is None or found.run is None:
            unfinished.append(Visit(0, run, listing))
        elif not found.finished(max_pages):
            state = found.state or "open"
            unfinished.append(Visit(found.visit, found.run, listing, state, begun=found.begun))
        else:
            finished.append(found.visit)
            if refresh:
                expected = found.last_page if found.state == "complete" else None
                again.append(Visit(0, 0, listing, expected=expected))
    new_run = run == 0 or (refresh and not unfinished)
    if refresh and not unfinished:
        unfinished, finished = again, []
    return Plan(new_run, run, unfinished, finished, latest[0] if latest else None)


def _look_up(
    connection: sqlite3.Connection, listings: Iterable[Listing]
) -> Iterator[tuple[Listing, _Found | None]]:
    unique = iter(dict.fromkeys(listings))
    while chunk := list(itertools.islice(unique, _CHUNK)):
        identities = [listing.identity for listing in chunk]
        query = _LATEST.format(marks=", ".join("?" * len(chunk)))
        found = {
            identity: _Found(visit, run, state, began_at is not None, last_page, capped_at)
            for identity, _, visit, run, state, began_at, last_page, capped_at in (
                connection.execute(query, identities)
            )
        }
        for listing, identity in zip(chunk, identities, strict=True):
            yield listing, found.get(identity)


class Start(msgspec.Struct, frozen=True):
    """A start that has been recorded.

    Attributes:
        id: Its number.
        run: The run it works on: the new one, or the latest.
        visits: What it has to do, in the order asked for.
    """

    id: int
    run: int
    visits: list[Visit]


def record_start(
    connection: sqlite3.Connection, plan: Plan, *, host: str, version: str, now: float
) -> Start:
    """Write a start with its run, listings and visits, in one transaction.

    Args:
        connection: The journal, for writing.
        plan: What is to be done.
        host: Scheme, host and port of the API; no secret in it.
        version: Version of this package.
        now: Seconds since 1970.

    Returns:
        The start, its visits numbered.
    """
    at = milliseconds(now)
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        run = plan.run
        if plan.new_run:
            run = _next(connection, "run")
            execute("INSERT INTO run VALUES (?, ?, ?)", (run, at, version))
        start = _next(connection, "start")
        row = (start, run, at, None, None, host, version, os.getpid())
        execute("INSERT INTO start VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        visits = list(_recorded(connection, plan.unfinished, run))
        execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            execute("ROLLBACK")
        raise
    return Start(start, run, visits)


def _recorded(connection: sqlite3.Connection, visits: list[Visit], run: int) -> Iterator[Visit]:
    number = _next(connection, "visit")
    add_listing = "INSERT OR IGNORE INTO listing (identity, endpoint, params) VALUES (?, ?, ?)"
    add_visit = (
        "INSERT INTO visit (id, run, listing) SELECT ?, ?, id FROM listing WHERE identity = ?"
    )
    for visit in visits:
        if visit.id:
            yield visit
            continue
        listing = visit.listing
        identity = listing.identity
        params = msgspec.json.encode(listing.params).decode()
        connection.execute(add_listing, (identity, listing.endpoint, params))
        connection.execute(add_visit, (number, run, identity))
        yield msgspec.structs.replace(visit, id=number, run=run)
        number += 1


def _next(connection: sqlite3.Connection, table: str) -> int:
    query = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"  # noqa: S608 - names of ours
    number: int = connection.execute(query).fetchone()[0]
    return number
