"""The gate. Every attempt passes it in this order: slot, then rate limiter, then budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from .abandoned import AbandonedRequests
from .budget import Budget
from .controller import Controller, ControllerStatistics
from .rate import RateLimiter
from .semaphore import AdaptiveSemaphore


class GateStatistics(msgspec.Struct, frozen=True):
    """Snapshot of the gate.

    Attributes:
        width: Slots open now.
        in_flight: Slots taken, those of abandoned requests included.
        ghosts: Slots of abandoned requests that the server is still working on.
        waiting: Attempts waiting for a slot.
        requests: Attempts sent since the gate was made, without those that reached no server.
        budget_left: Attempts left, or None without a limit.
        rate: Maximum number of attempts in a second, or None without a rate limiter.
        controller: Snapshot of the controller.
        cache_hits: Pages taken from the cache of the client, which did not pass the gate.
    """

    width: int
    in_flight: int
    ghosts: int
    waiting: int
    requests: int
    budget_left: int | None
    rate: float | None
    controller: ControllerStatistics
    cache_hits: int = 0


class Gate:
    """Gate of one account. Every attempt passes it, and nothing waits once the budget is charged.

    Args:
        controller: Decides the width.
        rate_limiter: Limits the rate, or None.
        budget: Limits the number of attempts; by default there is no limit.
        clock: Returns seconds, monotonic; asyncio's own clock in production.

    Attributes:
        controller: Decides the width.
        rate_limiter: Limits the rate, or None.
        budget: Limits the number of attempts.
        clock: Returns seconds, monotonic.
        abandoned_requests: Estimates how long abandoned requests run on at the server.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        rate_limiter: RateLimiter | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.controller = controller
        self.budget = budget or Budget()
        self.clock = clock
        self.rate_limiter = rate_limiter
        self.abandoned_requests = AbandonedRequests()
        # Attempts at the server, as far as we know. Slots of attempts that still wait for the rate
        # limiter are not counted: the controller would take a slow rate for a full gate.
        self._at_server = 0
        self._semaphore = AdaptiveSemaphore(controller, clock)
        self._on_wider: list[Callable[[], None]] = []

    @property
    def width(self) -> int:
        """Slots open now; at least 1, also while the gate cools down."""
        width = self.controller.width(self.clock())
        return width if width > 0 else 1

    @property
    def at_server(self) -> int:
        """Attempts that the server works on as far as we know, abandoned ones included."""
        return self._at_server

    @property
    def in_use(self) -> int:
        """Slots taken: attempts at the server, and those that wait for the rate limiter."""
        return self._semaphore.in_use

    @property
    def waiting(self) -> int:
        """Attempts that wait for a slot."""
        return self._semaphore.waiting

    def admit_waiting(self) -> None:
        """Let attempts in after the controller changed its width on its own."""
        self._semaphore.admit_waiting()
        for callback in self._on_wider:
            callback()

    def change_controller(self, controller: Controller) -> None:
        """Take the width from another controller from now on. No slot changes hands."""
        self.controller = controller
        self._semaphore.change_provider(controller)
        self.admit_waiting()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` while the block runs each time the width changed on its own."""
        self._on_wider.append(callback)
        try:
            yield
        finally:
            self._on_wider.remove(callback)

    async def enter(self, check: Callable[[], None], urgent: bool = False) -> float:
        """Pass the gate.

        Args:
            urgent: True to get a slot before all attempts that are not urgent.
            check: Called after the slot and the rate limiter, right before the budget is charged;
                raises if the attempt must not be sent any more.

        Returns:
            The clock time of passing, to be given to one of `answered`, `refused`, `abandoned`,
            `unsent`.

        Raises:
            BudgetSpentError: The budget is spent.
        """
        await self._semaphore.acquire(urgent)
        if self.rate_limiter is not None:
            try:
                await self.rate_limiter.wait()
            except BaseException:
                self._semaphore.release()
                raise
        return self._pass(check, self.clock())

    def enter_at_once(self, check: Callable[[], None] | None, urgent: bool = False) -> float | None:
        """Pass the gate, as by `enter`, unless the attempt must wait: then return None.

        Args:
            check: Function of `enter`; None if nothing can hold the attempt back.
            urgent: True to go first, as in `enter`.
        """
        now = self.clock()
        if self.rate_limiter is None and self._semaphore.take_free(now, urgent):
            return self._pass(check, now)
        return None

    def _pass(self, check: Callable[[], None] | None, now: float) -> float:
        """Charge the budget for an attempt that has a slot."""
        try:
            if check is not None:
                check()
            self.budget.reserve()
        except BaseException:
            self._semaphore.release()
            raise
        self._at_server += 1
        self.controller.sent(now, self._at_server)
        return now

    def answered(self, sent_at: float) -> None:
        """Record a reply that is not a refusal, and free the slot."""
        now = self.clock()
        self.controller.answered(now, sent_at, self._at_server)
        self._at_server -= 1
        self.abandoned_requests.answered(now - sent_at)
        self._semaphore.release()

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """Record a 503 or 429, and free the slot."""
        self.controller.refused(self.clock(), sent_at, self._at_server, retry_after)
        self._at_server -= 1
        self._semaphore.release()

    def abandoned(self, sent_at: float, *, served: bool) -> None:
        """Record that no reply was read.

        Args:
            sent_at: Return value of `enter`.
            served: True if the server may still be working on the request, as after a time-out or
                a cancellation. Its slot then stays taken until that work can be expected to end.
        """
        now = self.clock()
        self.controller.abandoned(now, sent_at)
        if served:
            self._semaphore.hold(self.abandoned_requests.done_at(sent_at, now), self._release)
        else:
            self._release()

    def unsent(self, sent_at: float, *, refused: bool = False) -> None:
        """Record an attempt that reached no server: free the slot, and refund the budget.

        Args:
            sent_at: Return value of `enter`.
            refused: True if this machine refused it, so that fewer at once are needed.
        """
        self.budget.refund()
        if refused:
            self.refused(sent_at, None)
        else:
            self.abandoned(sent_at, served=False)

    def forget_abandoned(self) -> None:
        """Free the slots of abandoned requests: a server that answers nothing works on nothing."""
        self._semaphore.release_abandoned()

    def _release(self) -> None:
        self._at_server -= 1
        self._semaphore.release()

    def statistics(self) -> GateStatistics:
        """Return a snapshot: width, slots, budget and the controller's own snapshot."""
        return GateStatistics(
            width=self.controller.width(self.clock()),
            in_flight=self._semaphore.in_use,
            ghosts=self._semaphore.abandoned,
            waiting=self._semaphore.waiting,
            requests=self.budget.spent,
            budget_left=self.budget.left,
            rate=self.rate_limiter.rate if self.rate_limiter else None,
            controller=self.controller.statistics(),
        )

    def close(self) -> None:
        """Cancel every timer; slots of abandoned requests are free at once."""
        self._semaphore.close()

    def __repr__(self) -> str:
        return f"<Gate: width {self.width}, {self._semaphore!r}, {self.budget!r}>"
