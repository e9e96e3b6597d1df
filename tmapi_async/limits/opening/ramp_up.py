"""Opens a closed gate again step by step, never all at once."""

from __future__ import annotations

STEPS = 16
"""A gate reopens in at most this many steps, spread over one round trip."""


class RampUp:
    """Decides how many slots are open while the gate is closed or reopens.

    The limit may have changed during a pause, and a full burst after it would meet the new limit
    with every slot at once. So the clock of the reopening starts at the first attempt sent after
    the pause, one slot is open until then, and the others follow over about one round trip.

    Attributes:
        active: True while the gate is closed or reopens. While False, no method needs to be called.
    """

    __slots__ = ("_base", "_closed_at", "_first_sent_at", "_opens_at", "_step", "active")

    def __init__(self) -> None:
        self.active = False
        self._closed_at = 0.0
        self._opens_at = 0.0
        self._first_sent_at: float | None = None
        self._base = 0
        self._step = 1.0

    def close(self, now: float, seconds: float) -> None:
        """Close the gate for `seconds`.

        While the gate is closed, later answers of the same burst count from the moment it closed:
        they may name a longer time, but they never add to it.
        """
        if not self.is_closed(now):
            self._closed_at = now
            self._opens_at = now
        self._opens_at = max(self._opens_at, self._closed_at + seconds)
        self.restart()

    def restart(self) -> None:
        """Open step by step from the next attempt on."""
        self.active = True
        self._first_sent_at = None

    def is_closed(self, now: float) -> bool:
        """Return True while the gate is closed; a clock set back before the closing opens it."""
        return self.active and self._closed_at <= now < self._opens_at

    def sent(self, now: float, in_flight: int, round_trip: float) -> None:
        """Record an attempt; the first one after a pause starts the clock."""
        if self._first_sent_at is None:
            self._first_sent_at = now
            self._base = in_flight
            self._step = round_trip / STEPS

    def width(self, now: float, target: int, running: int) -> int:
        """Return the number of open slots.

        Args:
            now: Clock time in seconds.
            target: Number of slots at the end of the reopening.
            running: Number of attempts in flight.
        """
        if self.is_closed(now):
            return 0
        if self._first_sent_at is None:
            return max(1, min(target, running + 1))
        step = int((now - self._first_sent_at) / self._step) + 1
        if step >= STEPS or step < 1 or self._base >= target:
            self.active = False
            return target
        return self._base + (target - self._base) * step // STEPS

    def wake_at(self, now: float) -> float:
        """Return when the next step is due."""
        if self.is_closed(now):
            return self._opens_at
        if self._first_sent_at is None:
            return now + self._step
        steps = int((now - self._first_sent_at) / self._step)
        due = self._first_sent_at + (steps + 1) * self._step
        # Rounding may put the step that is due at `now` itself: a timer set to it would spin.
        return due if due > now else now + self._step
