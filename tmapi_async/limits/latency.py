"""How long answers and refusals take, and what follows from that for the width."""

from __future__ import annotations

import math

UNKNOWN_ROUND_TRIP = 0.5
"""Assumed before the first answer, in seconds."""

QUICK = 1 / 32
"""Share of the latency that a refusal is taken to need, before the first came."""

SLOW = 1 / 8
"""Share of the latency that a refusal is waited for at most: an answer says as much soon after."""

UNHEARD = 1 / 16
"""Share of the width that may be added while a refusal would be on its way; one slot at least."""

CROWDED = 3.0
"""A server that answers this many times slower than at its best is not asked for more at once."""

FORGET = 1.005
"""The best latency seen is forgotten by this factor a round trip while it keeps the gate."""

SEASONED = 64
"""Answers before the mean latency is taken for the server's."""

MEMORY = 32
LATENCY_GAIN = 1 / MEMORY
TRIP_GAIN = 1 / 4


class LatencyEstimate:
    """Means of what was measured, in seconds.

    Attributes:
        latency: Of answers, 0.0 before the first.
        trip: Of refusals, on which the server does not work; 0.0 before the first.
    """

    __slots__ = ("_best", "latency", "trip")

    def __init__(self) -> None:
        self.latency = self.trip = 0.0
        self._best = math.inf  # the lowest mean latency, slowly forgotten

    @property
    def round_trip(self) -> float:
        """Seconds from an attempt to its answer, as far as known."""
        return self.latency or UNKNOWN_ROUND_TRIP

    def answered(self, seconds: float, answers: int) -> None:
        """An answer took so long; it was the `answers`-th."""
        self.latency += (seconds - self.latency) * (
            LATENCY_GAIN if answers > MEMORY else 1 / answers
        )

    def refused(self, seconds: float) -> None:
        """A refusal took so long."""
        self.trip += (seconds - self.trip) * (TRIP_GAIN if self.trip else 1.0)

    def blur(self, width: int) -> float:
        """Slots by which the level of a refusal may mislead.

        The server counts what is with it, we count also what is on the way to and from it.
        """
        return 2 * width * self.trip / self.round_trip

    def pause(self, width: int) -> float:
        """Seconds between one slot more and the next, so that a refusal of the first is heard."""
        trip = min(self.trip, self.latency * SLOW) or self.latency * QUICK
        return trip / max(1.0, width * UNHEARD)

    def crowded(self, answers: int) -> bool:
        """Whether the server takes all it is given, but gets slower: then more is of no use."""
        if answers < SEASONED:
            return False
        self._best = min(self._best * FORGET, self.latency)
        return self.latency > CROWDED * self._best

    def __repr__(self) -> str:
        return f"<Timing: answers take {self.latency:.3g} s, refusals {self.trip:.3g} s>"
