"""A closed gate, and how it opens again: step by step, never all at once."""

from __future__ import annotations

STEPS = 16
"""A gate reopens in at most this many steps, spread over one round trip."""


class RampUp:
    """When the gate is closed, and how wide it stands while it reopens.

    A full burst after a pause meets whatever the limit has become in the meantime with every slot
    at once. So the clock of the reopening starts at the first attempt sent after the pause, one
    slot is open until then, and the rest follow over about one round trip.

    Attributes:
        active: Whether the gate is closed or reopening. While False nothing here is asked.
    """

    __slots__ = ("_base", "_closed_at", "_first_sent", "_opens_at", "_step", "active")

    def __init__(self) -> None:
        self.active = False
        self._closed_at = 0.0
        self._opens_at = 0.0
        self._first_sent: float | None = None
        self._base = 0
        self._step = 1.0

    def close(self, now: float, seconds: float) -> None:
        """Close the gate for `seconds`.

        While it is closed, later answers of the same burst count from the moment it closed: they
        may name a longer time, but they never add to it.
        """
        if not self.closed(now):
            self._closed_at = now
            self._opens_at = now
        self._opens_at = max(self._opens_at, self._closed_at + seconds)
        self.pace()

    def pace(self) -> None:
        """Open step by step from the next attempt on."""
        self.active = True
        self._first_sent = None

    def closed(self, now: float) -> bool:
        """Whether the gate is closed; a clock that went back before the closing opens it."""
        return self.active and self._closed_at <= now < self._opens_at

    def sent(self, now: float, in_flight: int, round_trip: float) -> None:
        """An attempt was sent; the first one after a pause starts the clock."""
        if self._first_sent is None:
            self._first_sent = now
            self._base = in_flight
            self._step = round_trip / STEPS

    def width(self, now: float, target: int, running: int) -> int:
        """How many slots are open of the `target`, with `running` attempts in flight."""
        if self.closed(now):
            return 0
        if self._first_sent is None:
            return max(1, min(target, running + 1))
        step = int((now - self._first_sent) / self._step) + 1
        if step >= STEPS or step < 1 or self._base >= target:
            self.active = False
            return target
        return self._base + (target - self._base) * step // STEPS

    def wake_at(self, now: float) -> float:
        """When the next step is due."""
        if self.closed(now):
            return self._opens_at
        if self._first_sent is None:
            return now + self._step
        done = int((now - self._first_sent) / self._step)
        due = self._first_sent + (done + 1) * self._step
        # Rounding may put the step that is due at `now` itself: a timer set to it would spin.
        return due if due > now else now + self._step
