"""One time limit for many attempts at once, at the price of one timer.

`asyncio.timeout` sets and cancels a timer for each attempt, and cancelled timers stay with the
loop until half of all are. Attempts of one session have the same limit, so they run out in the
order in which they began: a timer for the oldest is enough, and an attempt that ends in time only
leaves the queue.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

_SLACK = 0.001
"""Seconds: a loop may wake us so much too early (uvloop counts in milliseconds)."""


class Deadlines:
    """Makes deadlines that all lie the same time ahead. Belongs to one event loop.

    Args:
        seconds: How far ahead.
        loop: The loop.
    """

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self._seconds = seconds
        self._loop = loop
        self._running: dict[Deadline, None] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """A deadline for what the calling task does inside `with`."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline needs a task that it can cancel")
        return Deadline(self, task, self._loop.time() + self._seconds)

    def close(self) -> None:
        """Let go of the timer, unless somebody still relies on it."""
        if self._timer is not None and not self._running:
            self._timer.cancel()
            self._timer = None

    def _add(self, deadline: Deadline) -> None:
        self._running[deadline] = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.at, self._look)

    def _remove(self, deadline: Deadline) -> None:
        del self._running[deadline]

    def _look(self) -> None:
        """Expire what is due, and come back for the next."""
        self._timer = None
        due = self._loop.time() + _SLACK
        for deadline in self._running:
            if deadline.at > due:
                self._timer = self._loop.call_at(deadline.at, self._look)
                return
            deadline.expire()

    def __repr__(self) -> str:
        return f"<Deadlines: {len(self._running)} running, {self._seconds:g} s each>"


class Deadline:
    """Ends what runs inside `with` by `TimeoutError` if it takes too long, as `asyncio.timeout`.

    Attributes:
        at: When, on the loop's clock.
    """

    __slots__ = ("_all", "_cancelling", "_expired", "_task", "at")

    def __init__(self, everything: Deadlines, task: asyncio.Task[object], at: float) -> None:
        self._all = everything
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False
        self.at = at

    def expire(self) -> None:
        """The time is up: cancel the task, once."""
        if not self._expired:
            self._expired = True
            self._task.cancel()

    def __enter__(self) -> None:
        self._all._add(self)  # noqa: SLF001 - the two are one

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._all._remove(self)  # noqa: SLF001 - the two are one
        # Our own cancellation is taken back in any case; it becomes a time-out only if nobody
        # else has cancelled the task meanwhile.
        alone = self._expired and self._task.uncancel() <= self._cancelling
        if alone and kind is asyncio.CancelledError:
            raise TimeoutError from error
