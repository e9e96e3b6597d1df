"""An event loop whose clock stands still while tasks run, then jumps to the next timer.

A test can wait for an hour without taking any time, and the measured times are exact.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class StuckError(Exception):
    """All tasks wait and no timer is set: on a real loop this would last for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never waits: with nothing to run it moves its clock to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        """Return the seconds of the virtual clock."""
        return self.now

    @property
    def timers(self) -> int:
        """Number of timers that are set and not cancelled."""
        return sum(not handle.cancelled() for handle in self._scheduled)  # type: ignore[attr-defined]

    @property
    def busy(self) -> bool:
        """True if a callback is ready to run now."""
        return bool(self._ready)  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        if not self._ready and not self._stopping:  # type: ignore[attr-defined]
            due = [h.when() for h in self._scheduled if not h.cancelled()]  # type: ignore[attr-defined]
            if not due:
                raise StuckError
            # A timer that is due and sets itself again, for what rounding left over, must get on.
            self.now = min(due) if min(due) > self.now else self.now + 1e-6
        super()._run_once()  # type: ignore[misc]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual_loop() -> VirtualLoop:
    """Return the loop that runs the calling coroutine."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


async def settle(turns: int = 3) -> None:
    """Let every ready task run, without moving the clock."""
    for _ in range(turns):
        await asyncio.sleep(0)
