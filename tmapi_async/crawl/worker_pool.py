"""Tasks that request one page after another, and rest while there is no page for them.

A task costs as much to start and to end as a tenth of a page. A crawl that stores pages has none to
request for a moment after each group of pages, until the group is durable: its workers rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tmapi_async.api.listings import PageRequest
from tmapi_async.transport.request_state import RequestState, StoppedError


class WorkerPool:
    """The workers of a crawl.

    Args:
        fetch: Requests a page and handles the outcome, also if it is stopped or cancelled.
        choose: Returns the next page for a worker that is done with one, or None to let it rest;
            raises `StoppedError` to end it.
        new_state: Returns the state of a new worker.
        ended: Called when a worker has ended, with the request that it was given and did not begin
            or None, and with the error that it raised or None; also when the last worker rests.

    Attributes:
        at_work: Number of workers that do not rest.
    """

    def __init__(
        self,
        fetch: Callable[[PageRequest, RequestState], Coroutine[Any, Any, None]],
        choose: Callable[[], PageRequest | None],
        new_state: Callable[[], RequestState],
        ended: Callable[[PageRequest | None, BaseException | None], None],
    ) -> None:
        self._fetch = fetch
        self._choose = choose
        self._new_state = new_state
        self._ended = ended
        self._states: dict[asyncio.Task[None], RequestState] = {}
        self._resting: list[tuple[RequestState, asyncio.Future[None]]] = []
        self.at_work = 0

    def start(self, request: PageRequest) -> None:
        """Let a worker request a page: one that rests, or else a new one."""
        self.at_work += 1
        if self._resting:
            state, wake = self._resting.pop()
            state.request = request
            wake.set_result(None)
            return
        state = self._new_state()
        state.request = request
        worker = asyncio.create_task(self._work(state), name="tmapi worker")
        self._states[worker] = state
        worker.add_done_callback(self._worker_done)

    def recall(self, request: PageRequest | None = None) -> None:
        """Take back every request that is not on the wire, or that one alone."""
        for worker, state in self._states.items():
            if state.request is not None and request in (None, state.request):
                state.recall(worker)

    def dismiss(self) -> None:
        """End the workers that rest."""
        resting, self._resting = self._resting, []
        for _, wake in resting:
            wake.cancel()

    def cancel(self) -> list[asyncio.Task[None]]:
        """End every worker at once. Return their tasks."""
        for worker in self._states:
            worker.cancel()
        return [*self._states]

    async def _work(self, state: RequestState) -> None:
        while (request := state.request) is not None:
            state.stopping = state.sent = False
            try:
                await self._fetch(request, state)
                state.request = self._choose()
            except (StoppedError, asyncio.CancelledError):
                return
            if state.request is None:
                await self._rest(state)

    async def _rest(self, state: RequestState) -> None:
        place = state, asyncio.get_running_loop().create_future()
        self._resting.append(place)
        self.at_work -= 1
        if not self.at_work:
            self._ended(None, None)
        try:
            await place[1]
        except asyncio.CancelledError:
            if place in self._resting:
                self._resting.remove(place)
            raise

    def _worker_done(self, worker: asyncio.Task[None]) -> None:
        state = self._states.pop(worker)
        if state.request is not None:
            self.at_work -= 1
        if worker.cancelled():
            # Cancelled before its first step or while it rested, perhaps with a page to begin.
            self._ended(state.request, None)
        else:
            self._ended(None, worker.exception())
