"""Slots that watch themselves, with widths that are known beforehand."""

from __future__ import annotations

from tests.support.virtual_time import virtual_loop
from tmapi_async.limits.semaphore import AdaptiveSemaphore


class Plan:
    """Widths over time, known beforehand: `(seconds from the start, width)`, the first at 0."""

    def __init__(self, *steps: tuple[float, int]) -> None:
        self.steps = [(1000.0 + at, width) for at, width in steps]
        self.asked = 0

    def width(self, now: float) -> int:
        """The width of the last step that has come."""
        self.asked += 1
        return [width for at, width in self.steps if at <= now][-1]

    def wake_at(self, now: float) -> float | None:
        """The next step, if there is one."""
        return next((at for at, _ in self.steps if at > now), None)


class Watched(AdaptiveSemaphore):
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


def slots_of(*steps: tuple[float, int]) -> Watched:
    """Slots of the running virtual loop with these widths."""
    return Watched(Plan(*steps), virtual_loop().time)
