"""What runs on a worker: a plugin that takes seats, and the task that a stretch is."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from distributed import get_worker
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin

from tmapi_async.errors import InvalidRequestError
from tmapi_async.harvest.cluster import protocol as say
from tmapi_async.transport.credentials import account_digest

from .worker_session import WorkerSession

if TYPE_CHECKING:
    from distributed.comm import Comm
    from distributed.worker import Worker

log = logging.getLogger("tmapi_async")

VERSION = version("tmapi-async")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NAME = f"tmapi-async-{VERSION}"
OPERATION = f"tmapi_seat_{VERSION}"
_FOR_SECRET = 30.0


class AccountPlugin(WorkerPlugin):  # type: ignore[misc] # distributed has no types
    """Takes seats on a worker. One for each worker, whatever the number of harvests."""

    name = NAME
    # Registered again, by another harvest, it stays: taking it away would end that one's seats.
    idempotent = True

    def __init__(self) -> None:
        self.seats: dict[str, WorkerSession] = {}
        self._haunted: set[WorkerSession] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Hands: {len(self.seats)} seats>"

    def __reduce__(self) -> tuple[Any, ...]:
        return AccountPlugin, ()

    def setup(self, worker: Worker) -> None:
        """Answer coordinators that connect to this worker."""
        worker.handlers[OPERATION] = self.take_seat

    def teardown(self, worker: Worker) -> None:
        """The worker closes: so do its lines, and with them the seats."""
        worker.handlers.pop(OPERATION, None)

    async def take_seat(self, comm: Comm, hello: bytes) -> Status:
        """Serve one line until its seat has ended."""
        asked = say.read_hello(hello)
        try:
            token = await _token(asked, comm)
        except InvalidRequestError as error:
            await comm.write(say.encode(say.Refused(str(error))))
            return Status.dont_reply
        # Made before the answer is sent, so that its lease begins before the coordinator's.
        seat = WorkerSession(asked, token, comm, lambda: self._ghosts(asked.digest))
        del token
        await comm.write(say.encode(say.Welcome(VERSION, PYTHON, self._ghosts(asked.digest))))
        self.seats[seat.name] = seat
        try:
            await seat.run()
        finally:
            del self.seats[seat.name]
            self._haunted.add(seat)
            task = asyncio.create_task(self._bury(seat), name="tmapi seat closing")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        await comm.close()
        return Status.dont_reply

    def _ghosts(self, account: str) -> int:
        """Slots of an account that seats which have ended left at the server."""
        return sum(seat.valve.in_use for seat in self._haunted if seat.digest == account)

    async def _bury(self, seat: WorkerSession) -> None:
        try:
            await seat.close()
        finally:
            self._haunted.discard(seat)


async def _token(asked: say.Hello, comm: Comm) -> str:
    if asked.place is None:
        async with asyncio.timeout(_FOR_SECRET):
            first, *_ = say.read_for_seat(await comm.read())
        if not isinstance(first, say.Secret):
            raise InvalidRequestError("the token was to come first on the line")
        return first.token
    token = asked.place.read(asked.account)
    if account_digest(token) != asked.digest:
        raise InvalidRequestError(
            f"{asked.place} holds another token on this worker than account "
            f"{asked.account + 1} has here"
        )
    return token


async def walk_batch(stretch: say.TaskBatch) -> dict[str, int]:
    """The task that a stretch is."""
    hands = get_worker().plugins[NAME]
    seat = hands.seats.get(stretch.seat)
    if seat is None:
        return {"listings": len(stretch.errands), "ended": 0, "going_on": 0}
    walked: dict[str, int] = await seat.walk(stretch)
    return walked
