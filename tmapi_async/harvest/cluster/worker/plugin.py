"""Worker plugin that opens sessions, and the Dask task that walks a batch of listings."""

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
from tmapi_async.harvest.cluster.task_batch import TaskBatch
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
_TOKEN_TIMEOUT = 30.0


class SessionPlugin(WorkerPlugin):  # type: ignore[misc] # distributed has no types
    """Sessions of one worker process; one plugin serves any number of harvests.

    Attributes:
        sessions: Open sessions, by name.
    """

    name = NAME
    # Another harvest registers it again; replacing it would end the sessions of the first one.
    idempotent = True

    def __init__(self) -> None:
        self.sessions: dict[str, WorkerSession] = {}
        self._closing: set[WorkerSession] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<SessionPlugin: {len(self.sessions)} sessions>"

    def __reduce__(self) -> tuple[Any, ...]:
        return SessionPlugin, ()

    def setup(self, worker: Worker) -> None:
        """Answer coordinators that connect to this worker."""
        worker.handlers[OPERATION] = self.serve_session

    def teardown(self, worker: Worker) -> None:
        """Answer no more; when the worker closes, its connections end, and so do its sessions."""
        worker.handlers.pop(OPERATION, None)

    async def serve_session(self, comm: Comm, request: bytes) -> Status:
        """Open a session for a coordinator, and serve its connection until the session ends."""
        session_request = protocol.decode_request(request)
        try:
            message = await _receive_token(session_request, comm)
        except InvalidRequestError as error:
            await comm.write(protocol.encode(protocol.SessionRefused(str(error))))
            return Status.dont_reply
        digest = session_request.digest
        # Made before the answer is sent, so that its lease begins before the coordinator's.
        session = WorkerSession(
            session_request, message.token, comm, lambda: self._abandoned_slots(digest)
        )
        del message
        accepted = protocol.SessionAccepted(VERSION, PYTHON, self._abandoned_slots(digest))
        await comm.write(protocol.encode(accepted))
        self.sessions[session.name] = session
        try:
            await session.run()
        finally:
            del self.sessions[session.name]
            self._closing.add(session)
            task = asyncio.create_task(self._close(session), name="tmapi session closing")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await comm.close()
        return Status.dont_reply

    def _abandoned_slots(self, digest: str) -> int:
        """Return the slots of an account that ended sessions have left busy at the server."""
        return sum(session.gate.in_use for session in self._closing if session.digest == digest)

    async def _close(self, session: WorkerSession) -> None:
        try:
            await session.close()
        finally:
            self._closing.discard(session)


async def _receive_token(request: protocol.SessionRequest, comm: Comm) -> protocol.TokenMessage:
    """Return the token of an account in a message, whose repr does not show the token."""
    source = request.token_source
    if source is None:
        async with asyncio.timeout(_TOKEN_TIMEOUT):
            first, *_ = protocol.decode_for_session(await comm.read())
        if not isinstance(first, protocol.TokenMessage):
            raise InvalidRequestError("the token must come first on the connection")
        return first
    message = protocol.TokenMessage(source.read(request.account))
    if account_digest(message.token) != request.digest:
        raise InvalidRequestError(
            f"{source} holds another token on this worker than account "
            f"{request.account + 1} has on the coordinator"
        )
    return message


async def walk_batch(packed: bytes) -> dict[str, int]:
    """Walk the listings of a packed batch on this worker; this function is the Dask task."""
    batch = TaskBatch.unpack(packed)
    session = get_worker().plugins[NAME].sessions.get(batch.session)
    if session is None:
        return {"listings": len(batch.tasks), "ended": 0, "going_on": 0}
    result: dict[str, int] = await session.walk(batch)
    return result
