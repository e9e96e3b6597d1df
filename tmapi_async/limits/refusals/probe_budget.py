"""Number of refusals that learning the account's limit may cost."""

from __future__ import annotations

FIRST = 3.0
"""Refusals that may be spent before any request was answered."""

SHARE = 0.002
"""Refusals that may be spent for each answer."""

HORIZON = 100
"""The share is judged over at least this many requests for each slot of the limit first found."""

PROBE_ROUNDS = 8.5
"""Round trips at a width that was refused one slot further, before that slot is tried again."""

CLOSED_SHARE = 1 / 30
"""Share of the time that probes may keep the gate closed, where a refusal says `Retry-After`."""

MAX_DEBT = 3.0
"""Refusals overdrawn beyond this are forgiven: a wrong maximum must not stop learning for hours."""


class ProbeBudget:
    """Decides whether one more probe of the limit is affordable.

    Only a client that tries to exceed the old limit can notice a wider one, so each probe costs a
    refusal if the limit has *not* grown. Probes are as frequent as this budget allows: a wide gate
    can probe every few round trips, a narrow one must wait for more answers. The refusals allowed
    over the horizon may be spent within it, but not at its beginning: probes are spread evenly
    until the next refusal is granted, because a limit may change at any time, and the longest time
    without a probe is the time for which a change may go unnoticed.
    """

    __slots__ = ("_granted", "_horizon", "_probe_answers", "_probe_refusals")

    def __init__(self) -> None:
        self._granted = 0.0
        self._horizon = 0
        self._probe_refusals = 0
        self._probe_answers = 0

    def set_horizon(self, width: int, refusals: int) -> None:
        """Set the horizon from the width at which the limit was first met; later calls do nothing.

        Args:
            width: Number of slots.
            refusals: Number of refusals so far.
        """
        if not self._horizon:
            self._horizon = HORIZON * width
            self._probe_refusals = refusals

    def credit_fall(self, slots: int) -> None:
        """Excuse one refusal for each of the `slots` by which the limit itself fell."""
        self._granted += max(0, slots)

    def excuse(self, refusals: int) -> None:
        """Excuse refusals that the width did not cause."""
        self._granted += refusals
        self._probe_refusals += refusals

    def start_probe(self, answers: int, refusals: int) -> None:
        """Begin a probe: its cost is counted from these numbers of answers and refusals."""
        self._probe_answers = answers
        self._probe_refusals = refusals

    def remaining(self, answers: int, refusals: int) -> float:
        """Return the number of refusals that may still be spent; negative when overdrawn."""
        return FIRST + SHARE * max(answers, self._horizon) + self._granted - refusals

    def can_afford(self, answers: int, refusals: int, spare: int) -> bool:
        """Return True if the remaining refusals, without `spare`, pay for another probe.

        The next probe is assumed to cost as much as the last one.

        Args:
            answers: Number of replies so far that were not refusals.
            refusals: Number of refusals so far.
            spare: Number of refusals to keep for surprises.
        """
        remaining = self.remaining(answers, refusals)
        if remaining < -MAX_DEBT:
            self._granted -= MAX_DEBT + remaining
        return remaining - spare >= self._cost(refusals)

    def is_due(self, answers: int, refusals: int, spare: int) -> bool:
        """Return True if enough answers came since the last probe; arguments as `can_afford`.

        The probes that were affordable after the last one, and the first to be granted since,
        share the time until that one is granted.
        """
        cost, start = self._cost(refusals), self._probe_answers
        probes = 1 + max(0, (self.remaining(start, refusals) - spare) // cost)
        granted_at = self._answers_for(refusals + spare + probes * cost)
        return answers - start >= (granted_at - start) / probes

    def _cost(self, refusals: int) -> int:
        """Return the cost of the last probe, which is the expected cost of the next."""
        return max(1, refusals - self._probe_refusals)

    def _answers_for(self, refusals: float) -> float:
        """Return the number of answers that allow so many refusals, beyond the horizon."""
        return (refusals - FIRST - self._granted) / SHARE

    def __repr__(self) -> str:
        return f"<ProbeBudget: {self._granted:.0f} granted, horizon {self._horizon} requests>"


def rounds_between(retry_after: float, round_trip: float) -> int:
    """Return the round trips between two probes where each refusal closes the gate.

    Args:
        retry_after: Seconds for which a refusal closes the gate.
        round_trip: Seconds from an attempt to its answer.
    """
    return int(retry_after / CLOSED_SHARE / round_trip)
