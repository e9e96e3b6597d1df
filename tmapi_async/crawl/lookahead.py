"""Look-ahead: requests for pages that are not known to exist. Pure and bounded.

A *guess* is one such request. Guesses use only slots that would otherwise idle. The number of
wasted pages is bounded by an allowance, a share of the pages requested. Every guess in flight
counts against the allowance as if it were wasted, so that no sequence of replies can exceed the
allowance. Two rules keep the allowance for the listings that need it, the long ones that would run
alone at the end:

* A listing may use a part of the rest that is proportional to its proven length among the listings
  whose end is unknown. Its wasted guesses count against that part. Without this rule, hundreds of
  middling listings spent everything on finding their ends, and a giant was walked page by page.
  During the first half of the allowance each listing may have one guess more than its part, until
  one is wasted: when the listings of one or two pages have ended, slots idle and little is proven.
* The number of guesses in flight for a listing grows with the logarithm of its proven length only:
  one far guess that hits makes more pages certain than a row of near ones, at the price of one
  wasted page.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING

from .page_tracker import FAR

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from .page_tracker import PageTracker

_CAUTION = 2  # with this much of the allowance left, guesses lie half as far as they could

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
        at_stake: Number of pages in flight or held back that may turn out to be wasted.
    """

    __slots__ = ("at_stake", "guesses", "requested", "wasted")

    def __init__(self) -> None:
        self.requested = self.wasted = self.guesses = self.at_stake = 0

    def add(self, counts: GuessCounts) -> None:
        """Add the counts of another walk."""
        self.requested += counts.requested
        self.wasted += counts.wasted
        self.guesses += counts.guesses
        self.at_stake += counts.at_stake


class LookaheadPool:
    """Bounds the waste of all walks of a client as if they were one.

    Without it, each of many short walks may waste as much as a long one. While most guesses of the
    other walks were in vain, the listings are taken to be short: a listing must prove itself first.
    """

    def __init__(self) -> None:
        self._walks: list[GuessCounts] = []
        self._ended = GuessCounts()

    def join(self, walk: object, counts: GuessCounts) -> None:
        """Add a walk and its counts, which stay when it is gone."""
        self._walks = [*self._walks, counts]
        weakref.finalize(walk, self._leave, counts).atexit = False

    def _leave(self, counts: GuessCounts) -> None:
        # Called at any time, also while `totals` reads the list: make a new one.
        self._walks = [other for other in self._walks if other is not counts]
        counts.at_stake = 0
        self._ended.add(counts)

    def totals(self, counts: GuessCounts) -> GuessCounts:
        """Return the counts of all walks so far, given those of one of them."""
        if len(self._walks) == 1 and not self._ended.requested:
            return counts
        totals = GuessCounts()
        for walk in (self._ended, *self._walks):
            totals.add(walk)
        return totals

    def least_proven(self, counts: GuessCounts) -> int:
        """Return the proven length that a listing of a walk needs before it is guessed for."""
        totals = self.totals(counts)
        wasted = totals.wasted - counts.wasted
        if wasted < _MIN_IN_VAIN:
            return 0
        settled = totals.guesses - totals.at_stake - (counts.guesses - counts.at_stake)
        return _PROVEN_FOR_SHORT if 2 * wasted > settled else 0

    def __repr__(self) -> str:
        return f"<LookaheadPool: {len(self._walks)} walks>"


