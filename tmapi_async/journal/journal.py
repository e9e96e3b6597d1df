"""The journal: the durable store of every page that was paid for.

A page is *submitted*, and *durable* when the commit it belongs to has returned. Between the two, a
kill makes the job pay for the page again. `waiting` counts the pages in between: the job sends
nothing while they and the pages on the wire are two of the gate's widths together. `append` is for
callers that wait for each page.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import ClosedError, JournalError, TMAPIError

from .compression import Decoder, Dictionary
from .lock import WriteLock
from .plan import Plan, PlanOptions, Start, distinct_listings, make_plan, record_start
from .records import JournalStatistics, PageRecord, Visit
from .schema import connect, connect_unchecked, finish
from .statements import Statement, end_start
from .stored_pages import pages_of_visit
from .tables.damaged_values import translated
from .trouble import TroubleWait
from .views import StoredPage
from .writer import LARGEST_GROUP, Batch, Committed, Writer

if TYPE_CHECKING:
    import sqlite3

    from tmapi_async.api.listings import Listing

T = TypeVar("T")


class Journal:
    """A journal open for writing, by one process at a time.

    Call [`Journal.open`][tmapi_async.journal.journal.Journal.open], then `plan` and `begin`. Submit
    the pages, then call `close`.

    Args:
        path: The journal's file.
        connection: Writing connection to the file.
        lock: Lock on the file, which is already acquired.

    Attributes:
        gather: Seconds for which pages gather for a commit, unless as many come as the gate is
            wide; 0.0 for one turn of the loop.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriteLock) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._reading: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start = 0
        self._error: JournalError | None = None
        self._trouble_wait = TroubleWait()
        self._closed = False
        self._counts: Callable[[], RequestCounts] = RequestCounts
        self._width: Callable[[], int] = int
        self._on_durable: Callable[[], None] = lambda: None
        self.gather = 0.0
        self._batch = Batch([], [])
        self._scheduled = False
        self._submitted = self._settled = 0  # pages and statements: submitted, committed
        self._waiting = self._durable = self._commits = 0
        self._body_bytes = self._stored_bytes = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._writer_ended: asyncio.Future[None] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Journal:
        """Open a journal for writing. Create the file if it does not exist.

        Args:
            path: The journal's file.

        Returns:
            The journal. Call `close` at the end.

        Raises:
            JournalError: The journal cannot be used. The subclass says why.
        """
        path = Path(path).expanduser().resolve()
        lock = WriteLock(path)
        lock.acquire()
        try:
            return cls(path, connect(path, writing=True), lock)
        except BaseException:
            lock.release()
            raise

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"failed: {self._error}" if self._error else "open"
        return f"<Journal {self.path} {state}, {self._durable} durable, {self._waiting} waiting>"

    def statistics(self) -> JournalStatistics:
        """Return the figures since the journal was opened."""
        return JournalStatistics(
            self._waiting, self._durable, self._commits, self._body_bytes, self._stored_bytes
        )

    @property
    def waiting(self) -> int:
        """Number of submitted pages whose commit has not returned."""
        return self._waiting

    @property
    def backlog(self) -> int:
        """Number of pages that hold new requests back: `waiting`, and endless in a trouble."""
        return self._waiting + self._trouble_wait.hold

    @property
    def in_trouble(self) -> bool:
        """True while the journal waits for a trouble that can pass, such as a full disk."""
        return self._trouble_wait.trouble is not None

    @property
    def dictionaries(self) -> Mapping[str, Dictionary]:
        """Compression of each endpoint from now on. Endpoints that still learn are missing."""
        return {} if self._writer is None else self._writer.dictionaries

    @property
    def error(self) -> JournalError | None:
        """Error after which no commit is possible, or None."""
        return self._error

    # -- before the first page

    def plan(self, listings: Iterable[Listing], **options: Unpack[PlanOptions]) -> Plan:
        """Compare the requested listings with the journal. Writes nothing.

        Args:
            listings: Requested listings. Repeated listings count once.
            **options: Options of the plan.

        Returns:
            The work of the start.
        """
        unique = distinct_listings(listings)  # errors of the caller's iterable are not damage
        with translated(self.path):
            return make_plan(self._reader(), unique, **options)

    def begin(
        self,
        plan: Plan,
        *,
        host: str,
        version: str,
        counts: Callable[[], RequestCounts],
        width: Callable[[], int] = int,
        on_durable: Callable[[], None] = lambda: None,
        trouble_wait: TroubleWait | None = None,
        now: float | None = None,
    ) -> Start:
        """Record a start and prepare for pages. Call this method once, in the event loop.

        Args:
            plan: Work of the start.
            host: Scheme, host and port of the API, without secrets.
            version: Version of this package.
            counts: Returns the requests counted by the start so far; called before each commit.
            width: Returns the width of the gate; called with `counts`.
            on_durable: Called in the event loop after each commit, and when commits end by `close`
                or by a failure (`error`).
            trouble_wait: Waits for troubles that can pass, such as a full disk; None to fail at
                once.
            now: Current time, seconds since 1970, UTC; by default the time of the clock.

        Returns:
            The start, with its visits.

        Raises:
            JournalError: The start cannot be recorded.
        """
        now = time.time() if now is None else now
        self._loop = asyncio.get_running_loop()
        self._counts, self._width, self._on_durable = counts, width, on_durable
        self._trouble_wait = trouble_wait or self._trouble_wait
        with translated(self.path):
            start = record_start(self._connection, plan, host=host, version=version, now=now)
            self._writer = Writer(
                self._connection,
                self.path,
                start.id,
                trouble_wait=self._trouble_wait,
                committed=self._writer_committed,
                ended=self._writer_ends,
            )
        self._start = start.id
        self._writer_ended = self._loop.create_future()
        self._writer.start()
        return start

    def stored_pages(self, visit: Visit) -> Iterator[StoredPage]:
        """Yield the durable pages of a visit, in page order.

        Raises:
            BodyError: A body is damaged.
        """
        connection = self._reader()
        with translated(self.path):
            decoder = Decoder(connection, self.path)
            yield from pages_of_visit(connection, decoder, visit.id, visit.run, visit.listing)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the durable data and return its result.

        Raises:
            JournalError: The journal cannot be read.
        """
        with translated(self.path):
            return query(self._reader())

    def _reader(self) -> sqlite3.Connection:
        if self._reading is None:
            self._reading = connect_unchecked(self.path)  # the writing connection was checked
        return self._reading

    # -- pages

    def submit(self, *pages: tuple[Visit, PageRecord]) -> int:
        """Submit pages without waiting. The caller keeps `waiting` in bounds.

        Args:
            *pages: The pages, each with its visit. A page that is stored already is ignored.

        Returns:
            A ticket for `wait_durable`.

        Raises:
            JournalError: The writer has failed; these pages are not durable.
        """
        if not self._scheduled:
            self._schedule()
        self._waiting += len(pages)
        self._submitted += len(pages)
        self._batch.pages += pages
        if self.gather and len(self._batch.pages) >= min(LARGEST_GROUP, self._width()):
            self._enqueue_batch()  # more may not come before these are durable
        return self._submitted

    async def wait_durable(self, ticket: int) -> None:
        """Wait until the page of a ticket, and everything before it, is durable.

        Raises:
            JournalError: The writer has failed; the page may not be durable.
        """
        if self._settled < ticket:
            self._check()
            waiter = self._running_loop().create_future()
            self._waiters.append((ticket, waiter))
            await waiter

    async def append(self, visit: Visit, page: PageRecord) -> None:
        """Submit a page and wait until it is durable.

        Raises:
            JournalError: The writer has failed; the page may not be durable.
        """
        await self.wait_durable(self.submit((visit, page)))

    async def flush(self) -> None:
        """Wait until everything submitted so far is durable.

        Raises:
            JournalError: The writer has failed.
        """
        self._check()
        self._enqueue_batch()
        await self.wait_durable(self._submitted)

    def _schedule(self) -> None:
        """Let the writer have what is submitted until the end of this turn, or of `gather`.

        Raises:
            JournalError: The writer has failed.
        """
        self._check()
        self._running_loop().call_later(self.gather, self._enqueue_batch)
        self._scheduled = True

    def _enqueue_batch(self) -> None:
        self._scheduled = False
        batch, self._batch = self._batch, Batch([], [])
        if self._writer is not None and (batch.pages or batch.statements):
            batch.counts, batch.width = self._counts(), self._width()
            self._writer.enqueue(batch)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._closed or self._writer is None:
            raise ClosedError("the journal is closed, or no start has begun")

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise ClosedError("no start has begun")
        return self._loop

    def apply(self, *changes: Statement) -> int:
        """Submit changes to the small tables (`tmapi_async.journal.statements`).

        The changes are applied in this order, in the transaction of the pages submitted before them
        or in a later one: no listing is complete in the file before its pages are there.

        Returns:
            A ticket for `wait_durable`.

        Raises:
            JournalError: The writer has failed.
        """
        if not self._scheduled:
            self._schedule()
        self._submitted += len(changes)
        self._batch.statements += changes
        return self._submitted

    # -- callbacks: the writer's thread calls, the event loop handles

    def _writer_committed(self, committed: Committed) -> None:
        self._call_in_loop(self._on_commit, committed)

    def _writer_ends(self, error: JournalError | None) -> None:
        self._lock.release()
        self._call_in_loop(self._on_writer_end, error)

    def _call_in_loop(self, callback: Callable[..., None], value: object) -> None:
        # A closed loop has no callers left.
        with contextlib.suppress(RuntimeError):
            self._running_loop().call_soon_threadsafe(callback, value)

    def _on_commit(self, committed: Committed) -> None:
        self._commits += 1
        self._durable += committed.pages
        self._waiting -= committed.pages
        self._settled += committed.pages + committed.statements
        self._body_bytes += committed.body_bytes
        self._stored_bytes += committed.stored_bytes
        while self._waiters and self._waiters[0][0] <= self._settled:
            _wake(self._waiters.popleft()[1])
        self._on_durable()

    def _on_writer_end(self, error: JournalError | None) -> None:
        self._error, self._scheduled = error, False  # the next page is refused
        for _, waiter in self._waiters:
            _wake(waiter, error or ClosedError("the journal was closed"))
        self._waiters.clear()
        if self._writer_ended is not None:
            _wake(self._writer_ended)
        self._on_durable()

    async def close(self, stopped_by: str | None = None) -> None:
        """Commit everything submitted, record the end of the start, and leave a single file.

        Safe to call twice, and after a failure. If the call is cancelled, the thread still closes.

        Args:
            stopped_by: Reason that stopped the start, or None if it reached its end.

        Raises:
            JournalError: The last commit failed; `error` was None until then.
        """
        if self._closed:
            return
        earlier_error = self._error
        if self._writer is not None and earlier_error is None:
            self.apply(end_start(self._start, stopped_by, time.time()))
            self._enqueue_batch()
        self._closed = True
        if self._reading is not None:
            self._reading.close()
        if self._writer is None or self._writer_ended is None:
            finish(self._connection)
            self._lock.release()
            return
        self._writer.stop()
        await asyncio.shield(self._writer_ended)
        if self._error is not None and earlier_error is None:
            raise self._error


def _wake(waiter: asyncio.Future[None], error: TMAPIError | None = None) -> None:
    if waiter.done():
        return  # its task was cancelled
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)
