"""Speculation: which page to try although it is not known to exist. Pure and bounded.

Only slots that would otherwise idle come here. What may be wasted in all is an allowance, a share
of the pages asked for; every guess in flight counts against it as if it were wasted, so that the
allowance holds whatever the answers. Two rules keep it for the listings that need it, which are the
long ones that would run alone at the end:

* A listing may use a part of what is left that is proportional to its proven length among those
  whose end is unknown, and what it has wasted counts against that part. Without this, hundreds of
  middling listings spent everything on finding their ends, and a giant was walked page by page.
  Only of the first half of the allowance each listing may have one guess more than its part, until
  it misses: when the listings of one or two pages have ended, slots idle and little is proven.
* The number of its guesses in flight grows with the logarithm of its proven length only: one far
  guess that hits makes more pages certain than a row of near ones, at the price of one miss.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .page_tracker import PageTracker

_CAUTION = 2  # with so much left to waste, leaps are half as long as they could be


class LookaheadWindow:
    """Shares guesses among the walks whose end is unknown.

    Args:
        window: None for guesses within the allowance; 0 for none at all; N for the N pages after
            the last one known of each walk, without regard to the allowance.
        max_waste: Share of the pages asked for that may be wasted; if any, then at least half the
            gate's width in all.

    Attributes:
        speculative: Guesses in flight.
    """

    def __init__(self, window: int | None, max_waste: float) -> None:
        self._window = window
        self._max_waste = max_waste
        self.speculative = 0
        self._total = 0  # of the proven lengths of all walks whose end is unknown
        # Walks that may have something to guess, in turn; ordered, so that one can be taken out.
        self._line: OrderedDict[PageTracker, None] = OrderedDict()

    def allowance(self, asked: int, width: int) -> float:
        """How many pages may be wasted in all, once `asked` pages have been asked for."""
        return max(self._max_waste * asked, width / 2) if self._max_waste else 0

    def permits(self, asked: int, wasted: int, width: int) -> bool:
        """Whether one more guess may be in flight."""
        if self._window is not None:
            return self._window > 0
        return wasted + self.speculative + 1 <= self.allowance(asked, width)

    def note(self, tracker: PageTracker) -> None:
        """Take account of what has changed in a walk."""
        if tracker.speculative != tracker.counted:
            self.speculative += tracker.speculative - tracker.counted
            tracker.counted = tracker.speculative
        weight = tracker.proven if tracker.unsure else 0
        if weight != tracker.weight:
            self._total += weight - tracker.weight
            tracker.weight = weight
        if tracker.listed is not tracker.unsure:
            tracker.listed = tracker.unsure
            if tracker.unsure:
                self._line[tracker] = None
            else:
                del self._line[tracker]

    def choose(self, left: float, allowed: float, reach: int) -> tuple[PageTracker, int] | None:
        """The guess to make next.

        Args:
            left: How much of the allowance is not wasted yet.
            allowed: The allowance.
            reach: How far past its first unsettled page a walk may run.
        """
        while self._line:
            tracker, _ = self._line.popitem(last=False)
            number = self._guess(tracker, left, allowed, reach)
            if number:
                self._line[tracker] = None
                return tracker, number
            # Nothing changes for it before its next answer, which lists it again.
            tracker.listed = False
        return None

    def _guess(self, tracker: PageTracker, left: float, allowed: float, reach: int) -> int:
        if self._window is not None:
            return tracker.beyond(self._window, reach)
        if tracker.speculative > tracker.weight.bit_length():
            return 0
        share = (left + tracker.missed) * tracker.weight / self._total
        if tracker.missed + tracker.speculative + 1 > share:
            plenty = left - self.speculative - 1 >= allowed / 2
            if tracker.missed or tracker.speculative or not plenty:
                return 0
        return tracker.leap(left / (left + _CAUTION), reach)
