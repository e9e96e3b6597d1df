"""One seat: a crawl, a session and a gate on a worker, at the other end of a line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import ClosedError, TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.journal.compression import Dictionary
from tmapi_async.journal.records import PageRecord

from .worker_gate import WorkerGate

if TYPE_CHECKING:
    from distributed.comm import Comm

log = logging.getLogger("tmapi_async")

BEAT = 1.0
"""Seconds without anything to say after which either end says so."""

EVENTS_AFTER = 0.02
"""Seconds that what the gate saw may wait for a page to go with."""

_LATE = 1024
"""Listings that have ended and are remembered: pages of them may still be on the wire."""


async def flushed(comm: Comm) -> None:
    """Wait until the operating system has all that was written: `Comm.write` does not."""
    stream = getattr(comm, "stream", None)
    if stream is not None and stream.writing():
        await stream.write(b"")


async def _until_gone(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(OSError):  # the coordinator is gone: the seat ends
        await work


class _RunningTask:
    """A listing of a stretch on this seat."""

    __slots__ = ("batch", "visit")

    def __init__(self, visit: int, batch: _Task) -> None:
        self.visit = visit
        self.batch = batch


class _Task:
    """A stretch on this seat: what of it is left."""

    def __init__(self, number: int, listings: int) -> None:
        self.number = number
        self.unbegun = self.open = listings
        self.changed = asyncio.Event()


class WorkerSession(CrawlSink):
    """Walks what stretches bring, and reports all of it.

    Args:
        session_request: What the seat is for.
        token: The account's token.
        comm: The line.
        haunted: Tells how many slots earlier seats of the account left at the server.
    """

    def __init__(
        self,
        session_request: protocol.SessionRequest,
        token: str,
        comm: Comm,
        abandoned_slots: Callable[[], int],
    ) -> None:
        self.name = session_request.session
        self.digest = session_request.digest
        self.gate = WorkerGate(paced=session_request.paced, on_event=self._on_event)
        self._comm = comm
        self._closing_sessions = abandoned_slots
        self._session = session_request.settings.session(token, self.gate)
        self._queue: asyncio.Queue[tuple[ListingTask, _Task] | None] = asyncio.Queue()
        self._settings = session_request.settings
        self._lease = session_request.lease
        self._renew(time.monotonic())
        self._crawl: Crawler | None = None
        self._errands: dict[Listing, _RunningTask] = {}
        self._late: dict[Listing, int] = {}
        self._compress: dict[str, tuple[int | None, Callable[[bytes], bytes]]] = {}
        self._submitted = 0
        self._tasks: set[_Task] = set()
        self._pages: list[tuple[int, PageRecord]] = []
        self._missed: list[protocol.PageFailed] = []
        self._ended: list[protocol.ListingEnded] = []
        self._brought = self._durable = 0
        self._due = asyncio.Event()
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[protocol.SessionEnded] | None = None
        self._ending = False

    def __repr__(self) -> str:
        return f"<Session {self.name}: {len(self._errands)} listings, {self.gate!r}>"

    # -- its life

    async def run(self) -> None:
        """Work until all is walked or stopped and told, or the coordinator is gone."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        await self._session.open()
        self._crawl = Crawler(
            self._session,
            Frontier(lookahead=self._settings.lookahead),
            self._source(),
            self,
            guard=self._settings.guard,
        )
        tasks = [
            asyncio.create_task(_until_gone(work), name=f"tmapi seat {what}")
            for what, work in (
                ("walk", self._walk(self._crawl)),
                ("listen", self._listen(self._crawl)),
                ("report", self._report_always()),
                ("beat", self._beat()),
            )
        ]
        try:
            await asyncio.wait([self._over])
        finally:
            self._ending = True
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._crawl.close()
            self._leave_batches()
            if self._timer is not None:
                self._timer.cancel()

    async def close(self) -> None:
        """Close the connections, once the server can be expected to be done with the requests."""
        while self.gate.in_use:  # noqa: ASYNC110 - ghosts are laid by timers, without an event
            await asyncio.sleep(0.1)
        await self._session.close()

    async def _walk(self, crawl: Crawler) -> None:
        failure = crash = None
        try:
            await crawl.run()
        except TMAPIError as error:
            if error.halts and not isinstance(error, ClosedError):
                failure = protocol.SerializedError.of(error)
        except Exception as error:  # noqa: BLE001 - told to the coordinator
            # The class alone: a message from below may hold a URL, and that the token.
            crash = type(error).__name__
        await self._send(self._report())
        await self._send(protocol.SessionEnded(failure, crash))
        self._end()

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(protocol.SessionEnded())

    async def _listen(self, crawl: Crawler) -> None:
        try:
            while True:
                messages = protocol.decode_for_session(await self._comm.read())
                for message in messages:
                    self._handle(message, crawl)
        finally:
            self._end()

    async def _beat(self) -> None:
        """Be heard every second, and end when that is not confirmed."""
        while time.monotonic() <= self.gate.shared.lease:
            await asyncio.sleep(BEAT)
            self._due.set()
        text = "%s: the coordinator has confirmed nothing of it for %g s: it ends, and others go on"
        log.warning(text, self.name, self._lease)
        self._end()

    def _renew(self, heard: float) -> None:
        """Go on for a lease from when the coordinator heard of this seat, at the earliest."""
        self.gate.renew(max(self.gate.shared.lease, heard + self._lease))

    def _handle(self, message: protocol.MessageToSession, crawl: Crawler) -> None:
        match message:
            case protocol.SlotShare():
                self.gate.take(message)
                crawl.pump()
                self._due.set()
            case protocol.Acknowledgement(pages, heard):
                self._durable = pages
                self._renew(heard)
                crawl.pump()
            case protocol.DictionaryMessage():
                made = Dictionary(message.number, message.content)
                self._compress[message.endpoint] = (made.number, made.compressor())
            case protocol.FailListing(visit, failure):
                for listing, task_spec in list(self._errands.items()):
                    if task_spec.visit == visit:
                        crawl.fail(listing, failure.error())
            case protocol.BatchesSubmitted(batches):
                self._submitted = batches
                self._wake_batches()
            case protocol.FinishSession():
                self._queue.put_nowait(None)
            case protocol.StopSession():
                crawl.stop()

    # -- stretches: called by the tasks of Dask, in the same loop

    async def walk(self, batch: protocol.TaskBatch) -> dict[str, int]:
        """Walk a stretch; returns when its listings have ended, or when the next may begin."""
        task = _Task(batch.number, len(batch.tasks))
        self._tasks.add(task)
        self._submitted = max(self._submitted, batch.number)
        for task_spec in batch.tasks:
            opening = task_spec.opening()
            self._errands[opening.listing] = _RunningTask(task_spec.visit, task)
            self._queue.put_nowait((opening, task))
        while task.open and not self._ending:
            if not task.unbegun and self._submitted > task.number:
                break  # the rest goes on; another stretch waits for this place
            task.changed.clear()
            await task.changed.wait()
        self._tasks.discard(task)
        count = len(batch.tasks)
        return {"listings": count, "ended": count - task.open, "going_on": task.open}

    def _wake_batches(self) -> None:
        for task in self._tasks:
            task.changed.set()

    def _leave_batches(self) -> None:
        self._wake_batches()
        self._tasks.clear()

    async def _source(self) -> AsyncGenerator[ListingTask, None]:
        while (given := await self._queue.get()) is not None:
            opening, task = given
            task.unbegun -= 1
            if not task.unbegun:
                task.changed.set()
            yield opening

    # -- what the crawl brings

    @property
    def pending(self) -> int:
        """Number of pages that the coordinator has not confirmed as durable."""
        return self._brought - self._durable

    def page(self, page: Page) -> None:
        """Add a page to the next report."""
        listing = page.request.listing
        task_spec = self._errands.get(listing)
        visit = task_spec.visit if task_spec is not None else self._late.get(listing)
        if visit is None:
            return
        compression = self._compress.get(listing.endpoint)
        if compression is None:
            record = PageRecord.of(page)
        else:
            dictionary, compress = compression
            record = PageRecord.of(page, compress(page.body), dictionary)
        self._pages.append((visit, record))
        self._brought += 1
        self.gate.shared.held += 1
        self._due.set()

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Add a page request that failed for good to the next report."""
        task_spec = self._errands.get(request.listing)
        if task_spec is not None:
            failure = protocol.SerializedError.of(error)
            self._missed.append(protocol.PageFailed(task_spec.visit, request.number, failure))
            self._due.set()

    def ended(self, outcome: ListingOutcome) -> None:
        """Add the outcome of a listing to the next report."""
        task_spec = self._errands.pop(outcome.listing, None)
        if task_spec is None:
            return
        self._late[outcome.listing] = task_spec.visit
        if len(self._late) > _LATE:
            del self._late[next(iter(self._late))]
        failure = None if outcome.error is None else protocol.SerializedError.of(outcome.error)
        self._ended.append(
            protocol.ListingEnded(
                task_spec.visit,
                outcome.ending,
                outcome.pages,
                outcome.items,
                outcome.unique,
                outcome.duplicates,
                outcome.rejects,
                failure,
            )
        )
        task_spec.batch.open -= 1
        if not task_spec.batch.open:
            task_spec.batch.changed.set()
        self._due.set()

    # -- reports

    def _on_event(self) -> None:
        if self._timer is None and not self._due.is_set():
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(EVENTS_AFTER, self._due.set)

    async def _report_always(self) -> None:
        try:
            while True:
                await self._due.wait()
                await self._gather()
                await self._send(self._report())
        finally:
            self._end()

    async def _gather(self) -> None:
        """Wait while each turn of the loop brings pages: a busy seat says more in one message.

        Pages that wait keep their slots, so no more than half of these do.
        """
        before, most = -1, self.gate.shared.share.slots // 2
        while before < len(self._pages) < most:
            before = len(self._pages)
            await asyncio.sleep(0)

    def _report(self) -> protocol.SessionReport:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pages, self._pages = self._pages, []
        missed, self._missed = self._missed, []
        ended, self._ended = self._ended, []
        gate, crawl = self.gate, self._crawl
        assert crawl is not None  # noqa: S101 - it is made before anything is reported
        return protocol.SessionReport(
            time.monotonic(),
            gate.shared.share.epoch,
            gate.in_use + self._closing_sessions(),
            gate.at_server,
            gate.budget.spent,
            gate.budget.most,
            crawl.request_counts(),
            gate.recorder.take(),
            pages,
            missed,
            ended,
        )

    async def _send(self, message: Any) -> None:
        pages = len(message.pages) if isinstance(message, protocol.SessionReport) else 0
        async with self._writing:
            await self._comm.write(protocol.encode(message))
            await flushed(self._comm)
        if pages:
            self.gate.hold(self.gate.shared.held - pages)
