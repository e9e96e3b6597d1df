"""Requests of a crawl: each is sent at once where that is possible, or else by a task, a worker.

A task costs as much to start and to end as a tenth of a page. A crawl that stores pages has none to
request for a moment after each group of pages, until the group is durable: its workers rest. They
also rest while requests can be sent without a task, which is the usual case.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from tmapi_async.api.listings import PageRequest
from tmapi_async.transport.attempts.direct_exchange import DirectExchange
from tmapi_async.transport.request_state import RequestState, StoppedError

from .page_requests import SendAtOnce

_MOST_WAIT = 0.025
"""Seconds that a reply may wait for a caller that takes one after another, and is slow."""


class Requests(Protocol):
    """Fetches pages and hands on the outcomes; see `PageRequests`."""

    def fetch(
        self, request: PageRequest, state: RequestState, exchange: DirectExchange | None = None
    ) -> Coroutine[Any, Any, None]:
        """Fetch a page, or go on with it after an exchange that was left."""
        ...

    @property
    def send_at_once(self) -> SendAtOnce:
        """Send a request without a task, or return None."""
        ...

    def handle(self, exchange: DirectExchange) -> bool:
        """Hand on the page of an exchange; return False if `fetch` must go on with the request."""
        ...

    def abandon(self, exchange: DirectExchange) -> None:
        """Give up an exchange that was not handled, or with which `fetch` did not go on."""
        ...


class WorkerPool:
    """The slots of a crawl: each has one page request at a time.

    Args:
        requests: Fetches pages and hands on the outcomes.
        choose: Returns the next page for a slot that is done with one, or None to let it rest;
            raises `StoppedError` to end it.
        new_state: Returns the state of a new slot.
        ended: Called when a slot has ended, with the request that its worker was given and did not
            begin or None, and with the error that it raised or None; also when the last one rests.
        grow: Starts more slots. Called after `choose` has set `may_grow`, once the request that it
            chose was sent: requests are sent in the order in which they were chosen.
        wake_taker: Wakes a caller, if there is one, that takes the replies which have come, by
            `take_reply`.

    Attributes:
        at_work: Number of slots that do not rest.
        may_grow: True if there may be work for more slots; set by `choose`.
    """

    def __init__(
        self,
        requests: Requests,
        choose: Callable[[], PageRequest | None],
        new_state: Callable[[], RequestState],
        ended: Callable[[PageRequest | None, BaseException | None], None],
        *,
        grow: Callable[[], None],
        wake_taker: Callable[[], None],
    ) -> None:
        self._requests = requests
        self._begin = requests.send_at_once
        self._choose = choose
        self._new_state = new_state
        self._ended = ended
        self._grow = grow
        self._wake_taker = wake_taker
        self.may_grow = False
        self._on_wire: dict[DirectExchange, None] = {}  # those without a task, handled ones not
        self._arrived: deque[DirectExchange] = deque()
        self._arrived_at = 0.0
        self._spare: list[RequestState] = []
        self._states: dict[asyncio.Task[None], RequestState | None] = {}  # None: it rests
        self._unbegun: dict[RequestState, DirectExchange] = {}  # to go on with
        self._resting: list[tuple[asyncio.Task[None], asyncio.Future[None]]] = []
        self.at_work = 0

    def start(self, request: PageRequest) -> None:
        """Request a page: at once, or by a worker, one that rests or else a new one."""
        self.at_work += 1
        state = self._spare.pop() if self._spare else self._new_state()
        state.request = request
        if not self._send_at_once(state):
            self._employ(state)

    def recall(self, request: PageRequest | None = None) -> None:
        """Take back every request that is not on the wire, or that one alone."""
        for exchange in self._on_wire:
            if request in (None, exchange.request):
                exchange.state.stopping = True
        for worker, state in self._states.items():
            if state is not None and request in (None, state.request):
                state.recall(worker)

    def dismiss(self) -> None:
        """End the workers that rest."""
        resting, self._resting = self._resting, []
        for _, wake in resting:
            wake.cancel()

    def cancel(self) -> list[asyncio.Task[None]]:
        """End every request at once. Return the tasks of the workers."""
        for worker in self._states:
            worker.cancel()
        exchanges, self._on_wire = self._on_wire, {}
        self._arrived.clear()
        for exchange in exchanges:
            self._rest_slot(exchange.state)
            self._requests.abandon(exchange)
        if exchanges:
            self._ended(None, None)
        return [*self._states]

    # -- requests without a task

    def take_reply(self) -> bool:
        """Handle one reply that has come; return False if there is none.

        A caller that takes pages one after another calls this when it needs the next page, so that
        a page is read, used and forgotten before the next one is read.
        """
        if not self._arrived:
            return False
        if time.monotonic() - self._arrived_at > _MOST_WAIT:
            self._take_all()  # the caller is slow, and slots would idle
        else:
            self._handle(self._arrived.popleft())
        return True

    def _take_all(self) -> None:
        while self._arrived:
            self._handle(self._arrived.popleft())

    def _send_at_once(self, state: RequestState) -> bool:
        request = state.request
        assert request is not None  # noqa: S101 - for mypy
        state.stopping = state.sent = False
        exchange = self._begin(request, state, self._arrive)
        if exchange is None:
            return False
        self._on_wire[exchange] = None
        return True

    def _arrive(self, exchange: DirectExchange) -> None:
        """Keep a reply that has come for the caller that waits for a page, or for a moment."""
        self._arrived.append(exchange)
        if len(self._arrived) > 1:
            return
        self._wake_taker()
        self._arrived_at = time.monotonic()
        # After the caller's next step: what it does not take then is handled all the same. All at
        # once: on uvloop each call from the network takes the interpreter's lock anew, and between
        # two of them a thread that compresses pages would take it, page by page.
        asyncio.get_running_loop().call_soon(self._take_all)

    def _handle(self, exchange: DirectExchange) -> None:
        state = exchange.state
        del self._on_wire[exchange]
        try:
            if not self._requests.handle(exchange):
                self._unbegun[state] = exchange
                self._employ(state)
                return
            state.request = self._choose()
            if state.request is not None:
                if not self._send_at_once(state):
                    self._employ(state)
                if self.may_grow:
                    self._start_more()
                return
        except StoppedError:
            self._rest_slot(state)
            self._ended(None, None)
            return
        except Exception as error:  # noqa: BLE001 - the crawl raises it as it is
            self._rest_slot(state)
            self._ended(None, error)
            return
        self._rest_slot(state)
        if not self.at_work:
            self._ended(None, None)

    def _start_more(self) -> None:
        self.may_grow = False
        self._grow()

    def _rest_slot(self, state: RequestState) -> None:
        state.request = None
        self._spare.append(state)
        self.at_work -= 1

    # -- workers

    def _employ(self, state: RequestState) -> None:
        """Let a worker request a page, or go on with one."""
        if self._resting:
            worker, wake = self._resting.pop()
            self._states[worker] = state
            wake.set_result(None)
            return
        worker = asyncio.create_task(self._work(), name="tmapi worker")
        self._states[worker] = state
        worker.add_done_callback(self._worker_done)

    async def _work(self) -> None:
        worker = asyncio.current_task()
        assert worker is not None  # noqa: S101 - for mypy
        while (state := self._states[worker]) is not None and state.request is not None:
            exchange = self._unbegun.pop(state, None)
            if exchange is None:
                state.stopping = state.sent = False
            try:
                await self._requests.fetch(state.request, state, exchange)
                state.request = self._choose()
            except (StoppedError, asyncio.CancelledError):
                return
            rests = state.request is None or self._send_at_once(state)
            if self.may_grow:
                self._start_more()
            if rests:
                await self._rest(worker, state)

    async def _rest(self, worker: asyncio.Task[None], state: RequestState) -> None:
        place = worker, asyncio.get_running_loop().create_future()
        self._resting.append(place)
        self._states[worker] = None
        if state.request is None:
            self._rest_slot(state)
            if not self.at_work:
                self._ended(None, None)
        try:
            await place[1]
        except asyncio.CancelledError:
            if place in self._resting:
                self._resting.remove(place)
            raise

    def _worker_done(self, worker: asyncio.Task[None]) -> None:
        state, request = self._states.pop(worker), None
        if state is not None and state.request is not None:
            self.at_work -= 1
            request = state.request
        exchange = self._unbegun.pop(state, None) if state is not None else None
        if exchange is not None:
            self._requests.abandon(exchange)
            self._ended(None, None)
        elif worker.cancelled():
            # Cancelled before its first step or while it rested, perhaps with a page to begin.
            self._ended(request, None)
        else:
            self._ended(None, worker.exception())
