"""Plan of a start: compares the requested listings with the visits in the journal.

Without `refresh`, a listing that a run has finished is skipped, a listing that was begun continues
in its own run, and a new listing joins the latest run. With `refresh`, a new run is created if all
requested listings are finished; otherwise the start continues as without `refresh`. So no page is
paid for twice, unless a finished listing is requested again on purpose.

With `renew_before`, the listings that were finished before that time are walked anew in a new run,
and all others are treated as without `refresh`: the same start later finds fewer old listings, and
continues the others. A listing that had *failed again* before that time is walked anew, too.

A listing may fail whenever it is walked, for example because its own total is wrong. So that such a
listing does not hold up all others, `refresh` walks it anew in the next run once it has *failed
again*: in a later start than the one that began it, or in two runs with the same kind of error.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

import msgspec

from tmapi_async.api.listings import Listing

from .records import EMPTY_TOTALS, STATE, State, Totals, Visit, VisitQueue, to_milliseconds
from .schema import transaction
from .sqlite_errors import require_rows
from .summaries.tally import RunTally

_CHUNK = 500  # parameters of one query; old SQLite allows 999

_LATEST = f"""
SELECT listing.identity, visit.id, visit.run, {STATE}, began_at, capped_at, pages, items,
       unique_items, rejects, last_page, total_count, ended_at
FROM listing JOIN visit ON visit.id = (
    SELECT id FROM visit WHERE listing = listing.id ORDER BY run DESC LIMIT 1)
WHERE listing.identity IN ({{marks}})
"""  # noqa: S608 - constants of this package
_DIVISIONS = """
SELECT root, pages, items, unique_items, rejects FROM division WHERE root IN ({marks})
"""
_CUT_PARTS = """
SELECT visit FROM part WHERE visit IN ({marks}) AND coalesce(
    (SELECT has_next_page FROM page WHERE page.visit = part.visit ORDER BY number DESC LIMIT 1), 1)
"""
_FAILED_AGAIN = """
SELECT id FROM visit WHERE id IN ({marks}) AND state = 'failed' AND (
    EXISTS (SELECT 1 FROM start WHERE started_at > began_at AND started_at <= ended_at)
    OR (SELECT earlier.state = 'failed' AND earlier.error_kind IS visit.error_kind
        FROM visit AS earlier WHERE earlier.listing = visit.listing AND earlier.run < visit.run
        ORDER BY earlier.run DESC LIMIT 1))
