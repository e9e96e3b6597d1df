"""Time without a refusal, after which a wider gate is tried whatever earlier probes have cost."""

from __future__ import annotations

QUIET_ROUNDS = 48
"""Round trips without a refusal after which a probe is due."""

QUIET_ROUNDS_MEDIUM = 32
"""The same for 8 to 15 slots, and for a width that was wider: one refusal for it is a small share
of the requests, or the lost slots may come back."""

MEDIUM_WIDTHS = range(8, 16)

QUIET_ROUNDS_NARROWED = 16
"""The same for a width of at most half of the widest that was held."""

NEARLY = 0.9
"""Share of the widest width from which on a width counts as wide as before."""

MAX_NARROWED_PROBES = 6
"""Probes refused in a row after which a narrowed width counts as the usual one."""


class QuietPeriod:
    """Decides when a probe is due because nothing was refused for long enough.

    The budget of the probes keeps refusals to a small share of the requests. What narrows a gate
    (others that use the account, an outage) can cost so many refusals that the budget repays them
    in hours, while the limit is free again. So a quiet period ends with a probe in any case. It is
    counted in answers, so that the probes stay a bounded share of the requests at any width.

    Attributes:
        widest: Widest width that was held for a round trip.
    """

    __slots__ = ("_answers_at_refusal", "_refused_probes", "widest")

    def __init__(self, width: int) -> None:
        self.widest = width
        self._answers_at_refusal = 0
        self._refused_probes = 0

    def held(self, width: int) -> None:
        """Record that a width was held for a round trip at least."""
        self.widest = max(self.widest, width)

    def refused(self, answers: int) -> None:
        """Record a refusal, after so many answers."""
        self._answers_at_refusal = answers

    def narrowed(self) -> None:
        """Record that the width was cut for another reason than a probe."""
        self._refused_probes = 0

    def limit_met(self, *, confirmed: bool) -> None:
        """Record that growth was refused; confirmed where it was refused before."""
        self._refused_probes = self._refused_probes + 1 if confirmed else 0

    def is_over(self, answers: int, width: int, uncertainty: float) -> bool:
        """Return True if a probe is due.

        Args:
            answers: Number of answers so far.
            width: Number of slots now.
            uncertainty: Number of refusals that a probe may cost beyond the first.
        """
        return answers - self._answers_at_refusal >= self._rounds(width, uncertainty) * width

    def _rounds(self, width: int, uncertainty: float) -> float:
        if 2 * width <= self.widest and self._refused_probes < MAX_NARROWED_PROBES:
            return QUIET_ROUNDS_NARROWED
        if width in MEDIUM_WIDTHS or width < NEARLY * self.widest:
            return QUIET_ROUNDS_MEDIUM
        return QUIET_ROUNDS + min(uncertainty, QUIET_ROUNDS / 4)

    def __repr__(self) -> str:
        return (
            f"<QuietPeriod: since {self._answers_at_refusal} answers, widest {self.widest}, "
            f"{self._refused_probes} probes refused in a row>"
        )
