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
from tmapi_async.harvest.cluster import protocol
from tmapi_async.transport.credentials import account_digest

from .worker_session import WorkerSession

if TYPE_CHECKING:
    from distributed.comm import Comm
    from distributed.worker import Worker

log = logging.getLogger("tmapi_async")

VERSION = version("tmapi-async")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NAME = f"tmapi-async-{VERSION}"
OPERATION = f"tmapi_session_{VERSION}"
_FOR_SECRET = 30.0


class SessionPlugin(WorkerPlugin):  # type: ignore[misc] # distributed has no types
    """Takes seats on a worker. One for each worker, whatever the number of harvests."""

    name = NAME
    # Registered again, by another harvest, it stays: taking it away would end that one's seats.
    idempotent = True

    def __init__(self) -> None:
        self.sessions: dict[str, WorkerSession] = {}
        self._closing_sessions: set[WorkerSession] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<SessionPlugin: {len(self.sessions)} sessions>"

    def __reduce__(self) -> tuple[Any, ...]:
        return SessionPlugin, ()

    def setup(self, worker: Worker) -> None:
        """Answer coordinators that connect to this worker."""
        worker.handlers[OPERATION] = self.serve_session

    def teardown(self, worker: Worker) -> None:
        """The worker closes: so do its lines, and with them the seats."""
        worker.handlers.pop(OPERATION, None)

    async def serve_session(self, comm: Comm, session_request: bytes) -> Status:
        """Serve one line until its seat has ended."""
        asked = protocol.decode_request(session_request)
        try:
            token = await _token(asked, comm)
        except InvalidRequestError as error:
            await comm.write(protocol.encode(protocol.SessionRefused(str(error))))
            return Status.dont_reply
        # Made before the answer is sent, so that its lease begins before the coordinator's.
        session = WorkerSession(asked, token, comm, lambda: self._abandoned(asked.digest))
        del token
        await comm.write(
            protocol.encode(
                protocol.SessionAccepted(VERSION, PYTHON, self._abandoned(asked.digest))
            )
        )
        self.sessions[session.name] = session
        try:
            await session.run()
        finally:
            del self.sessions[session.name]
            self._closing_sessions.add(session)
            task = asyncio.create_task(self._bury(session), name="tmapi seat closing")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        await comm.close()
        return Status.dont_reply

    def _abandoned(self, account: str) -> int:
        """Slots of an account that seats which have ended left at the server."""
        return sum(
            session.gate.in_use for session in self._closing_sessions if session.digest == account
        )

    async def _bury(self, session: WorkerSession) -> None:
        try:
            await session.close()
        finally:
            self._closing_sessions.discard(session)


async def _token(asked: protocol.SessionRequest, comm: Comm) -> str:
    if asked.token_source is None:
        async with asyncio.timeout(_FOR_SECRET):
            first, *_ = protocol.decode_for_session(await comm.read())
        if not isinstance(first, protocol.TokenMessage):
            raise InvalidRequestError("the token was to come first on the line")
        return first.token
    token = asked.token_source.read(asked.account)
    if account_digest(token) != asked.digest:
        raise InvalidRequestError(
            f"{asked.token_source} holds another token on this worker than account "
            f"{asked.account + 1} has here"
        )
    return token


async def walk_batch(batch: protocol.TaskBatch) -> dict[str, int]:
    """The task that a stretch is."""
    hands = get_worker().plugins[NAME]
    session = hands.sessions.get(batch.session)
    if session is None:
        return {"listings": len(batch.tasks), "ended": 0, "going_on": 0}
    walked: dict[str, int] = await session.walk(batch)
    return walked
