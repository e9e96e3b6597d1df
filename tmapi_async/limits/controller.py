"""Interface between the gate and the controller that decides its width."""

from __future__ import annotations

from typing import Protocol

import msgspec

from .history import HistoryPoint


class ControllerStatistics(msgspec.Struct, frozen=True):
    """Snapshot of a controller.

    Attributes:
        width: Slots open while no pause is in force.
        ceiling: Maximum number of slots, or None.
        state: `"growing"`, `"holding"` or `"reopening"` (closed, or opening step by step).
        limit: The account's limit as far as it was learned: one below the last refused level;
            None while nothing was refused.
        latency: Mean latency in seconds, recent answers counting most; 0.0 before the first.
        answered: Number of replies that were not refusals.
        refused: Number of replies with 503 or 429.
        abandoned: Number of attempts that ended without a reply.
        cuts: Number of times the width was cut.
        probes: Number of times a wider gate was tried.
        history: Changes of the width, oldest first, at most a few hundred.
    """

    width: int
    ceiling: int | None
    state: str
    limit: int | None
    latency: float
    answered: int
    refused: int
    abandoned: int
    cuts: int
    probes: int
    history: tuple[HistoryPoint, ...]


class Controller(Protocol):
    """Decides how many slots of the gate are open. Times are seconds of a monotonic clock.

    `in_flight` counts the attempts that the server is working on as far as we know: those on the
    wire and the abandoned ones, but not those that still wait for the rate limiter or the budget.
    """

    def width(self, now: float) -> int:
        """Return the number of slots open at `now`; 0 while the gate is closed."""
        ...

    def sent(self, now: float, in_flight: int) -> None:
        """Record that an attempt goes on the wire; `in_flight` includes it."""
        ...

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Record a reply that is not a refusal; `in_flight` still includes the attempt."""
        ...

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Record a 503 or 429; `in_flight` still includes the attempt."""
        ...

    def abandoned(self, now: float, sent_at: float) -> None:
        """Record an attempt without a reply: time-out, cut connection, cancellation."""
        ...

    def wake_at(self, now: float) -> float | None:
        """Return when the width may grow without a further event; None if never."""
        ...

    def statistics(self) -> ControllerStatistics:
        """Return a snapshot of the controller."""
        ...
