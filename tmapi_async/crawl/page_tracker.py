"""What is known of one listing while it is walked: page numbers only, no I/O.

The rules, which the [frontier][tmapi_async.crawl.frontier] applies to every listing:

* A page *exists* if it holds items, or if it says `has_next_page`. Every page up to one that exists
  is *certain*: it is asked for, and the walk does not end before it is settled.
* Only the server's `has_next_page` ends a walk: at the lowest page that says there is no next one,
  unless a later page says that there is. Such a later page wins, because losing half a listing to
  one glitch costs more than asking for the pages between.
* A page beyond the end that holds items (rows shift while a live ranking is read) was paid for: it
  is delivered, after the rest and in page order, but no page is asked for on its account.
* An empty page that says there is no next one, met before it was certain, lies past the end: it is
  *wasted*, and is not delivered. Met in its turn it is an ordinary, empty page.
* An empty page that says there *is* a next one proves nothing before its turn: one odd answer far
  ahead would otherwise make every page below it certain, and paid for.
* A page that fails in its turn leaves a *hole*: the walk goes round it and ends as failed. A page
  that fails before it was certain is forgotten, and asked for again if it becomes certain.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tmapi_async.api.listings import Listing

FAR = 1 << 62
"""Beyond every page number: stands for "not known" where a smallest one is looked for."""

_NEXT, _DELIVER, _HOLE = 1, 2, 4


class PageTracker:
    """Progress through one listing, in memory proportional to what is out of order.

    Attributes:
        listing: What is walked.
        low: First page that is neither settled (delivered, held, a hole) nor past the end.
        certain: Last page that must be settled before the walk can end.
        goal: Last page worth asking for without speculation: `certain`, or the expected end.
        stop: Lowest page that says there is no next one, uncontradicted; `FAR` if there is none.
        flying: Pages asked for and not yet answered; True for those that were speculation and
            have not become certain since.
        speculative: How many of them are speculation.
        missed: Speculative pages that proved to lie past the end.
        unsure: Whether the end is unknown although a page exists: speculation may pay.
        holes: Pages that failed in their turn and were passed since they were last told.
        broken: Whether any hole was passed.
        ended: Whether the walk is over or was left.
        started, queued: Notes of the frontier.
        listed, counted, weight: Notes of the look-ahead.
    """

    __slots__ = (
        "_again",
        "_barrier",
        "_cap",
        "_claim",
        "_done",
        "_expected",
        "_first",
        "_hint",
        "_next",
        "_strong",
        "_surmised",
        "broken",
        "certain",
        "counted",
        "ended",
        "flying",
        "goal",
        "holes",
        "listed",
        "listing",
        "low",
        "missed",
        "queued",
        "speculative",
        "started",
        "stop",
        "unsure",
        "weight",
    )

    def __init__(
        self,
        listing: Listing,
        first: int,
        max_pages: int | None,
        expected: int | None,
        stored_pages: Mapping[int, bool],
        *,
        hint: int | None = None,
    ) -> None:
        self.listing = listing
        self.low = self._first = self._next = first
        self.flying: dict[int, bool] = {}
        self.holes: list[int] = []
        self.speculative = self.missed = self.counted = self.weight = 0
        self.broken = self.started = self.queued = self.listed = self.unsure = self.ended = False
        self.stop = FAR
        self._cap = FAR if max_pages is None else first + max_pages - 1
        self._expected = expected or 0
        self._hint = hint or 0
        self._strong = first  # every page up to here is certain by has_next_page, or is the first
        self._claim = 0  # highest page with items that says it is the last
        self._barrier = FAR  # a page that failed before it was certain: nothing beyond is tried
        self._again: list[int] = []  # heap of pages below _next to be asked for (again)
        self._surmised: list[int] = []  # heap of the speculative pages in flight, some outdated
        # Pages from `low` on that are settled, as bits; small, because `low` follows.
        self._done: dict[int, int] = {}
        if stored_pages:
            self._hold(stored_pages)
        self._review()

    def __repr__(self) -> str:
        end = "unknown" if self.stop == FAR else self.stop
        return (
            f"<Trail {self.listing.identity}: settled below {self.low}, certain to {self.certain}, "
            f"end {end}, {len(self.flying)} in flight ({self.speculative} speculative)>"
        )

    @property
    def proven(self) -> int:
        """How many pages the listing is known to have, less one."""
        return self.certain - self._first

    # -- what to ask for

    @property
    def more(self) -> bool:
        """Whether there may be a page to ask for without speculation; `upcoming` tells."""
        return self._next <= self.goal or bool(self._again)

    def upcoming(self, reach: int) -> int:
        """The next page to ask for without speculation, at most `reach` past `low`; 0 if none."""
        again = self._again
        while again and again[0] <= self.goal:
            if self._fresh(again[0]):
                return again[0]
            heappop(again)
        self._next = number = self._untouched(self._next)
        return number if number <= self.goal and number <= self.low + reach else 0

    def beyond(self, window: int, reach: int) -> int:
        """The first page not yet asked for of the `window` after the last one known; 0 if none."""
        number = self._untouched(max(self._next, self.goal + 1))
        return number if number <= self.goal + window and number < self._limit(reach) else 0

    def leap(self, boldness: float, reach: int) -> int:
        """A page worth trying that is not known to exist; 0 if there is none.

        As far ahead as the listing has proven itself, if no guess is in flight there: if that page
        exists, everything below it becomes certain at the price of one guess. Then half as far, a
        quarter, and so on, so that a miss leaves little to search; then the nearest. Where a page
        past the end is known, at most half-way to that.

        Args:
            boldness: Above 0, at most 1; shortens the leap when there is little left to waste.
            reach: How far past `low` at most.
        """
        base, limit = self.goal, self._limit(reach)
        span = self.certain - self._first
        if min(self.stop, self._barrier) < FAR:
            span = min(span, (limit - base) // 2)
        span = min(max(1, ceil(span * boldness)), limit - 1 - base)
        if span < 1:
            return 0
        taken = 0
        for number in self._surmised:
            if number > base and self.flying.get(number):
                taken |= 1 << (number - base - 1).bit_length()
        for octave in range((span - 1).bit_length(), -1, -1):
            number = base + min(span, 1 << octave)
            if not taken >> octave & 1 and self._fresh(number):
                return number
        return self.beyond(span, reach)

    def sent(self, number: int, *, speculative: bool = False) -> None:
        """Note that a page has been asked for."""
        if self._again and self._again[0] == number:
            heappop(self._again)
        elif number == self._next:
            self._next += 1
        self.flying[number] = speculative
        if speculative:
            self.speculative += 1
            heappush(self._surmised, number)

    # -- what came back

    def land(self, number: int) -> None:
        """Take a page off those in flight."""
        if self.flying.pop(number):
            self.speculative -= 1

    def page(self, number: int, *, has_next: bool, items: int, expected: int | None) -> bool:
        """Note the answer of a page that has landed; True if it lies past the end."""
        if expected is not None:
            self._expected = expected
        wasted = not (items or has_next) and number > self.certain
        if wasted:
            self.missed += 1
            self._done[number] = 0
        else:
            self._done[number] = _DELIVER | has_next
        if not has_next:
            self._claimed(number, items)
        elif number >= self._strong and (items or number <= max(self.certain, self.low)):
            self._extend(number + 1)
        self._review()
        return wasted

    def fail(self, number: int) -> None:
        """Note that a page that has landed failed for good."""
        if number <= self.certain:
            self._done[number] = _HOLE
        else:
            self._barrier = min(self._barrier, number)
            self.back(number)

    def back(self, number: int) -> None:
        """Note that a page that has landed was not answered and may be asked for again."""
        if number < self._next:
            heappush(self._again, number)
        self._review()

    # -- where the walk stands

    def settle(self) -> list[int]:
        """Move `low` past every page that is settled.

        Returns:
            The pages among them to be delivered, in page order.
        """
        ready = []
        done = self._done
        while self.low in done and self.low <= self.certain:
            bits = done.pop(self.low)
            if bits & _DELIVER:
                ready.append(self.low)
            elif bits & _HOLE:
                self.broken = True
                self.holes.append(self.low)
            self.low += 1
            if bits & _NEXT and self.low > self._strong:
                self._extend(self.low)
                self._review()
        self._next = max(self._next, self.low)
        return ready

    def passed(self) -> tuple[int, ...]:
        """The holes passed since this was last asked."""
        if not self.holes:
            return ()
        holes = tuple(self.holes)
        self.holes.clear()
        return holes

    def bridge(self) -> bool:
        """Hope for one page past a hole that hides whether the listing goes on.

        Some pages fail for good; without this such a page would cost the rest of its listing.
        Nothing is hoped for if the hole is the first page, or if the page was tried already.
        """
        if not self.broken or self._first + 1 >= self.low:
            return False
        self._expected = self.low
        self._review()
        return self.goal >= self.low and self._fresh(self.low)

    @property
    def capped(self) -> bool:
        """Whether the last page allowed said that there is another."""
        return self._strong > self._cap

    def end(self) -> list[int]:
        """Ask for nothing any more.

        Returns:
            The pages that were paid for and waited for earlier ones, in page order.
        """
        self.goal = 0
        self.ended = True
        self.unsure = False
        return sorted(number for number, bits in self._done.items() if bits & _DELIVER)

    def past_end(self, known: int) -> tuple[int, ...]:
        """Pages in flight beyond `stop`, but not beyond where it was `known` to be before."""
        return tuple(number for number in self.flying if self.stop < number <= known)

    # -- evidence

    def _fresh(self, number: int) -> bool:
        return number not in self.flying and number not in self._done

    def _untouched(self, number: int) -> int:
        while number in self.flying or number in self._done:
            number += 1
        return number

    def _limit(self, reach: int) -> int:
        """The first page that is not worth guessing at."""
        limit = min(self.stop, self._barrier, self._cap + 1, self.low + reach + 1)
        return min(limit, self._hint + 1) if self.certain <= self._hint else limit

    def _hold(self, stored_pages: Mapping[int, bool]) -> None:
        first = self.low
        strong = [number + 1 for number, more in stored_pages.items() if more and number >= first]
        self._strong = max(strong, default=first)
        lasts = [
            number for number, more in stored_pages.items() if not more and number >= self._strong
        ]
        if lasts:
            self.stop, self._claim = min(lasts), max(lasts)
        while self.low in stored_pages:
            self.low += 1
        self._next = self.low
        self._done.update(
            (n, _NEXT if more else 0) for n, more in stored_pages.items() if n >= self.low
        )

    def _extend(self, number: int) -> None:
        """A page says that this one, the next, exists: the end is not below it."""
        self._strong = number
        if self.stop < number:
            ends = (
                n for n, bits in self._done.items() if n >= number and not bits & (_NEXT | _HOLE)
            )
            self.stop = min(ends, default=FAR)

    def _claimed(self, number: int, items: int) -> None:
        """A page says that it is the last."""
        if number >= self._strong:
            self.stop = min(self.stop, number)
            if items:
                self._claim = max(self._claim, number)

    def _review(self) -> None:
        """Draw the conclusions from what has changed."""
        certain = self._strong
        if self._claim > certain:
            certain = max(certain, min(self._claim, self.stop))
        self.certain = self.goal = certain = min(certain, self._cap)
        if certain >= self._barrier:
            self._barrier = FAR
        limit = min(self.stop, self._barrier - 1, self._cap)
        if self._expected > certain:
            self.goal = max(certain, min(self._expected, limit))
        # Where a length was told, and holds so far, there is nothing to guess.
        self.unsure = limit > self.goal and self._first < certain and certain > self._expected
        surmised = self._surmised
        while surmised and surmised[0] <= self.goal:
            number = heappop(surmised)
            if self.flying.get(number):
                self.flying[number] = False
                self.speculative -= 1
