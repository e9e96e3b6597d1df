"""Progress of one listing while it is walked: page numbers only, no I/O.

The rules, which the [frontier][tmapi_async.crawl.frontier] applies to every listing:

* A page *exists* if it holds items, or if it says `has_next_page`. Every page up to one that exists
  is *certain*: it is requested, and the walk does not end before it is settled.
* Only the server's `has_next_page` ends a walk: at the lowest page that says there is no next one,
  unless a later page says that there is. Such a later page wins, because losing half a listing to
  one glitch costs more than requesting the pages between.
* A page beyond the end that holds items (rows shift while a live ranking is read) was paid for: it
  is delivered, after the rest and in page order, but no page is requested because of it.
* A *guess* is a request by look-ahead, for a page that is not certain. All others are requested in
  page order.
* An empty page that says there is no next one, requested by look-ahead, lies past the end: it is
  *wasted*, and is not delivered. Requested in page order, such a page is an ordinary, empty page.
* An empty page that says there *is* a next one, requested by look-ahead, is no evidence that the
  pages below it exist: one odd answer far ahead would make all of them certain, and paid for.
* A certain page that fails leaves a *hole*: the walk continues behind the hole and ends as failed.
  A guess that fails is forgotten, and requested again if the page becomes certain.
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
"""Number beyond every page: stands for "not known" where the smallest number wins."""

_NEXT, _DELIVER, _HOLE = 1, 2, 4


class PageTracker:
    """Progress through one listing, in memory proportional to the pages out of order.

    Attributes:
        listing: The listing.
        next_open: First page that is neither settled (delivered, stored, a hole) nor past the end.
        certain: Last page that must be settled before the walk can end.
        goal: Last page worth requesting without a guess: `certain`, or the expected end.
        end: Lowest page that says there is no next one, uncontradicted; `FAR` if there is none.
        in_flight: Pages requested and not yet answered; True for guesses that have not become
            certain since.
        guesses_in_flight: Number of guesses in flight.
        wasted_guesses: Number of guesses that proved to lie past the end.
        end_unknown: True if the end is unknown although a page exists: a guess may pay.
        holes: Certain pages that failed and were passed since the last `take_holes`.
        has_holes: True if any hole was passed.
        ended: True if the walk is over or was closed early.
        started: True once the first page was taken, or the listing was closed. Set by the frontier.
        queued: True while the frontier holds the listing among those with certain pages.
        is_candidate: True while the look-ahead holds the listing among those to guess for.
        counted_guesses: Guesses in flight that the look-ahead has counted in its total.
        weight: Share of the listing in the allowance: `proven` while the end is unknown, else 0.
    """

    __slots__ = (
        "_announced",
        "_barrier",
        "_claimed_end",
        "_expected",
        "_first",
        "_guesses",
        "_hint",
        "_last_allowed",
        "_next",
        "_requeued",
        "_settled",
        "certain",
        "counted_guesses",
        "end",
        "end_unknown",
        "ended",
        "goal",
        "guesses_in_flight",
        "has_holes",
        "holes",
        "in_flight",
        "is_candidate",
        "listing",
        "next_open",
        "queued",
        "started",
        "wasted_guesses",
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
        self.guesses_in_flight = self.wasted_guesses = self.counted_guesses = self.weight = 0
        self.has_holes = self.end_unknown = self.ended = False
        self.started = self.queued = self.is_candidate = False
        self.end = FAR
        self._last_allowed = FAR if max_pages is None else first + max_pages - 1
        self._expected = expected or 0
        self._hint = hint or 0
        self._announced = first  # last page that a has_next_page announced, or the first
        self._claimed_end = 0  # highest page with items that says it is the last
        self._barrier = FAR  # a guess that failed: no page from there on is guessed
        self._requeued: list[int] = []  # heap of pages below _next to be requested (again)
        self._guesses: list[int] = []  # heap of the guesses in flight, some outdated
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
            f"{len(self.in_flight)} in flight ({self.guesses_in_flight} guesses)>"
        )

    @property
    def proven(self) -> int:
        """Distance from the first page to the last certain page."""
        return self.certain - self._first

    # -- the next page to request

    @property
    def more(self) -> bool:
        """True if there may be a page to request without a guess; see `next_certain`."""
        return self._next <= self.goal or bool(self._requeued)

    def next_certain(self, reach: int) -> int:
        """Return the next page to request without a guess, or 0 if there is none.

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

    def next_nearest_guess(self, window: int, reach: int) -> int:
        """Return the first new page after the last one known, or 0 if there is none.

        Args:
            window: Maximum distance of the page past the last one known.
            reach: Maximum distance of the page past `next_open`.
        """
        number = self._first_new(max(self._next, self.goal + 1))
        return number if number <= self.goal + window and number < self._guess_limit(reach) else 0

    def next_guess(self, span_factor: float, reach: int) -> int:
        """Return the page to guess next, or 0 if there is none.

        The first choice lies as far ahead as the listing has proven itself: if that page exists,
        everything below it becomes certain at the price of one guess. If a guess is in flight
        there, the next choices lie half as far, a quarter, and so on, so that a wasted guess
        leaves little to search. The nearest page is the last choice. If a page past the end is
        known, the guess goes at most half-way to it.

        Distances past `goal` are grouped in octaves: octave N holds the distances above 2**(N-1),
        up to 2**N. A new guess goes to an octave without a guess in flight, if one is in reach.

        Args:
            span_factor: Above 0, at most 1; shortens the distance when little is left to waste.
            reach: Maximum distance of the page past `next_open`.
        """
        base, limit, span = self.goal, self._guess_limit(reach), self.certain - self._first
        if min(self.end, self._barrier) < FAR:
            span = min(span, (limit - base) // 2)
        span = min(max(1, ceil(span * span_factor)), limit - 1 - base)
        if span < 1:
            return 0
        octaves_in_flight = 0  # bit N: a guess is in flight in octave N
        for number in self._guesses:
            if number > base and self.in_flight.get(number):
                octaves_in_flight |= 1 << (number - base - 1).bit_length()
        for octave in range((span - 1).bit_length(), -1, -1):
            number = base + min(span, 1 << octave)
            if not octaves_in_flight >> octave & 1 and self._is_new(number):
                return number
        return self.next_nearest_guess(span, reach)

    def mark_sent(self, number: int, *, guess: bool = False) -> None:
        """Note that a page was requested."""
        if self._requeued and self._requeued[0] == number:
            heappop(self._requeued)
        elif number == self._next:
            self._next += 1
        self.in_flight[number] = guess
        if guess:
            self.guesses_in_flight += 1
            heappush(self._guesses, number)

    # -- replies

    def remove_in_flight(self, number: int) -> None:
        """Remove a page from those in flight."""
        if self.in_flight.pop(number):
            self.guesses_in_flight -= 1

    def answer(self, number: int, *, has_next: bool, items: int, expected: int | None) -> bool:
        """Note the reply for a page that is no longer in flight.

        Returns:
            True if the page lies past the end.
        """
        if expected is not None:
            self._expected = expected
        wasted = not (items or has_next) and number > self.certain
        if wasted:
            self.wasted_guesses += 1
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
        numbers = (self._settled, self._requeued, self._guesses, self.in_flight, self.holes)
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
        announced = self.next_open
        for number, more in stored_pages.items():
            if more and number >= announced:
                announced = number + 1
        self._announced = announced
        claimed_last_pages = [
            number for number, more in stored_pages.items() if not more and number >= announced
        ]
        if claimed_last_pages:
            self.end, self._claimed_end = min(claimed_last_pages), max(claimed_last_pages)
        while self.next_open in stored_pages:
            self.next_open += 1
        self._next = self.next_open
        for number, more in stored_pages.items():
            if number >= self.next_open:
                self._settled[number] = _NEXT if more else 0

    def _extend(self, announced: int) -> None:
        """Note that a page announced the next page: the end is not below the next page."""
        self._announced = announced
        if self.end < announced:
            ends = (
                number
                for number, bits in self._settled.items()
                if number >= announced and not bits & (_NEXT | _HOLE)
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
        guesses = self._guesses
        while guesses and guesses[0] <= self.goal:
            number = heappop(guesses)
            if self.in_flight.get(number):
                self.in_flight[number] = False
                self.guesses_in_flight -= 1
