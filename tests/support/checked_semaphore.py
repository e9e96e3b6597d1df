"""Slots that watch themselves, with widths that are known beforehand."""

from __future__ import annotations

from tests.support.virtual_time import virtual_loop
from tmapi_async.limits.semaphore import AdaptiveSemaphore


class WidthPlan:
    """Widths over time, known beforehand: `(seconds from the start, width)`, the first at 0."""

    def __init__(self, *steps: tuple[float, int]) -> None:
        self.steps = [(1000.0 + at, width) for at, width in steps]
        self.calls = 0

    def width(self, now: float) -> int:
        """The width of the last step that has come."""
        self.calls += 1
        return [width for at, width in self.steps if at <= now][-1]

    def wake_at(self, now: float) -> float | None:
        """The next step, if there is one."""
        return next((at for at, _ in self.steps if at > now), None)


class CheckedSemaphore(AdaptiveSemaphore):
    """Slots that see to it, at every change, that no slot too many is handed out."""

    _count = 0

    @property
    def in_use(self) -> int:  # type: ignore[override]
        """Slots handed out."""
        return self._count

    @in_use.setter
    def in_use(self, value: int) -> None:
        assert value >= 0
        assert value <= self._count or value <= self._provider.width(self._clock())
        self._count = value


def make_semaphore(*steps: tuple[float, int]) -> CheckedSemaphore:
    """Slots of the running virtual loop with these widths."""
    return CheckedSemaphore(WidthPlan(*steps), virtual_loop().time)
