"""Controller of a process's gate while several processes share an account."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tmapi_async.limits.budget import Budget
from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.controller import ControllerStatistics
from tmapi_async.limits.shares.event_merge import EventRecorder
from tmapi_async.limits.shares.share_controller import ShareController

from .messages import LearnedLimit


class MemberController(ShareController):
    """Share controller that notices how many slots its gate uses and needs.

    Attributes:
        most_in_flight: Most attempts in flight since this was last set to 0.
        hungry: True if an attempt found no slot free since this was last set to False.
        urgent: True if an attempt was refused since this was last set to False.
        learned: Limit that the host has learned.
    """

    def __init__(
        self, recorder: EventRecorder, on_event: Callable[[], None], ceiling: int | None
    ) -> None:
        # The client's budget stays with its gate, which refuses an attempt once it is spent.
        super().__init__(Budget(), recorder, on_event, lease_clock)
        self.most_in_flight = 0
        self.hungry = self.urgent = False
        self.learned = LearnedLimit(0)
        self._ceiling = ceiling

    def width(self, now: float) -> int:
        """Return the slots open at `now`, and notice attempts that wait for one."""
        slots = super().width(now)
        gate = self.gate
        if not self.hungry and gate is not None and gate.in_use >= slots and gate.waiting:
            self.hungry = True
            self._on_event()
        return slots

    def sent(self, now: float, in_flight: int) -> None:
        """Record that an attempt goes on the wire."""
        self.most_in_flight = max(self.most_in_flight, in_flight)
        super().sent(now, in_flight)

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Record a 503 or 429."""
        self.urgent = True
        super().refused(now, sent_at, in_flight, retry_after)

    def statistics(self) -> ControllerStatistics:
        """Return a snapshot: the share of this process, and what the host has learned."""
        return msgspec.structs.replace(
            super().statistics(),
            ceiling=self._ceiling,
            limit=self.learned.limit,
            latency=self.latency or self.learned.latency,
        )
