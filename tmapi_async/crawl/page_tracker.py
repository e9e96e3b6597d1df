"""Progress of one listing while it is walked: page numbers only, no I/O.

The rules, which the [frontier][tmapi_async.crawl.frontier] applies to every listing:

* A page *exists* if it holds items, or if it says `has_next_page`. Every page up to one that exists
  is *certain*: it is requested, and the walk does not end before it is settled.
* Only the server's `has_next_page` ends a walk: at the lowest page that says there is no next one,
  unless a later page says that there is. Such a later page wins, because losing half a listing to
  one glitch costs more than requesting the pages between.
* A page beyond the end that holds items (rows shift while a live ranking is read) was paid for: it
  is delivered, after the rest and in page order, but no page is requested because of it.
* An empty page that says there is no next one, met before it was certain, lies past the end: it is
  *wasted*, and is not delivered. Met in its turn it is an ordinary, empty page.
* An empty page that says there *is* a next one proves nothing before its turn: one odd answer far
  ahead would otherwise make every page below it certain, and paid for.
* A page that fails in its turn leaves a *hole*: the walk goes round it and ends as failed. A page
  that fails before it was certain is forgotten, and requested again if it becomes certain.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from tmapi_async.api.listings import Listing

FAR = 1 << 62
"""Beyond every page number: stands for "not known" where the smallest number wins."""

_NEXT, _DELIVER, _HOLE = 1, 2, 4


class PageTracker:
    """Progress through one listing, in memory proportional to the pages out of order.

    Attributes:
        listing: The listing.
        next_open: First page that is neither settled (delivered, stored, a hole) nor past the end.
        certain: Last page that must be settled before the walk can end.
        goal: Last page worth requesting without speculation: `certain`, or the expected end.
        end: Lowest page that says there is no next one, uncontradicted; `FAR` if there is none.
        in_flight: Pages requested and not yet answered; True for those that were speculation and
            have not become certain since.
        speculative: Number of pages in flight that are speculation.
        misses: Number of speculative pages that proved to lie past the end.
        end_unknown: True if the end is unknown although a page exists: speculation may pay.
        holes: Pages that failed in their turn and were passed since the last `take_holes`.
        has_holes: True if any hole was passed.
        ended: True if the walk is over or was left.
        started, queued: Notes of the frontier.
        is_candidate, counted_guesses, weight: Notes of the look-ahead.
    """

    __slots__ = (
        "_announced",
        "_barrier",
        "_claimed_end",
        "_expected",
        "_first",
        "_hint",
        "_last_allowed",
        "_next",
        "_requeued",
        "_settled",
        "_speculated",
        "certain",
        "counted_guesses",
        "end",
        "end_unknown",
        "ended",
        "goal",
        "has_holes",
        "holes",
        "in_flight",
        "is_candidate",
        "listing",
        "misses",
        "next_open",
        "queued",
        "speculative",
        "started",
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
        self.next_open = self._first = self._next = first
        self.in_flight: dict[int, bool] = {}
        self.holes: list[int] = []
        self.speculative = self.misses = self.counted_guesses = self.weight = 0
        self.has_holes = self.end_unknown = self.ended = False
        self.started = self.queued = self.is_candidate = False
        self.end = FAR
        self._last_allowed = FAR if max_pages is None else first + max_pages - 1
        self._expected = expected or 0
        self._hint = hint or 0
        self._announced = first  # last page that a has_next_page announced, or the first
        self._claimed_end = 0  # highest page with items that says it is the last
        self._barrier = FAR  # a page that failed before it was certain: nothing beyond is tried
        self._requeued: list[int] = []  # heap of pages below _next to be requested (again)
        self._speculated: list[int] = []  # heap of the speculative pages in flight, some outdated
        # Pages from `next_open` on that are settled, as bits; small, because `next_open` follows.
        self._settled: dict[int, int] = {}
        if stored_pages:
            self._apply_stored_pages(stored_pages)
        self._review()

    def __repr__(self) -> str:
        end = "unknown" if self.end == FAR else self.end
        return (
            f"<PageTracker {self.listing.identity}: settled below {self.next_open}, "
            f"certain to {self.certain}, end {end}, "
            f"{len(self.in_flight)} in flight ({self.speculative} speculative)>"
        )

    @property
    def proven(self) -> int:
        """Number of pages that the listing is known to have, less one."""
        return self.certain - self._first

    # -- the next page to request

    @property
    def more(self) -> bool:
        """True if there may be a page to request without speculation; see `next_certain`."""
        return self._next <= self.goal or bool(self._requeued)

    def next_certain(self, reach: int) -> int:
        """Return the next page to request without speculation, or 0 if there is none.

        Args:
            reach: Maximum distance of the page past `next_open`.
        """
        requeued = self._requeued
        while requeued and requeued[0] <= self.goal:
            if self._is_new(requeued[0]):
                return requeued[0]
            heappop(requeued)
        self._next = number = self._first_new(self._next)
        return number if number <= self.goal and number <= self.next_open + reach else 0

    def next_beyond(self, window: int, reach: int) -> int:
        """Return the first new page after the last one known, or 0 if there is none.

        Args:
            window: Maximum distance of the page past the last one known.
            reach: Maximum distance of the page past `next_open`.
        """
        number = self._first_new(max(self._next, self.goal + 1))
        return number if number <= self.goal + window and number < self._guess_limit(reach) else 0

    def next_leap(self, boldness: float, reach: int) -> int:
        """Return a page worth trying that is not known to exist, or 0 if there is none.

        The first choice lies as far ahead as the listing has proven itself: if that page exists,
        everything below it becomes certain at the price of one guess. If a guess is in flight
        there, the next choices lie half as far, a quarter, and so on, so that a miss leaves little
        to search. The nearest page is the last choice. If a page past the end is known, the guess
        goes at most half-way to it.

        Args:
            boldness: Above 0, at most 1; shortens the leap when there is little left to waste.
            reach: Maximum distance of the page past `next_open`.
        """
        base, limit = self.goal, self._guess_limit(reach)
        span = self.certain - self._first
        if min(self.end, self._barrier) < FAR:
            span = min(span, (limit - base) // 2)
        span = min(max(1, ceil(span * boldness)), limit - 1 - base)
        if span < 1:
            return 0
        octaves = 0  # bit N: a guess is in flight between 2**(N-1) and 2**N pages past the goal
        for number in self._speculated:
            if number > base and self.in_flight.get(number):
                octaves |= 1 << (number - base - 1).bit_length()
        for octave in range((span - 1).bit_length(), -1, -1):
            number = base + min(span, 1 << octave)
            if not octaves >> octave & 1 and self._is_new(number):
                return number
        return self.next_beyond(span, reach)

    def mark_sent(self, number: int, *, speculative: bool = False) -> None:
        """Note that a page was requested."""
        if self._requeued and self._requeued[0] == number:
            heappop(self._requeued)
        elif number == self._next:
            self._next += 1
        self.in_flight[number] = speculative
        if speculative:
            self.speculative += 1
            heappush(self._speculated, number)

    # -- replies

    def remove_in_flight(self, number: int) -> None:
        """Remove a page from those in flight."""
        if self.in_flight.pop(number):
            self.speculative -= 1

    def answer(self, number: int, *, has_next: bool, items: int, expected: int | None) -> bool:
        """Note the reply for a page that is no longer in flight.

        Returns:
            True if the page lies past the end.
        """
        if expected is not None:
            self._expected = expected
        wasted = not (items or has_next) and number > self.certain
        if wasted:
            self.misses += 1
            self._settled[number] = 0
        else:
            self._settled[number] = _DELIVER | has_next
        if not has_next:
            self._claim_end(number, items)
        elif number >= self._announced and (items or number <= max(self.certain, self.next_open)):
            self._extend(number + 1)
        self._review()
        return wasted

    def fail(self, number: int) -> None:
        """Note that a page failed for good."""
        if number <= self.certain:
            self._settled[number] = _HOLE
        else:
            self._barrier = min(self._barrier, number)
            self.reclaim(number)

    def reclaim(self, number: int) -> None:
        """Note that a page was not answered and may be requested again."""
        if number < self._next:
            heappush(self._requeued, number)
        self._review()

    # -- progress

    def settle(self) -> list[int]:
        """Move `next_open` past every page that is settled.

        Returns:
            The settled pages that are to be delivered, in page order.
        """
        ready = []
        settled = self._settled
        while self.next_open in settled and self.next_open <= self.certain:
            bits = settled.pop(self.next_open)
            if bits & _DELIVER:
                ready.append(self.next_open)
            elif bits & _HOLE:
                self.has_holes = True
                self.holes.append(self.next_open)
            self.next_open += 1
            if bits & _NEXT and self.next_open > self._announced:
                self._extend(self.next_open)
                self._review()
        self._next = max(self._next, self.next_open)
        return ready

    def take_holes(self) -> tuple[int, ...]:
        """Return the holes passed since the last call."""
        if not self.holes:
            return ()
        holes = tuple(self.holes)
        self.holes.clear()
        return holes

    def try_past_hole(self) -> bool:
        """Make one page past a hole worth requesting: the listing may go on behind it.

        Some pages fail for good; without this such a page would cost the rest of its listing.

        Returns:
            False if the hole is the first page, or if the page past it was tried already.
        """
        if not self.has_holes or self._first + 1 >= self.next_open:
            return False
        self._expected = self.next_open
        self._review()
        return self.goal >= self.next_open and self._is_new(self.next_open)

    @property
    def settled_early(self) -> AbstractSet[int]:
        """Pages that were settled before an earlier one."""
        return self._settled.keys()

    @property
    def memory(self) -> int:
        """Number of page numbers that are kept."""
        numbers = (self._settled, self._requeued, self._speculated, self.in_flight, self.holes)
        return sum(map(len, numbers))

    @property
    def capped(self) -> bool:
        """True if the last page allowed said that there is another."""
        return self._announced > self._last_allowed

    def close(self) -> list[int]:
        """Request no more pages.

        Returns:
            The pages that were paid for and waited for earlier ones, in page order.
        """
        self.goal = 0
        self.ended = True
        self.end_unknown = False
        return sorted(number for number, bits in self._settled.items() if bits & _DELIVER)

    def past_end(self, previous_end: int) -> tuple[int, ...]:
        """Return the pages in flight beyond `end`, up to its previous value."""
        return tuple(number for number in self.in_flight if self.end < number <= previous_end)

    # -- evidence

    def _is_new(self, number: int) -> bool:
        return number not in self.in_flight and number not in self._settled

    def _first_new(self, number: int) -> int:
        while number in self.in_flight or number in self._settled:
            number += 1
        return number

    def _guess_limit(self, reach: int) -> int:
        """Return the first page that is not worth a guess."""
        limit = min(self.end, self._barrier, self._last_allowed + 1, self.next_open + reach + 1)
        return min(limit, self._hint + 1) if self.certain <= self._hint else limit

    def _apply_stored_pages(self, stored_pages: Mapping[int, bool]) -> None:
        first = self.next_open
        announced = [
            number + 1 for number, more in stored_pages.items() if more and number >= first
        ]
        self._announced = max(announced, default=first)
        lasts = [
            number
            for number, more in stored_pages.items()
            if not more and number >= self._announced
        ]
        if lasts:
            self.end, self._claimed_end = min(lasts), max(lasts)
        while self.next_open in stored_pages:
            self.next_open += 1
        self._next = self.next_open
        self._settled.update(
            (n, _NEXT if more else 0) for n, more in stored_pages.items() if n >= self.next_open
        )

    def _extend(self, number: int) -> None:
        """Note that a page announced this one, the next: the end is not below it."""
        self._announced = number
        if self.end < number:
            ends = (
                n for n, bits in self._settled.items() if n >= number and not bits & (_NEXT | _HOLE)
            )
            self.end = min(ends, default=FAR)

    def _claim_end(self, number: int, items: int) -> None:
        """Note that a page says that it is the last."""
        if number >= self._announced:
            self.end = min(self.end, number)
            if items:
                self._claimed_end = max(self._claimed_end, number)

    def _review(self) -> None:
        """Recompute `certain`, `goal` and `end_unknown` after a change."""
        certain = self._announced
        if self._claimed_end > certain:
            certain = max(certain, min(self._claimed_end, self.end))
        self.certain = self.goal = certain = min(certain, self._last_allowed)
        if certain >= self._barrier:
            self._barrier = FAR
        limit = min(self.end, self._barrier - 1, self._last_allowed)
        if self._expected > certain:
            self.goal = max(certain, min(self._expected, limit))
        # If the server stated a length, and it holds so far, there is nothing to guess.
        self.end_unknown = limit > self.goal and self._first < certain and certain > self._expected
        speculated = self._speculated
        while speculated and speculated[0] <= self.goal:
            number = heappop(speculated)
            if self.in_flight.get(number):
                self.in_flight[number] = False
                self.speculative -= 1
