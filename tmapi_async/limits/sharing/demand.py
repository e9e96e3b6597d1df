"""Number of slots that a process could use. No I/O."""

from __future__ import annotations

WINDOW = 0.05
"""Seconds for which a process keeps slots that it has used, at least.

A short window costs messages; a long one leaves slots idle where callers come and go
(`python -m benchmarks.service uneven`).
"""

WINDOW_ROUNDS = 0.5
"""The same in round trips."""

LINGER = 5.0
"""Seconds for which a process that sent something keeps one slot."""

MIN_PAUSE, MAX_PAUSE = 2.0, 30.0
"""Seconds until a process that fills its share asks for more again, after more was of no use."""


class DemandEstimate:
    """Estimates the demand from the slots that were in use in the recent past.

    A process of which attempts wait needs more. One that fills its share may need more: a walk
    starts no more requests than there are slots. It asks for half as many again; for a while no
    more if it did not use those, and not at all once it does not fill the share that it has.
    """

    __slots__ = (
        "_asked",
        "_asked_at",
        "_before",
        "_began",
        "_filled",
        "_most",
        "_pause",
        "_used_at",
    )

    def __init__(self) -> None:
        self._most = self._before = 0
        self._began = 0.0
        self._used_at = -LINGER
        self._asked = self._filled = 0
        self._asked_at = 0.0
        self._pause = MIN_PAUSE

    def update(self, now: float, used: int, waiting: int, slots: int, latency: float) -> int:
        """Return the number of slots that the process could use.

        Args:
            now: Clock time.
            used: Most slots that were in use since the last update.
            waiting: Attempts that wait for a slot.
            slots: Slots of its share.
            latency: Mean latency in seconds.
        """
        window = max(WINDOW, WINDOW_ROUNDS * latency)
        if not self._began <= now < self._began + window:
            self._began, self._before, self._most = now, self._most, 0
        self._most = max(self._most, used + waiting)
        if used or waiting:
            self._used_at = now
        if waiting:
            return used + waiting + slots
        self._ask(now, used, slots, window)
        lingering = now - self._used_at < LINGER
        return max(self._most, self._before, self._asked, int(lingering))

    def _ask(self, now: float, used: int, slots: int, window: float) -> None:
        """Ask for more if the share is full, and stop if more was of no use."""
        if self._asked and used > self._filled:
            self._asked, self._pause = 0, MIN_PAUSE
        elif max(self._most, self._before) < self._filled:
            self._asked = 0  # it does not even fill its share any more
        elif self._asked and slots > self._filled and now > self._asked_at + window:
            self._asked, self._asked_at = 0, now + self._pause
            self._pause = min(MAX_PAUSE, 2 * self._pause)
        if not self._asked and used >= slots > 0 and now >= self._asked_at:
            self._filled, self._asked_at = used, now
            self._asked = used + max(1, slots // 2)
