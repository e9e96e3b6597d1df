"""Controller of a gate that holds a share of an account's limits."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from tmapi_async.limits.budget import Budget
from tmapi_async.limits.controller import ControllerStatistics
from tmapi_async.limits.gate import Gate

from .event_merge import ABANDONED, ANSWERED, REFUSED, SENT, EventRecorder
from .slot_share import SlotShare

LATENCY_GAIN = 1 / 32


class ShareController:
    """Controller that opens the gate as wide as the share, and records the gate's events.

    A page keeps its slot until it has been handed to the operating system (`unsent_pages`): so a
    killed worker loses at most as many pages as it has slots.

    The slot of a refused attempt stays closed for a mean latency. A refusal narrows the account by
    a slot, which may be one of another gate, where a request has to end first. Until then this gate
    would be refused again and again.

    Attributes:
        share: Share in force.
        latency: Mean latency in seconds, recent answers counting most.
        unsent_pages: Pages that were read and not handed over yet.
        lease_end: Time of the clock of leases after which nothing passes.
        gate: Gate that this controller opens.
    """

    def __init__(
        self,
        budget: Budget,
        recorder: EventRecorder,
        on_event: Callable[[], None],
        lease_clock: Callable[[], float],
    ) -> None:
        self.share = SlotShare(0, 0)
        self.latency = 0.0
        self.unsent_pages = 0
        self.lease_end = -math.inf
        self.gate: Gate | None = None
        self._budget = budget
        self._recorder = recorder
        self._on_event = on_event
        self._lease_clock = lease_clock
        self._answered = self._refused = self._abandoned = 0
        self._closed_until = deque[float]()  # one time for each closed slot, the earliest first

    def width(self, now: float) -> int:
        """Return the slots open at `now`."""
        if self._lease_clock() > self.lease_end:
            return 0
        slots = self.share.slots - self.unsent_pages
        if self._closed_until:
            slots -= self._closed_slots(now)
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
        took = now - sent_at
        self.latency += (took - self.latency) * (LATENCY_GAIN if self.latency else 1.0)
        self._answered += 1
        self._recorder.add(ANSWERED, now, sent_at, in_flight)
        self._on_event()

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Record a 503 or 429."""
        self._refused += 1
        if self.latency:
            self._closed_until.append(now + self.latency)
        self._recorder.add(REFUSED, now, sent_at, in_flight, retry_after)
        self._on_event()

    def abandoned(self, now: float, sent_at: float) -> None:
        """Record an attempt that ended without a reply."""
        self._abandoned += 1
        in_flight = self.gate.at_server if self.gate is not None else 0
        self._recorder.add(ABANDONED, now, sent_at, in_flight)
        self._on_event()

    def wake_at(self, now: float) -> float | None:
        """Return when a closed slot opens again, or None: another share is announced."""
        return self._closed_until[0] if self._closed_slots(now) else None

    def _closed_slots(self, now: float) -> int:
        closed_until = self._closed_until
        while closed_until and not now < closed_until[0] <= now + self.latency:
            closed_until.popleft()
        return len(closed_until)

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
