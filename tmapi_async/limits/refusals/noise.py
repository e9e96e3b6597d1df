"""Refusals that do not depend on the width, and the test whether that is so."""

from __future__ import annotations

MIN_TOLERANCE = 16
"""Refusals between two probes that are treated as noise before the gate tests again whether they
depend on the width."""

TOLERANCE_GROWTH = 4
"""Each such test that finds noise again makes the next one so many times rarer."""


class NoiseTolerance:
    """Decides whether a refusal is treated as noise.

    Attributes:
        active: True while single refusals are treated as noise.
    """

    __slots__ = ("_limit", "_tolerated", "active")

    def __init__(self) -> None:
        self.active = False
        self._tolerated = 0
        self._limit = MIN_TOLERANCE

    def start(self) -> None:
        """Treat single refusals as noise from now on."""
        self.active = True

    def probe_started(self, *, quiet: bool) -> None:
        """Record a probe: without a refusal since the last one, there is no noise any more."""
        self._tolerated = 0
        if quiet:
            self.active = False
            self._limit = MIN_TOLERANCE

    def tolerates(self) -> bool:
        """Return True if one more refusal is treated as noise.

        After many of them the answer is False once: the refusals that follow show whether they
        depend on the width. A gate that is one slot too wide would be refused for ever.
        """
        if not self.active:
            return False
        self._tolerated += 1
        if self._tolerated > self._limit:
            self.active = False
            self._tolerated = 0
            self._limit *= TOLERANCE_GROWTH
        return self.active

    def __repr__(self) -> str:
        state = "active" if self.active else "not active"
        return f"<NoiseTolerance: {state}, {self._tolerated} of {self._limit} refusals>"
