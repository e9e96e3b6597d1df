"""Controllers of the usual hand-written clients, as baselines of the learning one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmapi_async.limits.controller import ControllerStatistics


class BaselineController:
    """A controller that ignores every event."""

    def sent(self, now: float, in_flight: int) -> None:
        """Ignore the event."""

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Ignore the event."""

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Ignore the event."""

    def abandoned(self, now: float, sent_at: float) -> None:
        """Ignore the event."""

    def wake_at(self, now: float) -> float | None:
        """Return None: the width never changes by itself."""
        del now
        return None

    def statistics(self) -> ControllerStatistics:
        """Raise NotImplementedError: baselines have no statistics."""
        raise NotImplementedError


class FixedWidthController(BaselineController):
    """A fixed number in flight, whatever the server answers."""

    def __init__(self, size: int) -> None:
        self._size = size

    def width(self, now: float) -> int:
        """Return the fixed number."""
        del now
        return self._size


class FixedRateController(BaselineController):
    """A fixed number of requests a second, however many are in flight."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0
        self._in_flight = 0

    def width(self, now: float) -> int:
        """Return one more than in flight if the next request is due."""
        return self._in_flight + (1 if now >= self._next - 1e-12 else 0)

    def sent(self, now: float, in_flight: int) -> None:
        """Schedule the next request one gap later. Missed requests are not made up for."""
        self._in_flight = in_flight
        self._next = max(self._next + self._gap, now)

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Count one request less in flight."""
        del now, sent_at
        self._in_flight = in_flight - 1

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Count one request less in flight."""
        del now, sent_at, retry_after
        self._in_flight = in_flight - 1

    def wake_at(self, now: float) -> float | None:
        """Return the time when the next request is due."""
        return max(self._next, now + 1e-9)


class AimdController(BaselineController):
    """Additive increase, multiplicative decrease: one more per round trip, half on a refusal."""

    def __init__(self, start: float = 4.0) -> None:
        self._width = start
        self._cut_at = -1.0
        self._slow_start = True

    def width(self, now: float) -> int:
        """Return the width, rounded down."""
        del now
        return int(self._width)

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Widen by one per answer until the first refusal, then by one per round trip."""
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
"""Function that returns a controller."""
