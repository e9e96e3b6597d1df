"""Semaphore whose number of slots is decided by a controller."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Protocol


class WidthProvider(Protocol):
    """The part of a controller that the semaphore needs."""

    def width(self, now: float) -> int:
        """Return the number of slots open at `now`."""
        ...

    def wake_at(self, now: float) -> float | None:
        """Return when the width may grow without a further event, or None."""
        ...


class AdaptiveSemaphore:
    """A semaphore whose width changes. Urgent callers go first; the others come in order.

    Invariant: `in_use` counts every slot handed out, to a caller or to an abandoned request that
    the server is still working on. A slot handed to a waiter is counted when it is handed over,
    not when the waiter runs, so that no other caller can take it in between.

    Args:
        provider: Decides the number of slots.
        clock: Returns seconds, monotonic.

    Attributes:
        in_use: Number of slots handed out.
    """

    def __init__(self, provider: WidthProvider, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._clock = clock
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._urgent_waiters: deque[asyncio.Future[None]] = deque()
        self._abandoned: dict[asyncio.TimerHandle, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.in_use = 0

    @property
    def waiting(self) -> int:
        """Number of callers waiting for a slot."""
        return sum(not waiter.done() for waiter in chain(self._urgent_waiters, self._waiters))

    @property
    def abandoned(self) -> int:
        """Number of slots that abandoned requests still take."""
        return len(self._abandoned)

    def change_provider(self, provider: WidthProvider) -> None:
        """Take the number of slots from another provider from now on."""
        self._provider = provider

    def take_free(self, now: float, urgent: bool = False) -> bool:
        """Take a slot if one is free and nobody who comes first waits for it.

        Args:
            now: Clock time in seconds.
            urgent: True to come before all callers that are not urgent.

        Returns:
            False if the caller must wait: see `acquire`.
        """
        if self._urgent_waiters or (self._waiters and not urgent):
            return False
        if self.in_use >= self._provider.width(now):
            return False
        self.in_use += 1
        return True

    async def acquire(self, urgent: bool = False) -> None:
        """Wait for a slot and take it. A cancelled caller gives back a slot handed to it.

        Args:
            urgent: True to come before all callers that are not urgent.
        """
        if self.take_free(self._clock(), urgent):
            return
        waiters = self._urgent_waiters if urgent else self._waiters
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        self._hand_over()
        try:
            await waiter
        except BaseException:  # cancelled; or collected while it waits
            if waiter.done() and not waiter.cancelled():
                self.release()
            else:
                # `_hand_over` may have dropped the cancelled waiter already.
                with contextlib.suppress(ValueError):
                    waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Give a slot back."""
        self.in_use -= 1
        if self._waiters or self._urgent_waiters:
            self._hand_over()

    def admit_waiting(self) -> None:
        """Hand out the slots that a change of the width has opened."""
        self._hand_over()

    def hold(self, until: float, release: Callable[[], None]) -> None:
        """Keep the slot of an abandoned request taken until a clock time.

        Args:
            until: Time at which the server can be expected to have finished the request.
            release: Function to call at that time; must release the slot.
        """
        delay = until - self._clock()
        if delay <= 0:
            release()
            return

        def expire() -> None:
            del self._abandoned[handle]
            release()

        handle = asyncio.get_running_loop().call_later(delay, expire)
        self._abandoned[handle] = release

    def release_abandoned(self) -> None:
        """Release the slots of abandoned requests at once."""
        while self._abandoned:
            handle, release = self._abandoned.popitem()
            handle.cancel()
            release()

    def close(self) -> None:
        """Cancel the timers and release the slots of abandoned requests at once.

        No caller may be waiting any more.
        """
        self.release_abandoned()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self) -> None:
        waiters = self._urgent_waiters or self._waiters
        if not waiters:
            return
        now = self._clock()
        width = self._provider.width(now)
        while waiters and self.in_use < width:
            waiter = waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)
            waiters = waiters or self._waiters
        if waiters:
            self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        """Check again when the width may have grown without an event."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._provider.wake_at(now)
        if wake is not None:
            # Not sooner than a millisecond: a wake-up that is due but opens nothing would spin.
            delay = max(wake - now, 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._hand_over()

    def __repr__(self) -> str:
        return (
            f"<AdaptiveSemaphore: {self.in_use} in use, {self.abandoned} of them for abandoned "
            f"requests, {self.waiting} waiting>"
        )
