"""Measured latencies of answers and refusals, and their consequences for the width."""

from __future__ import annotations

import math

UNKNOWN_ROUND_TRIP = 0.5
"""Assumed before the first answer, in seconds."""

REFUSAL_SHARE = 1 / 32
"""Share of the latency that a refusal is assumed to need before the first refusal was measured."""

MAX_REFUSAL_SHARE = 1 / 8
"""Longest wait for a refusal, as a share of the latency: soon after, an answer says as much."""

UNTRIED_SHARE = 1 / 16
"""Share of the width that may be added while a refusal would be on its way; one slot at least."""

OVERLOAD_FACTOR = 3.0
"""A server that answers this many times slower than at its best gets no more requests at once."""

FORGET_FACTOR = 1.005
"""The best latency grows by this factor each round trip while it stops the gate from widening."""

EARLY_FACTOR = 1.25
"""The first answers of a widening gate are the quick ones: the mean of all is this much higher."""

MIN_ANSWERS = 64
"""Number of answers before the mean latency is trusted."""

MEMORY = 32
LATENCY_GAIN = 1 / MEMORY
REFUSAL_GAIN = 1 / 4


class LatencyEstimate:
    """Means of the measured latencies, in seconds.

    Attributes:
        latency: Mean of answers, 0.0 before the first.
        refusal_latency: Mean of refusals, on which the server does not work; 0.0 before the first.
        hearing_delay: Time until a refusal of another process is heard; 0.0 without others.
    """

    __slots__ = ("_best", "hearing_delay", "latency", "refusal_latency")

    def __init__(self) -> None:
        self.latency = self.refusal_latency = self.hearing_delay = 0.0
        self._best = math.inf  # the lowest mean latency, slowly forgotten

    @property
    def round_trip(self) -> float:
        """Seconds from an attempt to its answer, as far as known."""
        return self.latency or UNKNOWN_ROUND_TRIP

    def answered(self, seconds: float, answers: int) -> None:
        """Add the latency of an answer.

        Args:
            seconds: Latency of the answer.
            answers: Number of answers so far, this one included.
        """
        self.latency += (seconds - self.latency) * (
            LATENCY_GAIN if answers > MEMORY else 1 / answers
        )

    def refused(self, seconds: float) -> None:
        """Add the latency of a refusal."""
        if not self.refusal_latency:
            self._best = (
                math.inf
            )  # a server that refuses does not queue: the early best is not needed
        self.refusal_latency += (seconds - self.refusal_latency) * (
            REFUSAL_GAIN if self.refusal_latency else 1.0
        )

    def uncertainty(self, width: int) -> float:
        """Return the number of slots by which the level of a refusal may mislead.

        The server counts the requests that it has. We also count those on the way to and from it.
        """
        return 2 * width * self.refusal_latency / self.round_trip

    def pause(self, width: int) -> float:
        """Return the seconds between two added slots: enough to hear a refusal of the first."""
        refusal_latency = (
            min(self.refusal_latency, self.latency * MAX_REFUSAL_SHARE)
            or self.latency * REFUSAL_SHARE
        )
        return (refusal_latency + self.hearing_delay) / max(1.0, width * UNTRIED_SHARE)

    def overloaded(self, answers: int) -> bool:
        """Return True if the server accepts all requests but gets slower, so more do not help."""
        if answers < MIN_ANSWERS:
            return False
        self._best = min(self._best * FORGET_FACTOR, self.latency)
        return self.latency > OVERLOAD_FACTOR * self._best

    def note_early_best(self, answers: int) -> None:
        """Take the mean of the first answers as the best, before a queue can grow at the server.

        This estimate is rough: the first refusal, which shows that there is no queue, ends its use.

        Args:
            answers: Number of answers so far.
        """
        if self._best == math.inf and answers >= MEMORY:
            self._best = self.latency * EARLY_FACTOR

    def __repr__(self) -> str:
        return (
            f"<LatencyEstimate: answers take {self.latency:.3g} s, "
            f"refusals {self.refusal_latency:.3g} s>"
        )
