"""The coordinator's end of a line to one seat."""

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
from tmapi_async.harvest.cluster.worker.worker_session import BEAT

if TYPE_CHECKING:
    from distributed.comm import Comm

_RATE_WINDOW = 1.0
_CONNECT = "10s"


class Channel:
    """A seat as the coordinator knows it.

    Attributes:
        name: Name of the seat.
        worker: Address of the worker.
        account: Number of the account, from 0.
        out: Listings sent to it that have not ended, by visit.
        stretches: Stretches sent to it.
        tasks: What follows the tasks of those stretches.
        received: Pages received.
        in_use: Slots in use by its last report.
        counts: Requests counted by the session up to its last report.
        offset: What the worker's clock is behind ours, at most.
        retiring: Whether it was told to stop or to finish.
        over: Whether it is cut.

    Args:
        lease: Seconds without a word from the seat after which it is given up. Its own lease is
            over by then: that runs from when it sent the last word that was heard.
    """

    def __init__(self, name: str, worker: str, account: int, comm: Comm, lease: float) -> None:
        self.name, self.worker, self.account = name, worker, account
        self.out: dict[int, Listing] = {}
        self.batches = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.received = self.in_use = 0
        self.counts = RequestCounts()
        self.offset = math.inf
        self.retiring = self.over = False
        self._lease, self._clock = lease, 0.0
        self._comm = comm
        self._outgoing: list[protocol.MessageToSession] = []
        self._durable = self._told = 0
        self._due = asyncio.Event()
        self._ended = self._ended_before = 0
        self._window = self._said_at = self._heard_at = time.monotonic()

    def __repr__(self) -> str:
        return f"<Channel to {self.name}: {len(self.out)} listings, {self.in_use} slots in use>"

    # -- what is said

    def send(self, message: protocol.MessageToSession) -> None:
        """Send a message soon; in order."""
        self._outgoing.append(message)
        self._due.set()

    def acknowledge(self, pages: int, slots: int) -> None:
        """So many of its pages are durable; told at once only if the seat may wait for it."""
        self._durable = pages
        # A seat keeps what it has on the wire, and what is not durable, within twice its slots.
        if pages - self._told >= slots // 2:
            self._due.set()

    async def talk(self) -> None:
        """Send what is to be sent, until the line breaks; who listens notices that."""
        with contextlib.suppress(OSError):
            while True:
                await self._due.wait()
                self._due.clear()
                messages, self._outgoing = self._outgoing, []
                self._told, self._said_at = self._durable, time.monotonic()
                messages.append(protocol.Acknowledgement(self._durable, self._clock))
                await self._comm.write(protocol.encode(messages))

    def look(self, now: float) -> None:
        """Renew the seat's lease in time, and give up a seat that has fallen silent."""
        if now - self._said_at >= BEAT:
            self._due.set()
        if now - self._heard_at > self._lease:
            self.cut()

    def follow(self, task: asyncio.Task[None]) -> None:
        """A stretch was sent, and a task follows it; it ends with the line."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # -- what is heard

    async def listen(
        self, heard: Callable[[Channel, protocol.SessionReport], None]
    ) -> protocol.SessionEnded | None:
        """Take in reports until the seat says good-bye; None if the line breaks before."""
        while True:
            try:
                message = protocol.decode_from_session(await self._comm.read())
            except OSError:
                return None
            if isinstance(message, protocol.SessionEnded):
                return message
            if isinstance(message, protocol.SessionReport):
                self._heard_at = now = time.monotonic()
                self._clock = message.clock
                self.offset = min(self.offset, now - message.clock)
                self.in_use = message.in_use
                self.counts = message.counts
                heard(self, message)

    def cut(self) -> None:
        """Break the line: the seat ends at once."""
        self.over = True
        for task in self.tasks:
            task.cancel()
        self._comm.abort()

    # -- how fast listings end on it

    def count_ended(self) -> None:
        """A listing has ended."""
        self._ended += 1

    def end_rate(self, now: float) -> float:
        """Listings that end, each second, in the last window or this one."""
        elapsed = now - self._window
        if elapsed >= _RATE_WINDOW:
            self._window, self._ended_before, self._ended = now, round(self._ended / elapsed), 0
            elapsed = 0.0
        this = self._ended / max(elapsed, _RATE_WINDOW / 4)
        return max(this, float(self._ended_before))


async def call(
    worker: str, session_request: protocol.SessionRequest, token: str | None, **connection: Any
) -> tuple[Comm, int]:
    """Call a worker and take a seat.

    Args:
        worker: Its address.
        session_request: What the seat is for.
        token: The token, or None if the worker finds it.
        **connection: What the cluster's security asks for.

    Returns:
        The open line, and the slots that earlier seats left at the server.

    Raises:
        WorkerRefusedError: The worker cannot take part; the message says why.
        OSError: It cannot be reached.
    """
    comm = await connect(worker, timeout=_CONNECT, **connection)
    try:
        # Logged by distributed's debug level, so without the token; what follows is not.
        await comm.write({"op": OPERATION, "session_request": protocol.encode(session_request)})
        if token is not None:
            await comm.write(protocol.encode([protocol.TokenMessage(token)]))
        async with asyncio.timeout(session_request.lease):
            abandoned_slots = _welcome(worker, await comm.read())
    except BaseException:
        comm.abort()
        raise
    return comm, abandoned_slots


def _welcome(worker: str, answer: object) -> int:
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
