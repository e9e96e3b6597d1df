"""What others do, as controllers: measured beside ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmapi_async.limits.controller import ControllerStatistics


class Baseline:
    """A controller that does nothing by itself."""

    def sent(self, now: float, in_flight: int) -> None:
        """Nothing."""

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Nothing."""

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Nothing."""

    def abandoned(self, now: float, sent_at: float) -> None:
        """Nothing."""

    def wake_at(self, now: float) -> float | None:
        """Never."""
        del now
        return None

    def statistics(self) -> ControllerStatistics:
        """Baselines keep none."""
        raise NotImplementedError


class Semaphore(Baseline):
    """A fixed number in flight, whatever the server says."""

    def __init__(self, size: int) -> None:
        self._size = size

    def width(self, now: float) -> int:
        """The number."""
        del now
        return self._size


class FixedRate(Baseline):
    """So many requests a second, however many are in flight."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0
        self._in_flight = 0

    def width(self, now: float) -> int:
        """One more than in flight whenever the next is due."""
        return self._in_flight + (1 if now >= self._next - 1e-12 else 0)

    def sent(self, now: float, in_flight: int) -> None:
        """The next is due one gap later; what was missed is not caught up."""
        self._in_flight = in_flight
        self._next = max(self._next + self._gap, now)

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """One less in flight."""
        del now, sent_at
        self._in_flight = in_flight - 1

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """One less in flight."""
        del now, sent_at, retry_after
        self._in_flight = in_flight - 1

    def wake_at(self, now: float) -> float | None:
        """When the next is due."""
        return max(self._next, now + 1e-9)


class Additive(Baseline):
    """Additive increase, multiplicative decrease: one more a round trip, half on a refusal."""

    def __init__(self, start: float = 4.0) -> None:
        self._width = start
        self._cut_at = -1.0
        self._slow_start = True

    def width(self, now: float) -> int:
        """The width, rounded down."""
        del now
        return int(self._width)

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Widen by one a round trip, by one an answer before the first refusal."""
        del now, sent_at, in_flight
        self._width += 1.0 if self._slow_start else 1 / self._width

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Halve once a window."""
        del in_flight, retry_after
        self._slow_start = False
        if sent_at > self._cut_at:
            self._cut_at = now
            self._width = max(1.0, self._width / 2)


Make = Callable[[], Any]
"""Makes a controller."""
