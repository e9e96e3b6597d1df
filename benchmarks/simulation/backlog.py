"""Work for the simulated client: a number of pages at once, or in bursts."""

from __future__ import annotations

from collections.abc import Hashable


class PageBacklog:
    """A number of pages, in any order."""

    def __init__(self, count: int) -> None:
        self.left = count

    def take(self, width: int, now: float) -> Hashable | None:
        """Return the next page, or None."""
        del width, now
        if self.left == 0:
            return None
        self.left -= 1
        return True

    def answered(self, work: Hashable, now: float) -> None:
        """Ignore an answered page."""

    def again(self, work: Hashable, now: float) -> None:
        """Put back a page."""
        del work, now
        self.left += 1

    def next_at(self) -> float | None:
        """Return None: all work is available from the start."""
        return None


class BurstBacklog(PageBacklog):
    """Pages that come in bursts, with idle time between."""

    def __init__(self, bursts: list[tuple[float, int]]) -> None:
        super().__init__(0)
        self._bursts = sorted(bursts, reverse=True)

    def take(self, width: int, now: float) -> Hashable | None:
        """Return the next available page, or None."""
        while self._bursts and self._bursts[-1][0] <= now:
            self.left += self._bursts.pop()[1]
        return super().take(width, now)

    def next_at(self) -> float | None:
        """Return the time of the next burst, or None."""
        return self._bursts[-1][0] if self._bursts else None
