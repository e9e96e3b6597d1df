"""Limit on the number of attempts in a second."""

from __future__ import annotations

from aiolimiter import AsyncLimiter

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

MIN_RATE = 1e-9
"""Attempts a second. A lower rate means never, and the limiter cannot calculate with it."""

MAX_RATE = 1e12
"""Attempts a second. A higher rate is no limit, and a whole number can be too large for a float."""


class RateLimiter:
    """Limit on the number of attempts in a second.

    The bucket is small and stores no burst, so attempts are spread evenly.

    Args:
        rate: Maximum number of attempts in a second.

    Raises:
        InvalidRequestError: `rate` is not a number above 0.
    """

    def __init__(self, rate: float) -> None:
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not number or not MIN_RATE <= rate <= MAX_RATE:
            raise InvalidRequestError(
                f"rate must be above 0 requests a second, not {show_value(rate)}"
            )
        self.rate = rate
        # AsyncLimiter lets a full bucket go at once: hold at most 50 ms worth, and at least one.
        size = max(1.0, rate / 20)
        self._limiter = AsyncLimiter(size, size / rate)

    async def wait(self) -> None:
        """Wait until the next attempt may start."""
        await self._limiter.acquire()
