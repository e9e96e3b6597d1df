"""Work for the simulated client: a plain heap of pages, or pages that come in bursts."""

from __future__ import annotations

from collections.abc import Hashable


class Pages:
    """So many pages, in any order."""

    def __init__(self, count: int) -> None:
        self.left = count

    def take(self, width: int, now: float) -> Hashable | None:
        """The next page, or None."""
        del width, now
        if self.left == 0:
            return None
        self.left -= 1
        return True

    def answered(self, work: Hashable, now: float) -> None:
        """A page is done."""

    def again(self, work: Hashable, now: float) -> None:
        """A page must be asked again."""
        del work, now
        self.left += 1

    def next_at(self) -> float | None:
        """Everything is there from the start."""
        return None


class Bursts(Pages):
    """Pages that come in bursts with nothing to do between."""

    def __init__(self, bursts: list[tuple[float, int]]) -> None:
        super().__init__(0)
        self._bursts = sorted(bursts, reverse=True)

    def take(self, width: int, now: float) -> Hashable | None:
        """The next page that has come, or None."""
        while self._bursts and self._bursts[-1][0] <= now:
            self.left += self._bursts.pop()[1]
        return super().take(width, now)

    def next_at(self) -> float | None:
        """When the next burst comes."""
        return self._bursts[-1][0] if self._bursts else None
