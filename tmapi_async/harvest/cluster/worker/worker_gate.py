"""The gate of a seat: as wide as the share that was dealt to it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from tmapi_async.harvest.cluster.event_merge import (
    ABANDONED,
    ANSWERED,
    REFUSED,
    SENT,
    EventRecorder,
)
from tmapi_async.harvest.cluster.protocol import SlotShare
from tmapi_async.limits.abandoned import AbandonedRequests
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.controller import ControllerStatistics
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.rate import RateLimiter


class SharedRateLimiter(RateLimiter):
    """A pace that can be changed: one attempt each 1/rate seconds, and no burst.

    aiolimiter's bucket is full when it is made, so that a new one with each share would let a burst
    through each time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.rate = 0.0
        self._clock = clock
        self._due = -math.inf
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    def change(self, rate: float) -> None:
        """Go on at another rate; 0 is a halt."""
        self.rate = rate
        self._changed.set()

    async def wait(self) -> None:
        """Wait until the next attempt may start."""
        async with self._turn:
            while (delay := self._delay()) > 0:
                self._changed.clear()
                timer = None if delay == math.inf else delay
                try:
                    async with asyncio.timeout(timer):
                        await self._changed.wait()
                except TimeoutError:
                    continue
            self._due = self._clock()

    def _delay(self) -> float:
        if not self.rate:
            return math.inf
        return self._due + 1 / self.rate - self._clock()


class ShareController:
    """Opens the gate as wide as the share, and writes down what the gate sees.

    A page that was read keeps its slot until it has been handed over (`held`): so what is lost with
    the worker is never more than its slots.
    """

    def __init__(
        self, budget: Budget, recorder: EventRecorder, on_event: Callable[[], None]
    ) -> None:
        self.share = SlotShare(0, 0)
        self.held = 0
        self.lease = -math.inf
        self.gate: Gate | None = None
        self._budget = budget
        self._recorder = recorder
        self._on_event = on_event
        self._answered = self._refused = self._abandoned = 0

    def width(self, now: float) -> int:
        """Slots open at `now`."""
        if now > self.lease:
            return 0
        slots = self.share.slots - self.held
        if self._budget.most is None or self.gate is None:
            return slots
        left = self._budget.most - self._budget.spent
        # A slot is given to nobody who could not pay: nothing fails for want of budget here.
        return min(slots, self.gate.at_server + left)

    def sent(self, now: float, in_flight: int) -> None:
        """An attempt goes on the wire."""
        self._recorder.add(SENT, now, now, in_flight)
        self._on_event()

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """A reply came that is no refusal."""
        self._answered += 1
        self._recorder.add(ANSWERED, now, sent_at, in_flight)
        self._on_event()

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """A 503 or 429 came."""
        self._refused += 1
        self._recorder.add(REFUSED, now, sent_at, in_flight, retry_after)
        self._on_event()

    def abandoned(self, now: float, sent_at: float) -> None:
        """An attempt ended without a reply."""
        self._abandoned += 1
        in_flight = self.gate.at_server if self.gate is not None else 0
        self._recorder.add(ABANDONED, now, sent_at, in_flight)
        self._on_event()

    def wake_at(self, now: float) -> float | None:
        """Never by itself: shares come from outside."""
        del now
        return None

    def statistics(self) -> ControllerStatistics:
        """A snapshot."""
        return ControllerStatistics(
            width=self.share.slots,
            ceiling=None,
            state="holding",
            limit=None,
            latency=0.0,
            answered=self._answered,
            refused=self._refused,
            abandoned=self._abandoned,
            cuts=0,
            probes=0,
            history=(),
        )


class WorkerGate(Gate):
    """A gate with a share of an account's slots, pace and budget.

    Args:
        paced: Whether the account has a pace.
        on_event: Called when there is something to report.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        paced: bool,
        on_event: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        budget, self.recorder = Budget(), EventRecorder()
        self.shared = ShareController(budget, self.recorder, on_event)
        self.dealt = SharedRateLimiter(clock) if paced else None
        super().__init__(self.shared, rate_limiter=self.dealt, budget=budget, clock=clock)
        self.shared.gate = self

    @property
    def width(self) -> int:
        """Slots of the share; at least 1, so that somebody waits at the gate."""
        return max(1, self.shared.share.slots)

    def take(self, share: SlotShare) -> None:
        """Keep to a new share from now on."""
        self.shared.share = share
        if share.allowed is not None:
            # Those who wait for the pace have a slot, and will be charged.
            least = self.budget.spent + self.in_use - self.at_server
            self.budget.most = max(share.allowed, least)
        if self.dealt is not None:
            self.dealt.change(share.rate)
        self.admit_waiting()

    def renew(self, until: float) -> None:
        """The lease runs until a clock time; after that nothing passes."""
        self.shared.lease = until

    def hold(self, pages: int) -> None:
        """So many pages that were read have not been handed over."""
        self.shared.held = pages
        self.admit_waiting()

    @property
    def estimate(self) -> AbandonedRequests:
        """What is known of how long abandoned requests go on."""
        return self.abandoned_requests
