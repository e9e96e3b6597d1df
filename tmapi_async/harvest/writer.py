"""The journal's writer: one thread that compresses and commits whatever has been handed over.

The event loop hands over at the end of each of its turns what was given to it in that turn; the
thread takes all that lies there, compresses it, takes what came meanwhile, and commits the lot as
one group. It never waits for a group to fill: while it works, the next group gathers.

Nothing here touches the event loop but through the two callbacks, which are called in the thread.
"""

from __future__ import annotations

import functools
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from .bodies import Encoded, Encoder
from .changes import Statement
from .errors import JournalError, journal_error
from .records import Counters, PageRecord, milliseconds
from .schema import finish

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_GROUP = 256
_MOST_ROWS = 32  # of 15 parameters each: old SQLite allows 999 of them in one statement
_STEPS = 720

_INSERT_REJECT = (
    "INSERT INTO reject SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM page WHERE seq = ?1)"
)
_STORED = "SELECT count(*), coalesce(sum(items), 0) FROM page WHERE seq >= ?"
_INSERT_DICTIONARY = "INSERT INTO dictionary VALUES (?, ?, ?)"
_INSERT_TICK = "INSERT OR REPLACE INTO tick VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_THIN_TICKS = "DELETE FROM tick WHERE start = ? AND n < ? AND (n + 1) % ? != 0"

Row = tuple[Any, ...]


class Batch(msgspec.Struct):
    """What one turn of the event loop hands over.

    Attributes:
        pages: Pages to store.
        statements: Changes to the small tables.
        counters: What the start has counted by now, or None to leave the record as it is.
    """

    pages: list[PageRecord]
    statements: list[Statement]
    counters: Counters | None = None

    def join(self, later: Batch) -> None:
        """Take in a batch that was handed over later."""
        self.pages += later.pages
        self.statements += later.statements
        self.counters = later.counters or self.counters


class Committed(msgspec.Struct, frozen=True):
    """What a commit made durable: pages, their bytes and their bytes as stored."""

    pages: int
    statements: int
    body_bytes: int
    stored_bytes: int


