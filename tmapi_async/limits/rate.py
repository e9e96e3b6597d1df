"""How many attempts may be sent in a second."""

from __future__ import annotations

from aiolimiter import AsyncLimiter

from tmapi_async.errors import InvalidRequestError

SLOWEST = 1e-9
"""Attempts a second; slower is never, and cannot be reckoned with."""


class RateLimiter:
    """At most `rate` attempts a second, evenly: a small bucket that stores no burst."""

    def __init__(self, rate: float) -> None:
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not number or not SLOWEST <= rate < float("inf"):
            raise InvalidRequestError(f"rate must be above 0 requests a second, not {rate!r}")
        self.rate = rate
        # AsyncLimiter lets a full bucket go at once: hold at most 50 ms worth, and at least one.
        size = max(1.0, rate / 20)
        self._limiter = AsyncLimiter(size, size / rate)

    async def wait(self) -> None:
        """Wait until the next attempt may start."""
        await self._limiter.acquire()
