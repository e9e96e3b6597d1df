"""Opening of the gate of a new account: by the clock, until the first refusal."""

from __future__ import annotations

from tmapi_async.limits.latency import LatencyEstimate

CLIMB_END = 64
"""Width at which a climb ends. From there on a width must be answered before the next one."""

FASTEST = 16
"""A climb opens at most so many slots in a mean latency."""


class FirstClimb:
    """Decides when the gate of a new account opens its next slot.

    An answer takes long, a refusal does not: the server does not work on it. So a slot that was not
    refused soon counts as accepted, and the next one is opened without waiting for an answer. The
    first answer, which tells the latency, starts the climb. The first refusal ends it.

    A server may queue requests and refuse none. So from `FASTEST` slots on there are at most two
    slots for each answer so far.

    Args:
        width: Number of slots to start with.
        max_width: Maximum number of slots.

    Attributes:
        active: True until the climb has ended. While False, no method needs to be called.
    """

    __slots__ = ("_widened_at", "active")

    def __init__(self, width: int, max_width: int) -> None:
        self._widened_at: float | None = None
        self.active = width < min(max_width, CLIMB_END)

    def due_at(
        self, now: float, width: int, in_flight: int, answers: int, estimate: LatencyEstimate
    ) -> float | None:
        """Return when the next slot is due, or None while an answer or demand is missing.

        Args:
            now: Clock time in seconds.
            width: Number of slots.
            in_flight: Number of attempts in flight. A slot that has just become free may be
                missing, and an eighth of the slots, which are filled again in the same turn.
            answers: Number of answers so far.
            estimate: Latencies measured so far.
        """
        if not estimate.latency or in_flight < width - 1 - width // 8:
            return None
        if width >= max(FASTEST, 2 * answers):
            return None
        if self._widened_at is None or self._widened_at > now:  # the clock may be set back
            self._widened_at = now
        pause = max(estimate.latency / min(width, FASTEST), estimate.pause(width))
        return self._widened_at + pause

    def step(self, now: float, width: int, max_width: int) -> int:
        """Return the number of slots with the one that is due; the last step ends the climb.

        Args:
            now: Clock time in seconds.
            width: Number of slots until now.
            max_width: Maximum number of slots, which may have changed.
        """
        self._widened_at = now
        end = min(max_width, CLIMB_END)
        self.active = width + 1 < end
        return min(width + 1, max(width, end))
