"""Utilisation of the server by phase; a phase lasts as long as one limit."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Phase:
    """Time under one limit, in seconds.

    Attributes:
        start: Time when the limit came into force.
        limit: The server's limit.
        reached: First time with 90 % of the limit at work, or None.
        settled: Seconds with work left since `reached`.
        area: Requests at work, summed over `settled`.
        total: Seconds with work left, from the start of the phase.
        total_area: Requests at work, summed over `total`.
    """

    start: float
    limit: int
    reached: float | None = None
    settled: float = 0.0
    area: float = 0.0
    total: float = 0.0
    total_area: float = 0.0

    @property
    def utilisation(self) -> float:
        """Share of the limit at work since 90 % were reached, while work remained."""
        return self.area / (self.settled * self.limit) if self.settled else math.nan

    @property
    def overall(self) -> float:
        """Share of the limit at work since the phase began, while work remained."""
        return self.total_area / (self.total * self.limit) if self.total else math.nan

    @property
    def rise(self) -> float:
        """Seconds until 90 % of the limit were at work; infinite if never."""
        return math.inf if self.reached is None else self.reached - self.start


class UtilisationMeter:
    """Integrate the number of requests at work at the server."""

    def __init__(self, limit: int) -> None:
        self.running = 0
        self.phases: list[Phase] = []
        self._last = 0.0
        self._counting = True
        self._begin(0.0, limit)

    def _begin(self, now: float, limit: int) -> None:
        self.limit = limit
        self._needed = math.ceil(0.9 * limit)
        self._phase = Phase(now, limit)
        self.phases.append(self._phase)

    def _advance(self, now: float) -> None:
        if self._counting:
            phase, span = self._phase, now - self._last
            # After a fall of the limit more may still be at work than it allows.
            area = min(self.running, self.limit) * span
            phase.total += span
            phase.total_area += area
            if phase.reached is not None:
                phase.settled += span
                phase.area += area
        self._last = now

    def change(self, now: float, by: int) -> None:
        """Count a request that begins (1) or ends (-1) at the server."""
        self._advance(now)
        self.running += by
        phase = self._phase
        if phase.reached is None and self.running >= self._needed and by > 0:
            phase.reached = now

    def new_limit(self, now: float, limit: int) -> None:
        """Begin a phase with a new limit."""
        self._advance(now)
        self._begin(now, limit)

    def idle(self, now: float) -> None:
        """Stop measuring: no work is left for a free slot."""
        self._advance(now)
        self._counting = False

    def busy(self, now: float) -> None:
        """Resume measuring: there is work again."""
        if not self._counting:
            self._advance(now)
            self._counting = True

    def close(self, now: float) -> None:
        """End the run."""
        self._advance(now)