class LookaheadWindow:
    """Shares guesses among the listings whose end is unknown.

    Args:
        window: None for guesses within the allowance; 0 for none at all; N for the N pages after
            the last one known of each listing, regardless of the allowance.
        max_waste: Share of the requested pages that may be wasted. Unless it is 0, the allowance
            is at least half the gate's width.
        pool: Look-ahead of all walks of the client; None for a walk alone.

    Raises:
        ValueError: `window` is negative, or `max_waste` is not between 0 and 1.

    Attributes:
        counts: Counts of the walk.
        guesses_in_flight: Number of guesses in flight.
    """

    def __init__(
        self, window: int | None, max_waste: float, pool: LookaheadPool | None = None
    ) -> None:
        if window is not None and window < 0:
            raise ValueError(f"lookahead must be None, 0 or a number of pages, not {window}")
        if not 0 <= max_waste <= 1:
            raise ValueError(f"max_waste is a share between 0 and 1, not {max_waste}")
        self._window = window
        self._max_waste = max_waste
        self.counts = GuessCounts()
        self.guesses_in_flight = 0
        self._pool = pool or LookaheadPool()
        self._pool.join(self, self.counts)
        self._total_weight = 0  # sum of the proven lengths of all listings whose end is unknown
        # Listings that may have a page to guess, in turn. A dict, to remove one from the middle.
        self._candidates: OrderedDict[PageTracker, None] = OrderedDict()

    @property
    def candidates(self) -> AbstractSet[PageTracker]:
        """Listings that may have a page to guess."""
        return self._candidates.keys()

    def allowance(self, requested: int, width: int) -> float:
        """Return how many pages may be wasted once `requested` pages have been sent."""
        return max(self._max_waste * requested, width / 2) if self._max_waste else 0

    def permits(self, width: int) -> bool:
        """Return True if one more guess may be in flight."""
        if self._window is not None:
            return self._window > 0
        counts = self.counts
        if counts.wasted + counts.at_stake + 1 > self.allowance(counts.requested, width):
            return False
        totals = self._pool.totals(counts)
        return totals.wasted + totals.at_stake + 1 <= self.allowance(totals.requested, width)

    def note(self, tracker: PageTracker) -> None:
        """Update the totals after a change in a listing."""
        if tracker.guesses_in_flight != tracker.counted_guesses:
            change = tracker.guesses_in_flight - tracker.counted_guesses
            self.guesses_in_flight += change
            self.counts.at_stake += change
            tracker.counted_guesses = tracker.guesses_in_flight
        if tracker.held != tracker.counted_held:
            self.counts.at_stake += tracker.held - tracker.counted_held
            tracker.counted_held = tracker.held
        weight = tracker.proven if tracker.end_unknown else 0
        if weight != tracker.weight:
            self._total_weight += weight - tracker.weight
            tracker.weight = weight
        if tracker.is_candidate is not tracker.end_unknown:
            tracker.is_candidate = tracker.end_unknown
            if tracker.end_unknown:
                self._candidates[tracker] = None
            else:
                del self._candidates[tracker]

    def note_growth(self, tracker: PageTracker) -> None:
        """Update the totals after `go_on`: the listing has grown, and its end is unknown."""
        if tracker.is_candidate:
            self._total_weight += tracker.proven - tracker.weight
            tracker.weight = tracker.proven
        else:
            self.note(tracker)

    def choose(self, width: int, reach: int) -> tuple[PageTracker, int] | None:
        """Return the listing and the page to guess next, or None.

        Args:
            width: Number of slots that the gate has now.
            reach: Maximum distance of a page past the first unsettled one of its listing.
        """
        if not self._candidates or not self.permits(width):
            return None
        allowed = self.allowance(self.counts.requested, width)
        remaining = allowed - self.counts.wasted
        while self._candidates:
            tracker, _ = self._candidates.popitem(last=False)
            number = self._guess(tracker, remaining, allowed, reach)
            if number:
                self._candidates[tracker] = None
                return tracker, number
            # Nothing changes for this listing before its next reply, which adds it again.
            tracker.is_candidate = False
        return None

    def _guess(self, tracker: PageTracker, remaining: float, allowed: float, reach: int) -> int:
        if self._window is not None:
            return nearest_guess(tracker, self._window, reach)
        if tracker.proven < self._pool.least_proven(self.counts):
            return 0
        at_stake = tracker.guesses_in_flight + tracker.held
        if at_stake > tracker.weight.bit_length():
            return 0
        share = (remaining + tracker.wasted_guesses) * tracker.weight / self._total_weight
        if tracker.wasted_guesses + at_stake + 1 > share:
            plenty = remaining - self.counts.at_stake - 1 >= allowed / 2
            if tracker.wasted_guesses or at_stake or not plenty:
                return 0
        return next_guess(tracker, remaining / (remaining + _CAUTION), reach)


def nearest_guess(tracker: PageTracker, window: int, reach: int) -> int:
    """Return the first new page after the last one known, or 0 if there is none.

    Args:
        tracker: The listing.
        window: Maximum distance of the page past the last one known.
        reach: Maximum distance of the page past `next_open`.
    """
    number = tracker.first_past_goal()
    return number if number <= tracker.goal + window and number < tracker.guess_limit(reach) else 0


def next_guess(tracker: PageTracker, span_factor: float, reach: int) -> int:
    """Return the page to guess next, or 0 if there is none.

    The first choice lies as far ahead as the listing has proven itself: if that page exists,
    everything below it becomes certain at the price of one guess. If a guess is in flight
    there, the next choices lie half as far, a quarter, and so on, so that a wasted guess
    leaves little to search. The nearest page is the last choice. If a page past the end is
    known, the guess goes at most half-way to it.

    Distances past `goal` are grouped in octaves: octave N holds the distances above 2**(N-1),
    up to 2**N. A new guess goes to an octave without a guess in flight, if one is in reach.

    Args:
        tracker: The listing.
        span_factor: Above 0, at most 1; shortens the distance when little is left to waste.
        reach: Maximum distance of the page past `next_open`.
    """
    base, limit, span = tracker.goal, tracker.guess_limit(reach), tracker.proven
    if tracker.nearest_miss < FAR:
        span = min(span, (limit - base) // 2)
    span = min(max(1, ceil(span * span_factor)), limit - 1 - base)
    if span < 1:
        return 0
    octaves_in_flight = 0  # bit N: a guess is in flight in octave N
    for number, is_guess in tracker.in_flight.items():
        if is_guess and number > base:
            octaves_in_flight |= 1 << (number - base - 1).bit_length()
    for octave in range((span - 1).bit_length(), -1, -1):
        number = base + min(span, 1 << octave)
        if not octaves_in_flight >> octave & 1 and tracker.is_new(number):
            return number
    return nearest_guess(tracker, span, reach)
