"""The journal's writer: one thread that compresses and commits all submitted pages.

At the end of each of its turns, the event loop queues the pages of that turn as one batch; with
`Journal.gather`, those of a longer time. The thread takes all queued batches, compresses their
pages, takes the batches that came meanwhile, and commits everything as one group. The thread never
waits for a group to fill: while it works, the next group gathers.

The thread reaches the event loop only through its two callbacks, which it calls itself.
"""

from __future__ import annotations

import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import JournalError

from .compression import Dictionary, Encoder
from .presence import CHECK_INTERVAL, OpenFile
from .records import PageRecord, Visit
from .schema import finish, transaction
from .sqlite_errors import RowLostError, journal_error, require_rows
from .statements import Statement
from .trouble import BUSY_SECONDS, TroubleWait

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_GROUP = 256
_STEPS = 720

# A stored page stays as it is, because sending it again was a mistake. The exception is a page that
# was requested again because it denied its own total: see `_replace_pages`.
_INSERT_PAGE = """
INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (visit, number) DO NOTHING
"""
_INSERT_REJECT = """
INSERT INTO reject SELECT one.* FROM (SELECT ? AS seq, ?, ?, ?) AS one JOIN page USING (seq)
"""
_FIND_WORSE = """
SELECT seq FROM page WHERE visit = ? AND number = ?
   AND (items + rejects, has_next_page) < (?, ?) AND seq < ?
"""
_IS_STORED = "SELECT 1 FROM page WHERE visit = ? AND number = ?"
_STORED = "SELECT count(*), coalesce(sum(items), 0) FROM page WHERE seq >= ?"
_INSERT_DICTIONARY = "INSERT INTO dictionary VALUES (?, ?, ?)"
_INSERT_TICK = "INSERT OR REPLACE INTO tick VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_THIN_TICKS = "DELETE FROM tick WHERE start = ? AND n < ? AND (n + 1) % ? != 0"

Row = tuple[Any, ...]


class Batch(msgspec.Struct):
    """Pages and changes of one turn of the event loop.

    Attributes:
        pages: Pages to store, each with the visit that it belongs to.
        statements: Changes to the small tables.
        counts: Requests counted by the start so far; None leaves the stored counts as they are.
        width: Width of the gate.
    """

    pages: list[tuple[Visit, PageRecord]]
    statements: list[Statement]
    counts: RequestCounts | None = None
    width: int = 0


class _Group:
    """Rows and changes of one commit."""

    __slots__ = (
        "body_bytes", "counts", "dictionaries", "items", "pages", "rejects", "statements",
        "stored_bytes", "width",
    )  # fmt: skip

    def __init__(self) -> None:
        self.pages: list[Row] = []
        self.rejects: list[Row] = []
        self.statements: list[Statement] = []
        self.dictionaries: list[Row] = []
        self.counts: RequestCounts | None = None
        self.items = self.body_bytes = self.stored_bytes = self.width = 0


class Committed(msgspec.Struct, frozen=True):
    """Figures of a commit.

    Attributes:
        pages: Pages of the commit.
        statements: Changes of the commit.
        body_bytes: Bytes of the bodies, uncompressed.
        stored_bytes: Bytes of the bodies as stored.
    """

    pages: int
    statements: int
    body_bytes: int
    stored_bytes: int


