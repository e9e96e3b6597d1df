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
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tmapi_async.api.listings import Listing

from .records import EMPTY_TOTALS, RunTally, State, Totals, Visit, to_milliseconds
from .schema import transaction

_CHUNK = 500  # parameters of one query; old SQLite allows 999

_LATEST = """
SELECT listing.identity, visit.id, visit.run, state, began_at, capped_at, pages, items,
       unique_items, rejects, last_page, total_count
FROM listing JOIN visit ON visit.id = (
    SELECT id FROM visit WHERE listing = listing.id ORDER BY run DESC LIMIT 1)
WHERE listing.identity IN ({marks})
"""
_DIVISIONS = """
SELECT root, pages, items, unique_items, rejects FROM division WHERE root IN ({marks})
"""
_CUT_PARTS = """
SELECT visit FROM part WHERE visit IN ({marks}) AND coalesce(
    (SELECT has_next_page FROM page WHERE page.visit = part.visit ORDER BY number DESC LIMIT 1), 1)
"""
_SUMS = """
SELECT count(*), coalesce(sum(items), 0), coalesce(sum(rejects), 0), coalesce(max(number), 0)
FROM page WHERE visit = ?
"""


class Plan(msgspec.Struct):
    """What a start has to do; nothing is written until `Journal.begin`.

    Attributes:
        new_run: Whether a new run is to be made.
        run: The latest run so far, or 0; new listings join it unless a new one is made.
        unfinished: Visits to go on with or to begin, in the order asked for; those whose number is
            0 are to be made.
        finished: Numbers of the visits that have nothing left to do.
        tally: What all of them hold so far.
        host: The host of the latest start, or None; another one deserves a warning.
    """

    new_run: bool
    run: int
    unfinished: list[Visit]
    finished: array[int]
    tally: RunTally
    host: str | None

    @property
    def done(self) -> bool:
        """Whether nothing is left to be sent."""
        return not self.unfinished


class _Found(msgspec.Struct, frozen=True, gc=False):
    visit: int
    run: int
    state: State
    begun: bool
    capped_at: int | None
    totals: Totals
    divided: bool = False
    probe: bool = False

    def finished(self, max_pages: int | None, *, split: bool) -> bool:
        """Whether nothing is left to do."""
        if self.probe or (split and self.state == "capped" and not self.divided):
            return False  # so far it has served only to divide another one; or was not divided
        if self.state != "capped":
            return self.state == "complete"
        # Cut by an earlier --max-pages: there is more to do if this start may go further.
        cut = self.capped_at
        return cut is None or (max_pages is not None and max_pages <= cut)

    def again(self, listing: Listing) -> Visit:
        """The listing to be walked anew."""
        expected = self.totals.last_page if self.state == "complete" else None
        return Visit(0, 0, listing, expected=expected)

    def going_on(self, listing: Listing) -> Visit:
        """The visit to go on with."""
        return Visit(
            self.visit, self.run, listing, self.state, begun=self.begun, totals=self.totals
        )


def make_plan(
    connection: sqlite3.Connection,
    listings: Iterable[Listing],
    *,
    refresh: bool,
    max_pages: int | None,
    split: bool = False,
) -> Plan:
    """Compare what is asked for with what the journal holds.

    Args:
        connection: The journal.
        listings: What is asked for; repeated ones count once.
        refresh: Make a new run if everything asked for is finished.
        max_pages: Pages of a listing that this start may ask for, or None.
        split: Go on with listings that the ceiling cut and that were not divided yet.

    Returns:
        The plan.
    """
    run = connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()[0]
    latest = connection.execute("SELECT host FROM start ORDER BY id DESC LIMIT 1").fetchone()
    host = latest[0] if latest else None
    plan = Plan(run == 0, run, [], array("q"), RunTally(), host)
    anew: list[Visit] = []
    for listing, found in _look_up(connection, listings):
        if found is None:
            plan.unfinished.append(Visit(0, run, listing))
            plan.tally.listings += 1
        elif found.finished(max_pages, split=split):
            plan.finished.append(found.visit)
            plan.tally.ended(found.state, found.totals)
            if refresh:
                anew.append(found.again(listing))
        else:
            plan.unfinished.append(found.going_on(listing))
            plan.tally.add(found.totals)
            plan.tally.listings += 1
    if refresh and not plan.unfinished:
        return Plan(True, run, anew, array("q"), RunTally(listings=len(anew)), host)
    return plan


def _look_up(
    connection: sqlite3.Connection, listings: Iterable[Listing]
) -> Iterator[tuple[Listing, _Found | None]]:
    unique = iter(dict.fromkeys(listings))
    while chunk := list(itertools.islice(unique, _CHUNK)):
        identities = [listing.identity for listing in chunk]
        query = _LATEST.format(marks=", ".join("?" * len(chunk)))
        found = {row[0]: _found(connection, row) for row in connection.execute(query, identities)}
        _divisions(connection, found)
        for listing, identity in zip(chunk, identities, strict=True):
            yield listing, found.get(identity)


def _divisions(connection: sqlite3.Connection, found: dict[str, _Found]) -> None:
    """Note what parts of visits hold, and which visits are no more than parts."""
    names = {one.visit: name for name, one in found.items()}
    marks = ", ".join("?" * len(names))
    for root, pages, items, unique, rejects in connection.execute(
        _DIVISIONS.format(marks=marks), [*names]
    ):
        one = found[names[root]]
        # What is open sums up its parts when it is gone on with.
        totals = (
            one.totals
            if one.state == "open"
            else Totals(pages, items, unique, rejects, one.totals.last_page)
        )
        found[names[root]] = msgspec.structs.replace(one, totals=totals, divided=True)
    for (visit,) in connection.execute(_CUT_PARTS.format(marks=marks), [*names]):
        found[names[visit]] = msgspec.structs.replace(found[names[visit]], probe=True)


def _found(connection: sqlite3.Connection, row: tuple[Any, ...]) -> _Found:
    _, visit, run, state, began_at, capped_at, *noted = row
    if state == "open":
        totals = sums(connection, visit) if began_at is not None else EMPTY_TOTALS
        if noted[0] == totals.pages:
            # A clean stop noted the distinct items; they hold while no page has come since.
            totals = msgspec.structs.replace(totals, unique_items=noted[2])
    else:
        totals = Totals(*noted)
    return _Found(visit, run, state, began_at is not None, capped_at, totals)


def sums(connection: sqlite3.Connection, visit: int) -> Totals:
    """What the pages of a visit sum up to; distinct items count as 0, they are not known."""
    pages, items, rejects, last_page = connection.execute(_SUMS, (visit,)).fetchone()
    return Totals(pages, items, 0, rejects, last_page)


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
        host: Host and port of the API.
        version: Version of this package.
        now: Seconds since 1970.

    Returns:
        The start, its visits numbered.
    """
    at = to_milliseconds(now)
    execute = connection.execute
    with transaction(connection):
        run = plan.run
        if plan.new_run:
            run = _next(connection, "run")
            execute("INSERT INTO run VALUES (?, ?, ?)", (run, at, version))
        start = _next(connection, "start")
        row = (start, run, at, None, None, host, version, os.getpid())
        execute("INSERT INTO start VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        visits = list(_recorded(connection, plan.unfinished, run))
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
