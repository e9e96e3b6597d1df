"""Concurrency slots whose number a controller decides."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Protocol


class Width(Protocol):
    """What the slots need of a controller."""

    def width(self, now: float) -> int:
        """How many slots are open at `now`."""
        ...

    def wake_at(self, now: float) -> float | None:
        """When the width may grow with no further event, or None."""
        ...


class AdaptiveSemaphore:
    """A first-come, first-served semaphore whose width changes.

    Invariant: `in_use` counts every slot handed out, to a caller or to a ghost (an abandoned
    request that the server is still working on); a slot handed to a waiter is counted when it is
    handed over, not when the waiter runs, so that nobody can slip in between.
    """

    def __init__(self, width: Width, clock: Callable[[], float]) -> None:
        self._width = width
        self._clock = clock
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._ghosts: dict[asyncio.TimerHandle, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.in_use = 0

    @property
    def waiting(self) -> int:
        """Callers waiting for a slot."""
        return sum(not waiter.done() for waiter in self._waiters)

    @property
    def ghosts(self) -> int:
        """Slots held for abandoned requests."""
        return len(self._ghosts)

    async def acquire(self) -> None:
        """Wait for a slot and take it. Cancellation gives back whatever was handed over."""
        if not self._waiters and self.in_use < self._width.width(self._clock()):
            self.in_use += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._hand_over()
        try:
            await waiter
        except BaseException:  # cancelled; or collected while it waits
            if waiter.done() and not waiter.cancelled():
                self.release()
            else:
                # A hand-over may have dropped the cancelled waiter already.
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Give a slot back."""
        self.in_use -= 1
        self._hand_over()

    def look(self) -> None:
        """Hand out what has come free by a change of the width."""
        self._hand_over()

    def hold(self, until: float, lay: Callable[[], None]) -> None:
        """Keep a slot taken until a clock time: the server is still busy with what was abandoned.

        Args:
            until: When the server can be expected to be done.
            lay: Called then; must release the slot.
        """
        delay = until - self._clock()
        if delay <= 0:
            lay()
            return

        def done() -> None:
            del self._ghosts[handle]
            lay()

        handle = asyncio.get_running_loop().call_later(delay, done)
        self._ghosts[handle] = lay

    def close(self) -> None:
        """Cancel the timers; ghosts are laid at once. Nobody may be waiting any more."""
        while self._ghosts:
            handle, lay = self._ghosts.popitem()
            handle.cancel()
            lay()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self) -> None:
        if not self._waiters:
            return
        now = self._clock()
        width = self._width.width(now)
        while self._waiters and self.in_use < width:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)
        if self._waiters:
            self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        """Look again when the width may have grown although nothing happened."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._width.wake_at(now)
        if wake is not None:
            # Not sooner than a millisecond: a wake-up that is due but opens nothing would spin.
            delay = max(wake - now, 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._hand_over()

    def __repr__(self) -> str:
        return (
            f"<Slots: {self.in_use} in use, {self.ghosts} of them ghosts, {self.waiting} waiting>"
        )