class Writer(threading.Thread):
    """Commits batches until `stop` is called or a commit fails.

    Args:
        connection: Writing connection. The thread owns and closes it.
        path: The journal's file, named in errors.
        start: Number of the start that pages and ticks belong to.
        trouble_wait: Waits for troubles that can pass, such as a full disk.
        committed: Called in the thread after each commit.
        ended: Called in the thread when it ends, with the error that ended it or None.
        clock: Returns monotonic seconds for the ticks.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        start: int,
        *,
        trouble_wait: TroubleWait,
        committed: Callable[[Committed], None],
        ended: Callable[[JournalError | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A daemon, so that a process that does not close the journal can end. This is like a kill,
        # which loses no durable page.
        super().__init__(name="tmapi-journal", daemon=True)
        self._connection = connection
        self._path = path
        self._trouble_wait = trouble_wait
        self._committed = committed
        self._ended = ended
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._file = OpenFile(path, connection)
        self._encoder = Encoder(connection)
        self._seq = connection.execute("SELECT coalesce(max(seq), 0) FROM page").fetchone()[0]
        self._start = start
        self._ticks = TickRecorder(start, clock)
        if trouble_wait.seconds:  # SQLite's own wait would hide the trouble for longer
            connection.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")

    @property
    def dictionaries(self) -> Mapping[str, Dictionary]:
        """Compression of each endpoint from now on. Endpoints that still learn are missing.

        The thread adds entries. A visible entry may be used for pages that are submitted later:
        they are committed after the dictionary, or not at all.
        """
        return self._encoder.settled

    def enqueue(self, batch: Batch) -> None:
        """Queue a batch without waiting."""
        self._queue.put(batch)

    def stop(self) -> None:
        """Commit all queued batches, close the file, and end the thread. Returns at once."""
        self._queue.put(None)

    def run(self) -> None:
        """Commit batches until stopped. Never raises."""
        error = None
        try:
            while (batch := self._next_batch()) is not None:
                if not self._commit_group(batch):
                    break
        except Exception as failure:  # noqa: BLE001 - the waiting callers must learn of any error
            error = journal_error(self._path, failure)
        finally:
            finish(self._connection)
            self._ended(error)

    def _next_batch(self) -> Batch | None:
        """Wait for the next batch, and look at the file meanwhile; None at the end."""
        while True:
            try:
                return self._queue.get(timeout=CHECK_INTERVAL)
            except queue.Empty:
                self._file.check()

    def _commit_group(self, batch: Batch) -> bool:
        group, more = _Group(), True
        next_batch: Batch | None = batch
        while next_batch is not None:
            # Batches that come during the compression join the group while it is not too large.
            self._add(group, next_batch)
            next_batch, more = self._take(len(group.pages))
        # Once for the group, before a commit that may be tried again.
        group.dictionaries = self._encoder.trained()
        try:
            self._write(group)
        except sqlite3.Error as error:
            self._trouble_wait.repeat(self._path, lambda: self._write_checked(group), error)
        # After the commit, so that a copy of a file that was removed has these pages, too.
        self._file.check()
        self._committed(
            Committed(len(group.pages), len(group.statements), group.body_bytes, group.stored_bytes)
        )
        return more

    def _take(self, pages: int) -> tuple[Batch | None, bool]:
        """Return the next batch if one is queued, and False if it was the last one."""
        if pages >= LARGEST_GROUP:
            return None, True
        try:
            batch = self._queue.get_nowait()
        except queue.Empty:
            return None, True
        return batch, batch is not None

    def _add(self, group: _Group, batch: Batch) -> None:
        seq, encode, start, pages = self._seq, self._encoder.encode, self._start, group.pages
        body_bytes = stored_bytes = items = 0
        for visit, page in batch.pages:
            seq += 1
            dictionary, size, frame = page.dictionary, page.uncompressed_size, page.body
            rejects = page.rejects
            if not size:
                size = len(frame)
                dictionary, frame = encode(visit.listing.endpoint, frame)
            body_bytes += size
            stored_bytes += len(frame)
            items += page.items
            pages.append(
                (
                    seq,
                    visit.id,
                    page.number,
                    start,
                    round(page.fetched_at * 1e3),
                    page.attempts,
                    round(page.latency * 1e6),
                    page.code,
                    page.page_size,
                    int(page.has_next_page),  # sqlite3 looks for an adapter of each bool
                    page.total_count,
                    page.items,
                    len(rejects),
                    dictionary,
                    frame,
                )
            )
            for reject in rejects:
                group.rejects.append((seq, reject.position, reject.reason, reject.raw))
        batch.pages.clear()  # the memory of their bodies is free for the next replies
        self._seq = seq
        group.body_bytes += body_bytes
        group.stored_bytes += stored_bytes
        group.items += items
        group.statements += batch.statements
        if batch.counts is not None:
            group.counts, group.width = batch.counts, batch.width

    def _write_checked(self, group: _Group) -> None:
        """Write a group after a trouble, in which the file may have been moved."""
        self._file.check()
        self._write(group)

    def _write(self, group: _Group) -> None:
        execute = self._connection.execute
        with transaction(self._connection):
            pages, items = self._insert(group)
            for statement in group.statements:
                require_rows(execute(statement.sql, statement.values), statement.rows)
            if group.counts is not None:
                self._ticks.store(
                    self._connection, group.counts, group.width, pages=pages, items=items
                )
            for row in group.dictionaries:
                require_rows(execute(_INSERT_DICTIONARY, row))
        self._ticks.add(pages, items)

    def _insert(self, group: _Group) -> tuple[int, int]:
        """Insert the pages of a group; return how many pages and items are new."""
        if not group.pages:
            return 0, 0
        many = self._connection.executemany
        stored = many(_INSERT_PAGE, group.pages).rowcount
        if stored != len(group.pages):
            self._replace_pages(group.pages)
        rejects = many(_INSERT_REJECT, group.rejects) if group.rejects else None
        if stored == len(group.pages):
            if rejects is not None:
                require_rows(rejects, len(group.rejects))
            return stored, group.items
        counts = self._connection.execute(_STORED, (group.pages[0][0],)).fetchone()
        return counts[0], counts[1]

    def _replace_pages(self, rows: list[Row]) -> None:
        """Replace stored pages by those of a commit that show more of their listings.

        Raises:
            RowLostError: The file has taken a page without keeping it.
        """
        execute = self._connection.execute
        for row in rows:
            seq, visit, number, has_next, items, rejects = *row[:3], row[9], row[11], row[12]
            values = (visit, number, items + rejects, has_next, seq)
            for worse in execute(_FIND_WORSE, values).fetchall():
                execute("DELETE FROM reject WHERE seq = ?", worse)
                execute("DELETE FROM page WHERE seq = ?", worse)
                execute(_INSERT_PAGE, row)
            if execute(_IS_STORED, (visit, number)).fetchone() is None:
                raise RowLostError(f"it does not keep page {number}")


class TickRecorder:
    """Stores the counts of a start over time: by the second, then ever coarser.

    A start of any length has some hundreds of ticks.

    Args:
        start: Number of the start.
        clock: Returns monotonic seconds.
    """

    def __init__(self, start: int, clock: Callable[[], float]) -> None:
        self._start = start
        self._clock = clock
        self._started_at = clock()
        self._step = 1
        self._pages = 0
        self._items = 0

    def add(self, pages: int, items: int) -> None:
        """Count committed pages and their items."""
        self._pages += pages
        self._items += items

    def store(
        self,
        connection: sqlite3.Connection,
        counts: RequestCounts,
        width: int,
        *,
        pages: int = 0,
        items: int = 0,
    ) -> None:
        """Write the tick of this moment. It replaces an earlier tick of the same interval.

        Args:
            connection: Writing connection, in the transaction of the pages.
            counts: Requests counted by the start so far.
            width: Width of the gate.
            pages: Pages of this transaction, which `add` counts after its commit.
            items: Items on these pages.
        """
        elapsed = self._clock() - self._started_at
        while elapsed >= self._step * _STEPS:
            self._step *= 2
            thinned = (self._start, math.floor(elapsed), self._step)
            connection.execute(_THIN_TICKS, thinned)
        # An interval's row is named by its last second, so that thinning keeps whole intervals.
        last_second = (math.floor(elapsed / self._step) + 1) * self._step - 1
        codes = msgspec.json.encode(counts.codes).decode()
        row = (
            self._start,
            last_second,
            round(elapsed * 1000),
            counts.requests,
            counts.retries,
            counts.wasted,
            self._pages + pages,
            self._items + items,
            width,
            codes,
        )
        require_rows(connection.execute(_INSERT_TICK, row))
