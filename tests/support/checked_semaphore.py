"""A semaphore that checks itself, with widths that are known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.virtual_time import virtual_loop
from tmapi_async.limits.semaphore import AdaptiveSemaphore

if TYPE_CHECKING:
    from collections.abc import Callable


class WidthPlan:
    """Known widths over time: `(seconds from the start, width)`, the first at 0."""

    def __init__(self, *steps: tuple[float, int]) -> None:
        self.steps = [(1000.0 + at, width) for at, width in steps]
        self.calls = 0

    def width(self, now: float) -> int:
        """Return the width of the last step that has come."""
        self.calls += 1
        return [width for at, width in self.steps if at <= now][-1]

    def wake_at(self, now: float) -> float | None:
        """Return the time of the next step, if there is one."""
        return next((at for at, _ in self.steps if at > now), None)


class CheckedSemaphore(AdaptiveSemaphore):
    """A semaphore that checks, at every change, that not too many slots are handed out."""

    def __init__(self, plan: WidthPlan, clock: Callable[[], float]) -> None:
        self._count = 0
        self._plan, self._now = plan, clock
        super().__init__(plan, clock)

    @property
    def in_use(self) -> int:  # type: ignore[override]
        """Number of slots handed out."""
        return self._count

    @in_use.setter
    def in_use(self, value: int) -> None:
        assert value >= 0
        assert value <= self._count or value <= self._plan.width(self._now())
        self._count = value


def make_semaphore(*steps: tuple[float, int]) -> CheckedSemaphore:
    """Return a semaphore of the running virtual loop with these widths."""
    return CheckedSemaphore(WidthPlan(*steps), virtual_loop().time)
