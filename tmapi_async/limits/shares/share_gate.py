"""Gate as wide as its share of an account."""

from __future__ import annotations

import time
from collections.abc import Callable

from tmapi_async.limits.budget import Budget
from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.gate import Gate

from .adjustable_rate import AdjustableRateLimiter
from .event_merge import EventRecorder
from .share_controller import ShareController
from .slot_share import SlotShare


class ShareGate(Gate):
    """Gate with a share of an account's slots, rate and budget.

    Args:
        rate_limited: True if the account has a rate limit.
        on_event: Called when there is an event to report.
        clock: Monotonic clock, in seconds.
        lease_clock: Clock of leases, in seconds; goes on while the machine sleeps.

    Attributes:
        events: Events of the gate that have not been reported yet.
    """

    def __init__(
        self,
        *,
        rate_limited: bool,
        on_event: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        lease_clock: Callable[[], float] = lease_clock,
    ) -> None:
        budget, self.events = Budget(), EventRecorder()
        self._controller = ShareController(budget, self.events, on_event, lease_clock)
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
        """Time of the clock of leases after which nothing passes."""
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
        """Let attempts pass until a time of the clock of leases; never shortens the lease."""
        self._controller.lease_end = max(self._controller.lease_end, until)

    def hold_slot(self) -> None:
        """Keep the slot of a page that was read, until `release_slots`."""
        self._controller.unsent_pages += 1

    def release_slots(self, pages: int) -> None:
        """Free the slots of pages that have been handed over."""
        self._controller.unsent_pages -= pages
        self.admit_waiting()
