"""Rate limiter whose rate can change."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

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
