"""Looks at a journal that a harvest in another process writes, without being in its way.

Between two looks nothing is open: no read transaction, which would keep SQLite from copying the
write-ahead log back into the file, and no connection, which would keep the harvest from leaving a
single file at its end. A look consists of short queries, each with a read transaction of its own.
Readers of a write-ahead log take no lock that a commit waits for.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from tmapi_async.journal.lock import is_lock_testable, writer_pid
from tmapi_async.journal.presence import file_identity
from tmapi_async.journal.schema import connect, connect_unchecked
from tmapi_async.journal.summaries.forecast import Remaining, time_left
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.summaries.throughput import Throughput
from tmapi_async.journal.tables.damaged_values import translated
from tmapi_async.journal.views import StartInfo, Tick, tick_of_row

from . import live_queries as queries
from .census import Census, LiveListing

_TICKS = 64


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """A journal at one moment.

    Attributes:
        at: Time of the look, seconds since 1970, UTC.
        writer: Number of the process that writes to the journal, 0 if unknown, None if none does.
        certain: False if this process may not try the lock, so that `writer` is not known.
        run: Number of the latest run, or 0.
        start: Latest start, with the counts of its last commit; None before the first start.
        earlier: Last counts of the earlier starts of the run.
        tally: Totals of the run's listings.
        reading: Listings that the latest start is reading.
        stopped: Listings that an earlier start left, and that the latest one has not continued.
        failed: The first listings that have failed.
        waiting: The first listings that were not begun.
        waiting_number: Number of all listings that were not begun.
        rate: Pages per second in the last half minute.
        remaining: Seconds until the end, or None if there is no estimate.
    """

    at: float
    writer: int | None
    certain: bool
    run: int
    start: StartInfo | None
    earlier: list[Tick]
    tally: RunTally
    reading: list[LiveListing]
    stopped: list[LiveListing]
    failed: list[LiveListing]
    waiting: list[LiveListing]
    waiting_number: int
    rate: float
    remaining: Remaining | None

    @property
    def has_ended(self) -> bool:
        """True if no harvest writes to the journal any more."""
        if self.certain:
            return self.writer is None
        return self.start is not None and self.start.ended_at is not None

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last commit of the start."""
        if self.start is None:
            return 0.0
        elapsed = self.start.totals.elapsed if self.start.totals is not None else 0.0
        return max(0.0, self.at - self.start.started_at - elapsed)


class JournalWatch:
    """A journal that is looked at again and again.

    Args:
        path: The journal's file.

    Attributes:
        change: Text that says how the file is no longer the one of the first look, or "".

    Raises:
        JournalError: The journal cannot be read. The subclass says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.change = ""
        connect(self.path, writing=False).close()  # checks the tables, once
        self._identity = file_identity(self.path)
        self._census: Census | None = None
        self._start = 0
        self._throughput = Throughput(0.0)
        self._earlier: list[Tick] = []

    def look(self, now: float, rows: int) -> Glance | None:
        """Return the journal at this moment; None if it is not the same file any more.

        Args:
            now: Seconds since 1970.
            rows: Maximum number of failed and of waiting listings to name.

        Raises:
            JournalError: The journal cannot be read.
        """
        # Before the file is read: a harvest that ends meanwhile has ended for the next look.
        writer = writer_pid(self.path)
        if not self._is_same_file():
            return None
        with translated(self.path), contextlib.closing(connect_unchecked(self.path)) as connection:
            return self._read(connection, writer, now, rows)

    def is_free(self) -> bool:
        """Return True if no process writes to the journal. Reads nothing of it."""
        return is_lock_testable(self.path) and writer_pid(self.path) is None

    def _is_same_file(self) -> bool:
        identity = file_identity(self.path)
        if identity is None:
            self.change = "the file was removed or moved"
        elif identity != self._identity:
            self.change = "another file has taken its place, such as a backup"
        return not self.change

    def _read(
        self, connection: sqlite3.Connection, writer: int | None, at: float, rows: int
    ) -> Glance | None:
        ((run,),) = queries.LATEST_RUN.fetch(connection)
        start, census = _latest_start(connection), self._census
        if census is not None and self._is_older(connection, census, run, start):
            self.change = "its contents are older than before, as those of a backup"
            return None
        if census is None or run != census.run:
            census = self._census = Census(run)
        census.update(connection)
        rate = self._rate(connection, start, at)
        opened = [census.open[visit] for visit in sorted(census.open)]
        reading, stopped = _sort_open(opened, start)
        return Glance(
            at=at,
            writer=writer,
            certain=is_lock_testable(self.path),
            run=run,
            start=start,
            earlier=self._earlier,
            tally=census.tally(),
            reading=reading,
            stopped=stopped,
            failed=census.first_failed(connection, rows),
            waiting=census.first_waiting(connection, rows),
            waiting_number=census.waiting,
            rate=rate,
            remaining=time_left(
                rate,
                census.ended_sizes,
                open_sizes=[one.pages for one in opened],
                waiting=census.waiting,
                expected=census.expected,
            ),
        )

    def _is_older(
        self, connection: sqlite3.Connection, census: Census, run: int, start: StartInfo | None
    ) -> bool:
        """Return True if the journal lacks what an earlier look has seen."""
        ((last_page,),) = queries.LAST_PAGE.fetch(connection)
        latest = start.id if start is not None else 0
        return run < census.run or latest < self._start or last_page < census.last_page

    def _rate(self, connection: sqlite3.Connection, start: StartInfo | None, at: float) -> float:
        """Return the recent pages per second of a start, from its ticks and the looks so far."""
        if start is None or start.totals is None:
            return 0.0
        if start.id != self._start:
            self._start, self._throughput = start.id, Throughput(0.0)
            for tick in reversed(_ticks(connection, start.id, _TICKS)):
                self._throughput.rate(tick.elapsed, tick.pages)
            earlier = queries.EARLIER_TOTALS.fetch(connection, start.run, start.id)
            self._earlier = [tick_of_row(*row) for row in earlier]
        elapsed = max(start.totals.elapsed, at - start.started_at)
        return self._throughput.rate(elapsed, start.totals.pages)


def _sort_open(
    listings: list[LiveListing], start: StartInfo | None
) -> tuple[list[LiveListing], list[LiveListing]]:
    """Return the listings that a start is reading, and those that an earlier one left."""
    if start is None or start.ended_at is not None:
        return [], listings
    reading = [listing for listing in listings if listing.is_read_by(start)]
    return reading, [listing for listing in listings if not listing.is_read_by(start)]


def _latest_start(connection: sqlite3.Connection) -> StartInfo | None:
    rows = queries.LATEST_START.fetch(connection)
    if not rows:
        return None
    number, run, started_at, ended_at, stopped_by, host, version, pid = rows[0]
    ticks = _ticks(connection, number, 1)
    return StartInfo(
        number,
        run,
        started_at / 1000,
        None if ended_at is None else ended_at / 1000,
        stopped_by,
        host,
        version,
        pid,
        ticks[0] if ticks else None,
    )


def _ticks(connection: sqlite3.Connection, start: int, limit: int) -> list[Tick]:
    """Return the latest counts of a start, latest first."""
    return [tick_of_row(*row) for row in queries.LATEST_TICKS.fetch(connection, start, limit)]
