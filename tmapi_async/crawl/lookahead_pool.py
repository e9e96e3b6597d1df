"""Look-ahead of all walks of a client together: what one walk may guess depends on the others."""

from __future__ import annotations

import weakref
from typing import Protocol

_PROVEN_FOR_SHORT = 4
"""Proven length from which a listing may be guessed for, while other walks guess in vain."""

_MIN_IN_VAIN = 2
"""Wasted guesses of other walks before they say anything about the next listing."""


class GuessCounts:
    """Counts of one walk, kept after its end.

    Attributes:
        requested: Number of pages requested.
        wasted: Number of pages wasted.
        guesses: Number of guesses sent.
    """

    __slots__ = ("guesses", "requested", "wasted")

    def __init__(self) -> None:
        self.requested = self.wasted = self.guesses = 0

    def add(self, counts: GuessCounts) -> None:
        """Add the counts of another walk."""
        self.requested += counts.requested
        self.wasted += counts.wasted
        self.guesses += counts.guesses


class PoolMember(Protocol):
    """Look-ahead of one walk."""

    @property
    def counts(self) -> GuessCounts:
        """Counts of the walk."""
        ...

    @property
    def at_stake(self) -> int:
        """Number of pages in flight or held that may turn out to be wasted."""
        ...


class LookaheadPool:
    """Bounds the waste of all walks of a client as if they were one.

    Without it, each of many short walks may waste as much as a long one. While most guesses of the
    other walks were in vain, the listings are taken to be short: a listing must prove itself first.
    """

    def __init__(self) -> None:
        self._members: weakref.WeakSet[PoolMember] = weakref.WeakSet()
        self._ended = GuessCounts()

    def join(self, member: PoolMember) -> None:
        """Add a walk. Its counts stay when it is gone."""
        self._members.add(member)
        weakref.finalize(member, self._ended.add, member.counts).atexit = False

    def totals(self) -> tuple[GuessCounts, int]:
        """Return the counts of all walks so far, and the pages that may turn out to be wasted."""
        totals, at_stake = GuessCounts(), 0
        totals.add(self._ended)
        for member in self._members:
            totals.add(member.counts)
            at_stake += member.at_stake
        return totals, at_stake

    def least_proven(self, member: PoolMember) -> int:
        """Return the proven length that a listing of a walk needs before it is guessed for."""
        totals, at_stake = self.totals()
        wasted = totals.wasted - member.counts.wasted
        settled = totals.guesses - at_stake - (member.counts.guesses - member.at_stake)
        return _PROVEN_FOR_SHORT if wasted >= _MIN_IN_VAIN and 2 * wasted > settled else 0

    def __repr__(self) -> str:
        return f"<LookaheadPool: {len(self._members)} walks>"
