"""Coordinator's end of the connection to one worker session."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distributed.comm import connect

from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import WorkerRefusedError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.worker.plugin import OPERATION, PYTHON, VERSION
from tmapi_async.harvest.cluster.worker.worker_session import HEARTBEAT
from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.outage_queue import OutageReport
from tmapi_async.transport.frames import clear_locals

if TYPE_CHECKING:
    from distributed.comm import Comm

_RATE_WINDOW = 1.0
_CONNECT_TIMEOUT = "10s"
_SENDING = ("distributed.", "tornado.")  # modules that hold the bytes of a message


class Channel:
    """Connection to one session, with the session's state as the coordinator knows it.

    Attributes:
        name: Name of the session.
        worker: Address of the worker.
        account: Number of the account, from 0.
        listings: Listings sent to the session that have not ended, by visit.
        batches: Number of batches sent to the session.
        watchers: Tasks that wait for the Dask tasks of those batches.
        pages_received: Number of pages received.
        in_use: Slots in use, by the last report.
        counts: Requests counted by the session up to its last report.
        clock_offset: Seconds to add to the worker's clock to get the coordinator's; an upper
            bound that gets closer with each report.
        outage: Report of an outage, if the API did not answer the session by the last report.
        closing: True if the session was asked to stop or to finish.
        closed: True if the connection is cut.

    Args:
        lease: Seconds without a report after which the session is given up. The session's own
            lease is over by then: it runs from the time of its last report that arrived.
    """

    def __init__(self, name: str, worker: str, account: int, comm: Comm, lease: float) -> None:
        self.name, self.worker, self.account = name, worker, account
        self.listings: dict[int, Listing] = {}
        self.batches = 0
        self.watchers: set[asyncio.Task[None]] = set()
        self.pages_received = self.in_use = 0
        self.counts = RequestCounts()
        self.outage: OutageReport | None = None
        self.clock_offset = math.inf
        self.closing = self.closed = False
        self._lease, self._reported_at = lease, 0.0
        self._comm = comm
        self._outgoing: list[protocol.MessageToSession] = []
        self._durable_pages = self._acknowledged_pages = 0
        self._write_due = asyncio.Event()
        self._ended = self._ended_before = 0
        self._window_start = time.monotonic()
        self._written_at = self._read_at = lease_clock()

    def __repr__(self) -> str:
        count = len(self.listings)
        return f"<Channel to {self.name}: {count} listings, {self.in_use} slots in use>"

    @property
    def write_due(self) -> bool:
        """True if the channel will write to the session in this turn of the loop."""
        return self._write_due.is_set()

    # -- from the coordinator to the session

    def send(self, message: protocol.MessageToSession) -> None:
        """Queue a message; messages arrive in the order of the calls."""
        self._outgoing.append(message)
        self._write_due.set()

    def acknowledge(self, pages: int, slots: int) -> None:
        """Note that `pages` of the session's pages are durable.

        The session receives the number with the next message, or at once if it may be waiting: its
        pages on the wire and its pages that are not durable stay within twice its slots.
        """
        self._durable_pages = pages
        if pages - self._acknowledged_pages >= slots // 2:
            self._write_due.set()

    async def write_messages(self) -> None:
        """Write queued messages until the connection breaks; `read_reports` handles that."""
        with contextlib.suppress(OSError):
            while True:
                await self._write_due.wait()
                self._write_due.clear()
                messages, self._outgoing = self._outgoing, []
                self._acknowledged_pages, self._written_at = self._durable_pages, lease_clock()
                messages.append(protocol.Acknowledgement(self._durable_pages, self._reported_at))
                await self._comm.write(protocol.encode(messages))

    def check_lease(self, now: float) -> None:
        """Renew the session's lease in time, and give up a session that sends nothing.

        Args:
            now: Time of the clock of leases.
        """
        if now - self._written_at >= HEARTBEAT:
            self._write_due.set()
        if now - self._read_at > self._lease:
            self.cut()

    def add_watcher(self, task: asyncio.Task[None]) -> None:
        """Add the task that watches a batch; it ends with the connection."""
        self.watchers.add(task)
        task.add_done_callback(self.watchers.discard)

    # -- from the session to the coordinator

    async def read_reports(
        self, on_report: Callable[[Channel, protocol.SessionReport], None]
    ) -> protocol.SessionEnded | None:
        """Read reports until the session ends in order; None if the connection breaks before."""
        while True:
            try:
                message = protocol.decode_from_session(await self._comm.read())
            except OSError:
                return None
            if isinstance(message, protocol.SessionEnded):
                return message
            if isinstance(message, protocol.SessionReport):
                self._read_at = lease_clock()
                self._reported_at = message.lease_clock
                self.clock_offset = min(self.clock_offset, time.monotonic() - message.clock)
                self.in_use = message.in_use
                self.counts, self.outage = message.counts, message.outage
                on_report(self, message)

    def cut(self) -> None:
        """Break the connection: the session ends at once."""
        self.closed = True
        for task in self.watchers:
            task.cancel()
        self._comm.abort()

    # -- rate at which listings end

    def count_ended(self) -> None:
        """Count a listing that has ended."""
        self._ended += 1

    def end_rate(self, now: float) -> float:
        """Return the listings that end each second, in the last window or in this one."""
        elapsed = now - self._window_start
        if elapsed >= _RATE_WINDOW:
            self._window_start, self._ended_before = now, round(self._ended / elapsed)
            self._ended, elapsed = 0, 0.0
        this_window = self._ended / max(elapsed, _RATE_WINDOW / 4)
        return max(this_window, float(self._ended_before))


async def open_session(
    worker: str,
    request: protocol.SessionRequest,
    token: protocol.TokenMessage | None,
    **connection: Any,
) -> tuple[Comm, int]:
    """Connect to a worker and open a session on it.

    Args:
        worker: Address of the worker.
        request: Request for the session.
        token: Message with the token, or None if the worker finds it.
        **connection: Options of the cluster's security.

    Returns:
        The open connection, and the slots that earlier sessions left busy at the server.

    Raises:
        WorkerRefusedError: The worker cannot take part; the message says why.
        OSError: The worker cannot be reached.
    """
    comm = await connect(worker, timeout=_CONNECT_TIMEOUT, **connection)
    try:
        # distributed's debug level logs this message, so it is without the token. It logs no
        # message after it.
        await comm.write({"op": OPERATION, "request": protocol.encode(request)})
        if token is not None:
            await comm.write(protocol.encode([token]))
        async with asyncio.timeout(request.lease):
            abandoned_slots = _check_answer(worker, await comm.read())
    except BaseException as error:
        comm.abort()
        clear_locals(error, _SENDING)
        raise
    return comm, abandoned_slots


def _check_answer(worker: str, answer: object) -> int:
    if not isinstance(answer, bytes):
        raise WorkerRefusedError(f"{worker} does not have tmapi_async {VERSION}")
    message = protocol.decode_from_session(answer)
    if isinstance(message, protocol.SessionRefused):
        raise WorkerRefusedError(f"{worker}: {message.reason}")
    if not isinstance(message, protocol.SessionAccepted) or message.version != VERSION:
        raise WorkerRefusedError(f"{worker} does not have tmapi_async {VERSION}")
    if message.python != PYTHON:
        raise WorkerRefusedError(
            f"{worker} runs Python {message.python}, and this is Python {PYTHON}"
        )
    return message.abandoned_slots
