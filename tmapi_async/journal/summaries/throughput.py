"""Recent pages per second of a harvest, and the time that is left. No I/O, no clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from .forecast import Remaining, time_left

_WINDOW = 30.0
_SAMPLES = 240


class Throughput:
    """Recent pages per second, and an estimate of the end. The caller passes the time in.

    Args:
        started_at: Time at which the work began.
    """

    def __init__(self, started_at: float) -> None:
        self._samples: deque[tuple[float, int]] = deque([(started_at, 0)], maxlen=_SAMPLES)
        self._ended: Counter[int] = Counter()

    def listing_ended(self, pages: int) -> None:
        """Count a listing that has ended, with its number of pages."""
        self._ended[pages] += 1

    def rate(self, now: float, pages: int) -> float:
        """Return the pages per second over the last half minute, or since the last call.

        Args:
            now: Current time in seconds.
            pages: Number of pages so far.
        """
        samples = self._samples
        # One sample from before the window stays: without it, a first call would show no speed.
        while len(samples) > 1 and now - samples[1][0] >= _WINDOW:
            samples.popleft()
        samples.append((now, pages))
        first_time, first_pages = samples[0]
        return (pages - first_pages) / (now - first_time) if now > first_time else 0.0

    def eta(
        self,
        rate: float,
        *,
        open_sizes: Iterable[int],
        waiting: int,
        expected: int | None,
    ) -> Remaining | None:
        """Return the estimated seconds until the end, or None if there is no estimate.

        Args:
            rate: Pages per second.
            open_sizes: Pages so far of each listing that has begun and has not ended.
            waiting: Number of listings that have not begun.
            expected: Pages that are left by the sizes of an earlier run, or None if unknown.
        """
        return time_left(
            rate, self._ended, open_sizes=open_sizes, waiting=waiting, expected=expected
        )
