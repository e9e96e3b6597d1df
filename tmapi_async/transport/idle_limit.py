"""Age at which a kept connection is no longer used. Pure: the clock is passed in.

Proxies and firewalls forget idle connections without telling the client. The next request over such
a connection is lost, and so is an attempt of the budget. The age at which that happens is not
documented anywhere: it is learned from the first loss.
"""

from __future__ import annotations

import math

_FIRST_TRIAL = 60.0
_LONGEST_TRIAL = 3600.0
_SHORTEST = 0.01
"""Seconds. A busy pool's connections are idle for less: a loss there has another reason."""

_MARGIN = 0.5
"""A loss shows that the true limit is below the age; half of the age is probably below it."""


class IdleLimit:
    """Learns up to which idle time a connection can be used again.

    A loss counts only if the connection was idle for longer than any connection that has brought a
    reply since: otherwise the server hung up for another reason. A learned limit is lifted after
    some time, in case that it was wrong; each time it is learned again, it lasts longer.

    Attributes:
        is_learned: True once there was a loss or a `drop`. Before, `allows` need not be called.
        longest_good: Longest idle time, in seconds, after which a reply came.
    """

    __slots__ = ("_dropped_at", "_duration", "_lifted_at", "_limit", "is_learned", "longest_good")

    def __init__(self) -> None:
        self.is_learned = False
        self.longest_good = 0.0
        self._dropped_at = -math.inf
        self._limit = math.inf
        self._lifted_at = math.inf
        self._duration = _FIRST_TRIAL

    def allows(self, idle: float, now: float) -> bool:
        """Return True if a connection that was idle for so many seconds may be used."""
        if now >= self._lifted_at:
            self._limit = self._lifted_at = math.inf
        return idle < self._limit and now - idle > self._dropped_at

    def drop(self, now: float) -> None:
        """Allow no connection that is idle at this time, however short."""
        self._dropped_at = now
        self.is_learned = True

    def succeeded(self, idle: float) -> None:
        """Record a reply over a connection that was idle for so many seconds."""
        self.longest_good = max(self.longest_good, idle)

    def lost(self, idle: float, now: float) -> None:
        """Record a connection that ended without a reply after it was idle for so many seconds."""
        if idle > max(self.longest_good, _SHORTEST):
            self._limit = max(self.longest_good, idle * _MARGIN)
            self.is_learned = True
            self._lifted_at = now + self._duration
            self._duration = min(2 * self._duration, _LONGEST_TRIAL)
