"""What the gate asks of a controller, and what a controller tells about itself."""

from __future__ import annotations

from typing import Protocol

import msgspec

from .history import HistoryPoint


class ControllerStatistics(msgspec.Struct, frozen=True):
    """A snapshot of a controller.

    Attributes:
        width: Slots it would open with no pause in force.
        ceiling: Widest it may ever open, or None.
        state: `"growing"`, `"holding"` or `"reopening"` (closed, or opening step by step).
        limit: The account's limit as far as it was learned: one below the last refused level;
            None while nothing was refused.
        latency: Mean latency in seconds, recent answers counting most; 0.0 before the first.
        answered: Replies that were no refusals.
        refused: Replies that said 503 or 429.
        abandoned: Attempts that ended without a reply.
        cuts: Times the width was cut.
        probes: Times a wider gate was tried.
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
    """What the gate asks of a controller. Times are seconds of a monotonic clock.

    `in_flight` counts the attempts the server is working on as far as we know: those on the wire
    and the ghosts, not those that still wait for pace or budget.
    """

    def width(self, now: float) -> int:
        """Slots open at `now`; 0 while the gate is closed."""
        ...

    def sent(self, now: float, in_flight: int) -> None:
        """An attempt goes on the wire; `in_flight` includes it."""
        ...

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """A reply came that is no refusal; `in_flight` still includes it."""
        ...

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """A 503 or 429 came; `in_flight` still includes it."""
        ...

    def abandoned(self, now: float, sent_at: float) -> None:
        """An attempt ended without a reply: time-out, cut connection, cancellation."""
        ...

    def wake_at(self, now: float) -> float | None:
        """When the width may grow with no further event; None if never."""
        ...

    def statistics(self) -> ControllerStatistics:
        """A snapshot."""
        ...
