"""Turns of holders at the slots that do not divide evenly. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping

TURN = 1.0
"""Seconds after which an odd slot goes to another holder."""


class Turns:
    """Order in which holders get odd slots: whoever had the fewest slots over time comes first.

    Without turns, two of three holders of five slots would have twice as many as the third, and
    three holders of two slots would leave one with none.
    """

    def __init__(self) -> None:
        self._served: dict[str, float] = {}  # slots times seconds
        self._order: list[str] = []
        self._counted_at = self._turned_at = math.inf

    def order(self, now: float, slots: Mapping[str, int], demand: Mapping[str, int]) -> list[str]:
        """Return the names of all holders, the one that comes first first.

        Args:
            now: Clock time.
            slots: Name of each holder to the slots that it has had since the last call.
            demand: Name of each holder to the slots that it could use.
        """
        self._count(now, slots, demand)
        if not self._turned_at <= now < self._turned_at + TURN or set(self._order) != set(slots):
            self._turned_at = now
            self._order = sorted(slots, key=lambda name: (self._served[name], -slots[name]))
        return self._order

    def _count(self, now: float, slots: Mapping[str, int], demand: Mapping[str, int]) -> None:
        elapsed, self._counted_at = max(0.0, now - self._counted_at), now
        # A holder that comes, or that wants nothing, gains no claim on the others.
        known = [self._served[name] for name in slots if name in self._served and demand[name]]
        least = min(known, default=0.0)
        self._served = {
            name: max(self._served.get(name, least), least)
            + (elapsed * slots[name] if demand[name] else 0.0)
            for name in slots
        }
