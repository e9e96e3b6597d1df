"""Adaptive limit whose maximum changes while it is in use."""

from __future__ import annotations

from .adaptive import AdaptiveLimit
from .refusals.probe_budget import PROBE_ROUNDS


class BoundedLimit(AdaptiveLimit):
    """Adaptive limit under a maximum that rises and falls, as other processes join and leave."""

    __slots__ = ()

    def set_max_width(self, maximum: int) -> None:
        """Narrow to a lower maximum, or grow where only the old one has stopped the growth."""
        stopped = self.width == self.max_width < self._refused_level
        raised = maximum > self.max_width
        free = self._target == self.max_width  # growing as far as it may
        self.max_width = maximum
        if self.width > maximum:
            self._set_width(maximum)
            self._return_width = 0
            self._reference_width = min(self._reference_width, maximum)
            self._hold(PROBE_ROUNDS)
        elif self.growing:
            self._target = maximum if free else min(self._target, maximum)
        elif raised and stopped:
            self._grow(maximum, 1)
