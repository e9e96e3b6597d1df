"""Gate of a worker session: as wide as the session's share of the account."""

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
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.controller import ControllerStatistics
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.rate import RateLimiter


class AdjustableRateLimiter(RateLimiter):
    """Rate limiter whose rate can change: one attempt each 1/rate seconds, and no burst.

    aiolimiter's bucket is full when it is made, so a new bucket with each share would let a burst
    through each time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.rate = 0.0
        self._clock = clock
        self._passed_at = -math.inf
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    def set_rate(self, rate: float) -> None:
        """Continue at another rate; 0 lets nothing pass."""
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
            self._passed_at = self._clock()

    def _delay(self) -> float:
        if not self.rate:
            return math.inf
        return self._passed_at + 1 / self.rate - self._clock()


class ShareController:
    """Controller that opens the gate as wide as the share, and records the gate's events.

    A page keeps its slot until it has been handed to the operating system (`unsent_pages`): so a
    killed worker loses at most as many pages as it has slots.

    Attributes:
        share: Share in force.
        unsent_pages: Pages that were read and not handed over yet.
        lease_end: Clock time after which nothing passes.
        gate: Gate that this controller opens.
    """

    def __init__(
        self, budget: Budget, recorder: EventRecorder, on_event: Callable[[], None]
    ) -> None:
        self.share = SlotShare(0, 0)
        self.unsent_pages = 0
        self.lease_end = -math.inf
        self.gate: Gate | None = None
        self._budget = budget
        self._recorder = recorder
        self._on_event = on_event
        self._answered = self._refused = self._abandoned = 0

    def width(self, now: float) -> int:
        """Return the slots open at `now`."""
        if now > self.lease_end:
            return 0
        slots = self.share.slots - self.unsent_pages
        if self._budget.most is None or self.gate is None:
            return slots
        remaining = self._budget.most - self._budget.spent
        # Without budget an attempt gets no slot: it waits for a new share, and does not fail.
        return min(slots, self.gate.at_server + remaining)

    def sent(self, now: float, in_flight: int) -> None:
        """Record that an attempt goes on the wire."""
        self._recorder.add(SENT, now, now, in_flight)
        self._on_event()

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Record a reply that is no refusal."""
        self._answered += 1
        self._recorder.add(ANSWERED, now, sent_at, in_flight)
        self._on_event()

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Record a 503 or 429."""
        self._refused += 1
        self._recorder.add(REFUSED, now, sent_at, in_flight, retry_after)
        self._on_event()

    def abandoned(self, now: float, sent_at: float) -> None:
        """Record an attempt that ended without a reply."""
        self._abandoned += 1
        in_flight = self.gate.at_server if self.gate is not None else 0
        self._recorder.add(ABANDONED, now, sent_at, in_flight)
        self._on_event()

    def wake_at(self, now: float) -> float | None:
        """Return None: the width never grows by itself, shares come from the coordinator."""
        del now
        return None

    def statistics(self) -> ControllerStatistics:
        """Return a snapshot."""
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
    """Gate with a share of an account's slots, rate and budget.

    Args:
        rate_limited: True if the account has a rate limit.
        on_event: Called when there is an event to report.
        clock: Monotonic clock, in seconds.

    Attributes:
        events: Events of the gate that have not been reported yet.
    """

    def __init__(
        self,
        *,
        rate_limited: bool,
        on_event: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        budget, self.events = Budget(), EventRecorder()
        self._controller = ShareController(budget, self.events, on_event)
        self._adjustable_rate = AdjustableRateLimiter(clock) if rate_limited else None
        super().__init__(
            self._controller, rate_limiter=self._adjustable_rate, budget=budget, clock=clock
        )
        self._controller.gate = self

    @property
    def width(self) -> int:
        """Slots of the share; at least 1, so that a request waits at the gate."""
        return max(1, self._controller.share.slots)

    @property
    def share(self) -> SlotShare:
        """Share in force."""
        return self._controller.share

    @property
    def lease_end(self) -> float:
        """Clock time after which nothing passes."""
        return self._controller.lease_end

    def apply_share(self, share: SlotShare) -> None:
        """Keep to a new share from now on."""
        self._controller.share = share
        if share.allowed is not None:
            # Attempts that wait for the rate limiter have a slot already, and will be charged.
            charged = self.budget.spent + self.in_use - self.at_server
            self.budget.most = max(share.allowed, charged)
        if self._adjustable_rate is not None:
            self._adjustable_rate.set_rate(share.rate)
        self.admit_waiting()

    def extend_lease(self, until: float) -> None:
        """Let attempts pass until a clock time; never shortens the lease."""
        self._controller.lease_end = max(self._controller.lease_end, until)

    def hold_slot(self) -> None:
        """Keep the slot of a page that was read, until `release_slots`."""
        self._controller.unsent_pages += 1

    def release_slots(self, pages: int) -> None:
        """Free the slots of pages that have been handed over."""
        self._controller.unsent_pages -= pages
        self.admit_waiting()
