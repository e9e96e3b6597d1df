"""How many refusals learning may cost."""

from __future__ import annotations

FIRST = 3.0
"""Refusals that may be spent before any request was answered."""

SHARE = 0.002
"""Refusals that may be spent for each answer."""

HORIZON = 100
"""The share is judged over at least this many requests for each slot of the limit first found."""

DEBT = 3.0
"""Refusals overdrawn beyond this are forgiven: a wrong ceiling must not stop learning for hours."""


class ProbeBudget:
    """Decides whether one more probe of the limit is affordable.

    A wider limit shows itself only to a client that tries to exceed the old one, so noticing it
    costs a refusal each time the limit has *not* grown. Probes are as frequent as this allowance
    makes them: a wide gate can look every few round trips, a narrow one must wait for more
    answers. What is allowed over the horizon may be spent within it, but not at its beginning:
    probes are spread evenly until the next refusal is granted, because a limit may change at any
    time, and the longest time without a look is the time it may go unnoticed.
    """

    __slots__ = ("_granted", "_horizon", "_mark", "_probed_at")

    def __init__(self) -> None:
        self._granted = 0.0
        self._horizon = 0
        self._mark = 0
        self._probed_at = 0

    def found(self, width: int, refusals: int) -> None:
        """The limit was met for the first time, at `width`."""
        if not self._horizon:
            self._horizon = HORIZON * width
            self._mark = refusals

    def fell(self, slots: int) -> None:
        """The limit itself fell by `slots`: each of them excuses one refusal."""
        self._granted += max(0, slots)

    def excuse(self, refusals: int) -> None:
        """So many refusals were none of our doing."""
        self._granted += refusals
        self._mark += refusals

    def probed(self, answers: int, refusals: int) -> None:
        """A probe begins; what it costs is counted from here."""
        self._probed_at = answers
        self._mark = refusals

    def left(self, answers: int, refusals: int) -> float:
        """Refusals that may still be spent; negative when overdrawn."""
        return FIRST + SHARE * max(answers, self._horizon) + self._granted - refusals

    def affords(self, answers: int, refusals: int, spare: int) -> bool:
        """Whether another probe may be tried.

        Args:
            answers: Replies so far that were no refusals.
            refusals: Refusals so far.
            spare: Refusals to keep back for what is not foreseen.

        Returns:
            Whether what is left, without `spare`, pays for what the last probe cost.
        """
        left = self.left(answers, refusals)
        if left < -DEBT:
            self._granted -= DEBT + left
        return left - spare >= self._cost(refusals)

    def due(self, answers: int, refusals: int, spare: int) -> bool:
        """Whether it is the turn of the next probe; arguments as for `affords`.

        Those that were in hand after the last probe, and the first to be granted since, share the
        time until that one is granted.
        """
        cost, begun = self._cost(refusals), self._probed_at
        probes = 1 + max(0, (self.left(begun, refusals) - spare) // cost)
        granted_at = self._allowed_at(refusals + spare + probes * cost)
        return answers - begun >= (granted_at - begun) / probes

    def _cost(self, refusals: int) -> int:
        """What the last probe cost, and the next one may."""
        return max(1, refusals - self._mark)

    def _allowed_at(self, refusals: float) -> float:
        """After how many answers so many refusals are allowed; beyond the horizon."""
        return (refusals - FIRST - self._granted) / SHARE

    def __repr__(self) -> str:
        return f"<Allowance: {self._granted:.0f} granted, horizon {self._horizon} requests>"
