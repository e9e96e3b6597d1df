"""Session on a worker: one account's crawler, HTTP session and gate, serving one coordinator."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.errors import ClosedError, TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.serialized_error import SerializedError
from tmapi_async.harvest.cluster.task_batch import TaskBatch
from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.shares.share_gate import ShareGate
from tmapi_async.limits.shares.slot_share import SlotShare
from tmapi_async.transport.frames import forgets_locals

from .batch_queue import BatchQueue
from .report_buffer import ReportBuffer

if TYPE_CHECKING:
    from distributed.comm import Comm

log = logging.getLogger("tmapi_async")

HEARTBEAT = 1.0
"""Seconds without a message after which either end sends one."""

EVENT_DELAY = 0.02
"""Seconds that events of the gate may wait for a page to be sent with."""


class WorkerSession:
    """Walks the listings of batches, and reports all results to the coordinator.

    Args:
        request: Request of the coordinator for this session.
        token: Token of the account.
        comm: Connection to the coordinator.
        abandoned_slots: Returns the slots that earlier sessions of the account left busy at the
            server.

    Attributes:
        name: Name of the session.
        digest: Digest of the account's token.
        gate: Gate of the session.
    """

    @forgets_locals
    def __init__(
        self,
        request: protocol.SessionRequest,
        token: str,
        comm: Comm,
        abandoned_slots: Callable[[], int],
    ) -> None:
        self.name = request.session
        self.digest = request.digest
        self.gate = ShareGate(rate_limited=request.rate_limited, on_event=self._on_event)
        self._comm = comm
        self._abandoned_slots = abandoned_slots
        self._settings = request.settings
        self._http = request.settings.session(token, self.gate)
        self._lease = request.lease
        self.gate.extend_lease(lease_clock() + self._lease)
        self._report_due = asyncio.Event()
        self._batches = BatchQueue()
        self._buffer = ReportBuffer(self._batches, self.gate, self._report_due.set)
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<WorkerSession {self.name}: {len(self._batches)} listings, {self.gate!r}>"

    async def run(self) -> None:
        """Work until all listings are walked or stopped and reported, or the connection breaks."""
        await self._http.open()
        crawler = Crawler(
            self._http,
            Frontier(lookahead=self._settings.lookahead),
            self._batches.tasks(),
            self._buffer,
            guard=self._settings.guard,
        )
        tasks = [
            asyncio.create_task(_until_disconnected(work), name=f"tmapi session {name}")
            for name, work in (
                ("walk", self._walk(crawler)),
                ("read", self._read_messages(crawler)),
                ("report", self._send_reports(crawler)),
                ("heartbeat", self._heartbeat()),
            )
        ]
        try:
            await self._ended.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await crawler.close()
            self._batches.close()
            if self._timer is not None:
                self._timer.cancel()

    async def close(self) -> None:
        """Close the HTTP session when the server can be expected to be done with the requests."""
        while self.gate.in_use:  # noqa: ASYNC110 - timers release these slots, without an event
            await asyncio.sleep(0.1)
        await self._http.close()

    async def walk(self, batch: TaskBatch) -> dict[str, int]:
        """Walk a batch; a Dask task calls this in the same loop. See `BatchQueue.walk`."""
        return await self._batches.walk(batch)

    async def _walk(self, crawler: Crawler) -> None:
        error = crash = None
        try:
            await crawler.run()
        except TMAPIError as failure:
            if failure.halts and not isinstance(failure, ClosedError):
                error = SerializedError.of(failure)
        except Exception as failure:  # noqa: BLE001 - reported to the coordinator
            # The class alone: a message from below may hold a URL, and that the token.
            crash = type(failure).__name__
        await self._send_report(crawler)
        await self._send(protocol.SessionEnded(error, crash))
        self._ended.set()

    # -- messages of the coordinator

    async def _read_messages(self, crawler: Crawler) -> None:
        try:
            while True:
                for message in protocol.decode_for_session(await self._comm.read()):
                    self.handle(message, crawler)
        finally:
            self._ended.set()

    def handle(self, message: protocol.MessageToSession, crawler: Crawler) -> None:
        """Act on a message of the coordinator."""
        match message:
            case SlotShare():
                self.gate.apply_share(message)
                crawler.pump()
                self._report_due.set()
            case protocol.Acknowledgement(durable_pages, reported_at):
                self._buffer.durable_pages = durable_pages
                self.gate.extend_lease(reported_at + self._lease)
                crawler.pump()
            case protocol.DictionaryMessage():
                self._buffer.set_dictionary(message)
            case protocol.FailListing(visit, error):
                for listing in self._batches.listings_of(visit):
                    crawler.fail(listing, error.restore())
            case protocol.BatchesSubmitted(count):
                self._batches.set_submitted(count)
            case protocol.FinishSession():
                self._batches.finish()
            case protocol.StopSession():
                crawler.stop()

    # -- reports to the coordinator

    def _on_event(self) -> None:
        if self._timer is None and not self._report_due.is_set():
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(EVENT_DELAY, self._report_due.set)

    async def _heartbeat(self) -> None:
        """Send a report every second, and end the session when its lease is over."""
        while lease_clock() <= self.gate.lease_end:
            await asyncio.sleep(HEARTBEAT)
            self._report_due.set()
        text = "%s: no answer from the coordinator for %g s; the session ends, others take over"
        log.warning(text, self.name, self._lease)
        self._ended.set()

    async def _send_reports(self, crawler: Crawler) -> None:
        try:
            while True:
                await self._report_due.wait()
                await self._collect()
                await self._send_report(crawler)
        finally:
            self._ended.set()

    async def _collect(self) -> None:
        """Wait while each turn of the loop brings pages, to send more of them in one message.

        Buffered pages keep their slots, so it ends at the latest when all slots wait here. That
        happens only where pages come as fast as they are read.
        """
        before = -1
        while before < len(self._buffer.pages):
            before = len(self._buffer.pages)
            await asyncio.sleep(0)

    async def _send_report(self, crawler: Crawler) -> None:
        report = self._report(crawler)
        await self._send(report)
        if report.pages:
            self._buffer.release(len(report.pages))

    def _report(self, crawler: Crawler) -> protocol.SessionReport:
        self._report_due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gate = self.gate
        pages, failed_pages, ended, looked = self._buffer.drain()
        return protocol.SessionReport(
            time.monotonic(),
            lease_clock(),
            gate.share.epoch,
            gate.in_use + self._abandoned_slots(),
            gate.at_server,
            gate.budget.spent,
            gate.budget.most,
            crawler.request_counts(),
            gate.events.drain(),
            pages,
            failed_pages,
            ended,
            looked,
            self._http.outages.report(),
        )

    async def _send(self, message: protocol.MessageFromSession) -> None:
        async with self._writing:
            await self._comm.write(protocol.encode(message))
            await _flush(self._comm)


async def _flush(comm: Comm) -> None:
    """Wait until the operating system has all bytes: `Comm.write` returns before that."""
    stream = getattr(comm, "stream", None)
    if stream is not None and stream.writing():
        await stream.write(b"")


async def _until_disconnected(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(OSError):  # the coordinator is gone: the session ends
        await work
