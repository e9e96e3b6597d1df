"""The gate: what every attempt passes, in this order: slot, then pace, then budget."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from .abandoned import AbandonedRequests
from .budget import Budget
from .controller import Controller, ControllerStatistics
from .rate import RateLimiter
from .semaphore import AdaptiveSemaphore


class GateStatistics(msgspec.Struct, frozen=True):
    """A snapshot of the gate.

    Attributes:
        width: Slots open now.
        in_flight: Slots taken, ghosts included.
        ghosts: Slots kept for abandoned requests that the server is still working on.
        waiting: Attempts waiting for a slot.
        requests: Attempts sent since the gate was made.
        budget_left: Attempts left, or None without a limit.
        rate: Attempts a second allowed, or None without a pace.
        controller: What the controller knows.
    """

    width: int
    in_flight: int
    ghosts: int
    waiting: int
    requests: int
    budget_left: int | None
    rate: float | None
    controller: ControllerStatistics


class Gate:
    """One account's gate. Every attempt on the wire passes it, and nothing waits past the budget.

    Args:
        controller: Decides the width.
        pace: Limits the rate, or None.
        budget: Limits the number.
        clock: Seconds, monotonic; asyncio's own clock in production.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        pace: RateLimiter | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.controller = controller
        self.budget = budget or Budget()
        self.clock = clock
        self.pace = pace
        self._ghosts = AbandonedRequests()
        # What the server works on, as far as we know; slots of attempts that still wait for the
        # pace are not among it, or the controller would take a slow pace for a full gate.
        self._at_server = 0
        self._slots = AdaptiveSemaphore(controller, clock)

    @property
    def width(self) -> int:
        """Slots open now; at least 1, also while the gate cools down."""
        return max(1, self.controller.width(self.clock()))

    @property
    def at_server(self) -> int:
        """Attempts that the server works on as far as we know, abandoned ones included."""
        return self._at_server

    @property
    def in_use(self) -> int:
        """Slots taken: attempts at the server, and those that wait for the pace."""
        return self._slots.in_use

    def widened(self) -> None:
        """Let waiting attempts in: the controller opened by another's doing, not by an answer."""
        self._slots.look()

    async def enter(self, still_wanted: Callable[[], None]) -> float:
        """Pass the gate.

        Args:
            still_wanted: Called when slot and pace are passed, right before the budget is
                charged; raises if the attempt must not be sent any more.

        Returns:
            The clock time of passing, to be given to one of `answered`, `refused`, `abandoned`.

        Raises:
            BudgetSpentError: The budget is spent.
        """
        await self._slots.acquire()
        try:
            if self.pace is not None:
                await self.pace.wait()
            still_wanted()
            self.budget.reserve()
        except BaseException:
            self._slots.release()
            raise
        now = self.clock()
        self._at_server += 1
        self.controller.sent(now, self._at_server)
        return now

    def answered(self, sent_at: float) -> None:
        """A reply was read that is no refusal; the slot is free."""
        now = self.clock()
        self.controller.answered(now, sent_at, self._at_server)
        self._at_server -= 1
        self._ghosts.answered(now - sent_at)
        self._slots.release()

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """A 503 or 429 was read; the slot is free."""
        self.controller.refused(self.clock(), sent_at, self._at_server, retry_after)
        self._at_server -= 1
        self._slots.release()

    def abandoned(self, sent_at: float, *, served: bool) -> None:
        """No reply was read.

        Args:
            sent_at: What `enter` returned.
            served: Whether the server may still be working on the request, as after a time-out or
                a cancellation; its slot then stays taken until that can be expected to be over.
        """
        now = self.clock()
        self.controller.abandoned(now, sent_at)
        if served:
            self._slots.hold(self._ghosts.done_at(sent_at, now), self._released)
        else:
            self._released()

    def _released(self) -> None:
        self._at_server -= 1
        self._slots.release()

    def statistics(self) -> GateStatistics:
        """A snapshot: width, slots, budget and what the controller knows."""
        return GateStatistics(
            width=self.controller.width(self.clock()),
            in_flight=self._slots.in_use,
            ghosts=self._slots.ghosts,
            waiting=self._slots.waiting,
            requests=self.budget.spent,
            budget_left=self.budget.left,
            rate=self.pace.rate if self.pace else None,
            controller=self.controller.statistics(),
        )

    def close(self) -> None:
        """Let go of every timer."""
        self._slots.close()

    def __repr__(self) -> str:
        return f"<Gate: width {self.width}, {self._slots!r}, {self.budget!r}>"