class Writer(threading.Thread):
    """Commits batches until it is told to stop or a commit fails.

    Args:
        connection: A writing connection; the thread owns it from now on and closes it.
        path: The journal's file, named in errors.
        start: Number of the start that pages and ticks belong to.
        committed: Called in the thread after each commit.
        ended: Called in the thread when it ends, with the error that ended it or None.
        clock: Monotonic seconds, for the ticks.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        start: int,
        *,
        committed: Callable[[Committed], None],
        ended: Callable[[JournalError | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A daemon: a process that ends without closing the journal must not hang; it is then
        # as if it had been killed, which costs nothing that was durable.
        super().__init__(name="tmapi-journal", daemon=True)
        self._connection = connection
        self._path = path
        self._committed = committed
        self._ended = ended
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._encoder = Encoder(connection)
        self._seq = connection.execute("SELECT coalesce(max(seq), 0) FROM page").fetchone()[0]
        self._start = start
        self._ticks = _Ticks(start, clock)

    def hand_over(self, batch: Batch) -> None:
        """Take a batch; returns at once."""
        self._queue.put(batch)

    def stop(self) -> None:
        """Commit all that has been handed over, close the file, end."""
        self._queue.put(None)

    def run(self) -> None:
        """Work until stopped; never raises."""
        error = None
        try:
            while (batch := self._queue.get()) is not None:
                if not self._commit_group(batch):
                    break
        except Exception as failure:  # noqa: BLE001 - whatever it is, the waiting callers must hear
            error = journal_error(self._path, failure)
        finally:
            finish(self._connection)
            self._ended(error)

    def _commit_group(self, batch: Batch) -> bool:
        group, more = batch, True
        pages: list[Row] = []
        rejects: list[Row] = []
        sizes = [0, 0]
        fresh: Batch | None = batch
        while fresh is not None:
            # While these are compressed others come: they join, as long as the group is not large.
            pages += self._encoded(fresh.pages, rejects, sizes)
            fresh, more = self._take(len(pages)) if more else (None, False)
            if fresh is not None:
                group.statements += fresh.statements
                group.counters = fresh.counters or group.counters
        self._transaction(pages, rejects, group)
        self._committed(Committed(len(pages), len(group.statements), *sizes))
        return more

    def _take(self, held: int) -> tuple[Batch | None, bool]:
        """All that lies there, if anything does, and whether there can be more after that."""
        taken: Batch | None = None
        while held < LARGEST_GROUP:
            try:
                batch = self._queue.get_nowait()
            except queue.Empty:
                break
            if batch is None:
                return taken, False
            if taken is None:
                taken = batch
            else:
                taken.join(batch)
            held += len(batch.pages)
        return taken, True

    def _encoded(
        self, records: list[PageRecord], rejects: list[Row], sizes: list[int]
    ) -> Iterator[Row]:
        for endpoint, of_one in _by_endpoint(records):
            bodies = [record.body for record in of_one]
            frames = self._encoder.encode(endpoint, bodies)
            for record, encoded in zip(of_one, frames, strict=True):
                sizes[0] += len(record.body)
                sizes[1] += len(encoded.frame)
                self._seq += 1
                rejects += [(self._seq, r.position, r.reason, r.raw) for r in record.rejects]
                yield self._row(record, encoded)

    def _row(self, record: PageRecord, encoded: Encoded) -> Row:
        return (
            self._seq,
            record.visit.id,
            record.number,
            self._start,
            milliseconds(record.fetched_at),
            record.attempts,
            round(record.latency * 1e6),
            record.code,
            record.page_size,
            record.has_next_page,
            record.total_count,
            record.items,
            len(record.rejects),
            encoded.dictionary,
            encoded.frame,
        )

    def _transaction(self, pages: list[Row], rejects: list[Row], group: Batch) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._insert(pages)
            if rejects:
                self._connection.executemany(_INSERT_REJECT, rejects)
            for statement in group.statements:
                execute(statement.sql, statement.values)
            if group.counters is not None:
                self._ticks.note(self._connection, group.counters)
            for row in self._encoder.trained():
                execute(_INSERT_DICTIONARY, row)
            execute("COMMIT")
        except BaseException:
            # SQLite has rolled back already after some errors, a full disk among them.
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _insert(self, pages: list[Row]) -> None:
        stored = done = 0
        while done < len(pages):
            # Many rows a statement, for the same reason as in `bodies`; of sizes that are powers of
            # two, so that few statements are prepared.
            count = min(_MOST_ROWS, 1 << ((len(pages) - done).bit_length() - 1))
            values = [value for row in pages[done : done + count] for value in row]
            stored += self._connection.execute(_insert_pages(count), values).rowcount
            done += count
        if stored == len(pages):
            self._ticks.add(stored, sum(page[11] for page in pages))
        else:
            row = self._connection.execute(_STORED, (pages[0][0],)).fetchone()
            self._ticks.add(*row)


@functools.cache
def _insert_pages(count: int) -> str:
    row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    rows = ", ".join([row] * count)
    # A page that is held already stays as it is: whoever sent it again did so by mistake.
    return f"INSERT INTO page VALUES {rows} ON CONFLICT (visit, number) DO NOTHING"  # noqa: S608 - only marks


def _by_endpoint(records: list[PageRecord]) -> Iterable[tuple[str, list[PageRecord]]]:
    found: dict[str, list[PageRecord]] = {}
    for record in records:
        found.setdefault(record.visit.listing.endpoint, []).append(record)
    return found.items()


class _Ticks:
    """What a start had counted, by the second; ever coarser, so that a long start stays small."""

    def __init__(self, start: int, clock: Callable[[], float]) -> None:
        self._start = start
        self._clock = clock
        self._began = clock()
        self._step = 1
        self._pages = 0
        self._items = 0

    def add(self, pages: int, items: int) -> None:
        """Count what is about to be committed."""
        self._pages += pages
        self._items += items

    def note(self, connection: sqlite3.Connection, counters: Counters) -> None:
        """Write the row of this moment, in place of an earlier one of the same interval."""
        elapsed = self._clock() - self._began
        while elapsed >= self._step * _STEPS:
            self._step *= 2
            thinned = (self._start, math.floor(elapsed), self._step)
            connection.execute(_THIN_TICKS, thinned)
        # An interval's row is named by its last second, so that thinning keeps whole intervals.
        n = (math.floor(elapsed / self._step) + 1) * self._step - 1
        codes = msgspec.json.encode(counters.codes).decode()
        row = (
            self._start,
            n,
            round(elapsed * 1000),
            counters.requests,
            counters.retries,
            counters.wasted,
            self._pages,
            self._items,
            counters.width,
            codes,
        )
        connection.execute(_INSERT_TICK, row)
