"""One time limit for many concurrent attempts, at the price of one timer.

`asyncio.timeout` sets and cancels a timer for each attempt, and cancelled timers stay with the
loop until half of all are cancelled. Attempts of one session have the same limit, so they expire
in the order in which they began: a timer for the oldest is enough, and an attempt that ends in
time only leaves the queue.
"""

from __future__ import annotations

import asyncio
from itertools import takewhile
from types import TracebackType
from typing import Protocol

_MAX_OTHERS = 64
"""Other durations that are kept, each with a timer."""

_SLACK = 0.001
"""Seconds by which a loop may wake us too early (uvloop counts in milliseconds)."""


class Expiring(Protocol):
    """A time limit that is running.

    Attributes:
        at: Time at which it expires, on the loop's clock.
    """

    at: float

    def expire(self) -> None:
        """Take note that the time is over; may be called again."""
        ...


class Deadlines:
    """Makes deadlines with the same duration. Belongs to one event loop.

    Args:
        seconds: Duration of each deadline.
        loop: Event loop.

    Attributes:
        seconds: Duration of each deadline.
    """

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds = seconds
        self._others: dict[float, Deadlines] = {}
        self._loop = loop
        self._running: dict[Expiring, None] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def others(self, seconds: float) -> Deadlines:
        """Return deadlines of another duration. They are kept for the next call, a few of them."""
        others = self._others.get(seconds)
        if others is None:
            others = Deadlines(seconds, self._loop)
            if len(self._others) >= _MAX_OTHERS:
                self._others.pop(next(iter(self._others))).close()
            self._others[seconds] = others
        return others

    def begin(self) -> Deadline:
        """Return a deadline for the calling task; use it in a `with` statement."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline needs a task that it can cancel")
        deadline = Deadline(self._running, task, self._loop.time() + self.seconds)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.at, self._expire_due)
        return deadline

    def add(self, deadline: Expiring) -> None:
        """Set and run a time limit that belongs to no task, until it is removed."""
        deadline.at = self._loop.time() + self.seconds
        self._running[deadline] = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.at, self._expire_due)

    def remove(self, deadline: Expiring) -> None:
        """Let a time limit that was added run no longer."""
        del self._running[deadline]

    def close(self) -> None:
        """Cancel the timers, unless a deadline is still running."""
        for others in self._others.values():
            others.close()
        if self._timer is not None and not self._running:
            self._timer.cancel()
            self._timer = None

    def _expire_due(self) -> None:
        """Expire the deadlines that are due, and set the timer for the next one."""
        self._timer = None
        due = self._loop.time() + _SLACK
        # An expired one may leave, and another one may begin, before the next expires.
        late = [*takewhile(lambda deadline: deadline.at <= due, self._running)]
        for deadline in self._running:
            if deadline.at > due:
                self._timer = self._loop.call_at(deadline.at, self._expire_due)
                break
        for deadline in late:
            deadline.expire()

    def __repr__(self) -> str:
        return f"<Deadlines: {len(self._running)} running, {self.seconds:g} s each>"


class Deadline:
    """Ends a `with` block by `TimeoutError` if it takes too long, like `asyncio.timeout`.

    Args:
        running: The deadlines whose `with` blocks have been entered and not left.
        task: Task to cancel.
        at: Time at which the deadline expires, on the loop's clock.

    Attributes:
        at: Time at which the deadline expires, on the loop's clock.
    """

    __slots__ = ("_cancelling", "_expired", "_running", "_task", "at")

    def __init__(
        self, running: dict[Expiring, None], task: asyncio.Task[object], at: float
    ) -> None:
        self._running = running
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False
        self.at = at

    def expire(self) -> None:
        """Cancel the task, once."""
        if not self._expired:
            self._expired = True
            self._task.cancel()

    def __enter__(self) -> None:
        self._running[self] = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del self._running[self]
        if not self._expired:
            return
        # Our own cancellation is taken back in any case. It becomes a time-out only if nobody else
        # has cancelled the task meanwhile.
        alone = self._task.uncancel() <= self._cancelling
        if alone and kind is asyncio.CancelledError:
            raise TimeoutError from error