"""
_SUMS = """
SELECT count(*), coalesce(sum(items), 0), coalesce(sum(rejects), 0), coalesce(max(number), 0)
FROM page WHERE visit = ?
"""


class Plan(msgspec.Struct):
    """Work of a start. Nothing is written until `Journal.begin`.

    Attributes:
        new_run: True if the start creates a run.
        run: Number of the latest run, or 0. New listings join this run if no run is created.
        unfinished: Visits to begin or to continue, in the requested order. A visit with the number
            0 is not in the journal yet.
        finished: Numbers of the visits that are finished.
        tally: Totals of all requested listings so far.
        host: Host of the latest start, or None. A different host deserves a warning.
        failed_again: Number of listings that had failed again, and that a new run walks anew.
        renewed: Number of finished listings that are walked anew because they are old.
    """

    new_run: bool
    run: int
    unfinished: VisitQueue
    finished: array[int]
    tally: RunTally
    host: str | None
    failed_again: int = 0
    renewed: int = 0

    @property
    def done(self) -> bool:
        """True if no request is left to send."""
        return not len(self.unfinished)


class _StoredVisit(msgspec.Struct, frozen=True, gc=False):
    """Latest visit of a listing.

    Attributes:
        divided: True if the listing was divided and its division has ended.
        probe: True if the visit has only served to divide another listing.
        failed_again: True if the visit has failed, and not for the first time.
        ended_at: Time when the visit ended, in milliseconds since 1970; 0 if it has not.
    """

    visit: int
    run: int
    state: State
    begun: bool
    capped_at: int | None
    totals: Totals
    divided: bool = False
    probe: bool = False
    failed_again: bool = False
    ended_at: int = 0

    def finished(self, max_pages: int | None, *, split: bool) -> bool:
        """Return True if no page is left to request."""
        if self.probe or (split and self.state == "capped" and not self.divided):
            return False
        if self.state != "capped":
            return self.state in ("complete", "shifted")
        # An earlier --max-pages cut the listing: a start with a higher limit continues it.
        cut = self.capped_at
        return cut is None or (max_pages is not None and max_pages <= cut)

    def new_visit(self, listing: Listing) -> Visit:
        """Return a visit that walks the listing once more."""
        last_page = self.totals.last_page if self.state == "complete" else None
        return Visit(0, 0, listing, expected_pages=last_page)

    def continued(self, listing: Listing) -> Visit:
        """Return the visit, to be continued."""
        return Visit(
            self.visit, self.run, listing, self.state, begun=self.begun, totals=self.totals
        )


class PlanOptions(TypedDict, total=False):
    """Options of a plan.

    Attributes:
        refresh: Create a run if all requested listings are finished or have failed again.
        max_pages: Maximum number of pages per listing in this start, or None.
        split: Continue listings that the ceiling cut and that were not divided.
        renew_before: Walk the listings anew, in a new run, that were finished before this time,
            seconds since 1970; None for no listing.
    """

    refresh: bool
    max_pages: int | None
    split: bool
    renew_before: float | None


def make_plan(
    connection: sqlite3.Connection,
    listings: Iterable[Listing],
    *,
    refresh: bool = False,
    max_pages: int | None = None,
    split: bool = False,
    renew_before: float | None = None,
) -> Plan:
    """Compare the requested listings with the visits in the journal.

    Args:
        connection: Connection to the journal.
        listings: Requested listings. Repeated listings count once.
        refresh: See `PlanOptions` for this and the other options.
        max_pages: Maximum number of pages per listing.
        split: True to divide listings.
        renew_before: Time before which a listing is old.

    Returns:
        The plan.
    """
    oldest = 0 if renew_before is None else to_milliseconds(renew_before)
    run = connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()[0]
    latest = connection.execute("SELECT host FROM start ORDER BY id DESC LIMIT 1").fetchone()
    host = latest[0] if latest else None
    listings = distinct_listings(listings)
    unfinished = VisitQueue(listings, run)
    plan = Plan(run == 0, run, unfinished, array("q"), RunTally(), host)
    new_visits: list[Visit] = []
    failed_again = 0
    for listing, stored in _look_up(connection, listings):
        if stored is None:
            unfinished.add_new()
            plan.tally.listings += 1
        elif stored.ended_at < oldest and (
            stored.failed_again or stored.finished(max_pages, split=split)
        ):
            unfinished.add(stored.new_visit(listing))
            plan.tally.listings += 1
            plan.renewed += not stored.failed_again
            plan.failed_again += stored.failed_again
            plan.new_run = True
        elif stored.finished(max_pages, split=split):
            unfinished.skip()
            plan.finished.append(stored.visit)
            plan.tally.add_listing(listing, stored.state, stored.totals)
            if refresh:
                new_visits.append(stored.new_visit(listing))
        else:
            unfinished.add(stored.continued(listing))
            plan.tally.add(stored.totals)
            plan.tally.listings += 1
            if refresh and stored.failed_again:
                failed_again += 1
                new_visits.append(stored.new_visit(listing))
    if refresh and len(unfinished) == failed_again:
        tally = RunTally(listings=len(new_visits))
        visits = VisitQueue.of(new_visits)
        return Plan(True, run, visits, array("q"), tally, host, failed_again)
    return plan


def distinct_listings(listings: Iterable[Listing]) -> Iterable[Listing]:
    """Return the listings, each once, as something that can be read again and again."""
    if getattr(listings, "distinct", False):  # a source that makes each listing anew
        return listings
    return list(dict.fromkeys(listings))


def _look_up(
    connection: sqlite3.Connection, listings: Iterable[Listing]
) -> Iterator[tuple[Listing, _StoredVisit | None]]:
    remaining = iter(listings)
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        identities = [listing.identity for listing in chunk]
        query = _LATEST.format(marks=", ".join("?" * len(chunk)))
        visits = {
            row[0]: _stored_visit(connection, row) for row in connection.execute(query, identities)
        }
        _add_divisions(connection, visits)
        _mark_failed_again(connection, visits)
        for listing, identity in zip(chunk, identities, strict=True):
            yield listing, visits.get(identity)


def _add_divisions(connection: sqlite3.Connection, visits: dict[str, _StoredVisit]) -> None:
    """Set the totals of divided listings, and mark the visits that are only parts."""
    names = {visit.visit: name for name, visit in visits.items()}
    marks = ", ".join("?" * len(names))
    for root, pages, items, unique, rejects in connection.execute(
        _DIVISIONS.format(marks=marks), [*names]
    ):
        stored = visits[names[root]]
        # An open visit sums up its parts when a start continues it.
        totals = (
            stored.totals
            if stored.state == "open"
            else Totals(pages, items, unique, rejects, stored.totals.last_page)
        )
        visits[names[root]] = msgspec.structs.replace(stored, totals=totals, divided=True)
    for (part,) in connection.execute(_CUT_PARTS.format(marks=marks), [*names]):
        visits[names[part]] = msgspec.structs.replace(visits[names[part]], probe=True)


def _mark_failed_again(connection: sqlite3.Connection, visits: dict[str, _StoredVisit]) -> None:
    """Mark the visits that have failed, and not for the first time."""
    names = {visit.visit: name for name, visit in visits.items() if visit.state == "failed"}
    if not names:
        return
    query = _FAILED_AGAIN.format(marks=", ".join("?" * len(names)))
    for (failed,) in connection.execute(query, [*names]):
        visits[names[failed]] = msgspec.structs.replace(visits[names[failed]], failed_again=True)


def _stored_visit(connection: sqlite3.Connection, row: tuple[Any, ...]) -> _StoredVisit:
    _, visit, run, state, began_at, capped_at, *figures, ended_at = row
    if state == "open":
        totals = sum_pages(connection, visit) if began_at is not None else EMPTY_TOTALS
        if figures[0] == totals.pages:
            # A clean stop stored the distinct items. They are valid while no page was added.
            totals = msgspec.structs.replace(totals, unique_items=figures[2])
    else:
        totals = Totals(*figures)
    return _StoredVisit(
        visit, run, state, began_at is not None, capped_at, totals, ended_at=ended_at or 0
    )


def sum_pages(connection: sqlite3.Connection, visit: int) -> Totals:
    """Return the sums over the pages of a visit, with 0 distinct items: those are not known."""
    pages, items, rejects, last_page = connection.execute(_SUMS, (visit,)).fetchone()
    return Totals(pages, items, 0, rejects, last_page)


class Start(msgspec.Struct, frozen=True):
    """A start that is recorded in the journal.

    Attributes:
        id: Number of the start.
        run: Number of the run: the new one, or the latest.
        visits: Visits to make, in the requested order.
    """

    id: int
    run: int
    visits: VisitQueue


def record_start(
    connection: sqlite3.Connection, plan: Plan, *, host: str, version: str, now: float
) -> Start:
    """Write a start with its run, listings and visits, in one transaction.

    Args:
        connection: Connection to the journal, for writing.
        plan: The plan to carry out.
        host: Host and port of the API.
        version: Version of this package.
        now: Seconds since 1970.

    Returns:
        The start. All its visits have numbers.
    """
    at = to_milliseconds(now)
    execute = connection.execute
    with transaction(connection):
        run = plan.run
        if plan.new_run:
            run = _next(connection, "run")
            require_rows(execute("INSERT INTO run VALUES (?, ?, ?)", (run, at, version)))
        start = _next(connection, "start")
        row = (start, run, at, None, None, host, version, os.getpid())
        require_rows(execute("INSERT INTO start VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row))
        _record_visits(connection, plan.unfinished, run)
    return Start(start, run, plan.unfinished)


def _record_visits(connection: sqlite3.Connection, visits: VisitQueue, run: int) -> None:
    """Record the visits that have no number yet, and number them."""
    add_listing = "INSERT OR IGNORE INTO listing (identity, endpoint, params) VALUES (?, ?, ?)"
    add_visit = (
        "INSERT INTO visit (id, run, listing) SELECT ?, ?, id FROM listing WHERE identity = ?"
    )
    first = _next(connection, "visit")
    visits.number(first, run)
    for visit in visits:
        if visit.id < first:
            continue
        listing = visit.listing
        identity = listing.identity
        params = msgspec.json.encode(listing.params).decode()
        connection.execute(add_listing, (identity, listing.endpoint, params))
        require_rows(connection.execute(add_visit, (visit.id, run, identity)))


def _next(connection: sqlite3.Connection, table: str) -> int:
    query = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"  # noqa: S608 - constants of this module
    number: int = connection.execute(query).fetchone()[0]
    return number
