"""Progress of one listing while it is walked: page numbers only, no I/O.

The rules, which the [frontier][tmapi_async.crawl.frontier] applies to every listing:

* A page that says `has_next_page` announces the next one. Every page up to the last one announced
  is *certain*: it is requested, and the walk does not end before it is settled.
* Only the server's `has_next_page` ends a walk: at the lowest page that says there is no next one,
  unless a later page says that there is. Such a later page wins, because losing half a listing to
  one glitch costs more than requesting the pages between.
* A page that is not certain and has either items or `has_next_page`, not both, is *unproven*: some
  servers answer pages past the end with rows of an earlier page, and one odd answer far ahead
  would make all pages below it certain, and paid for. No page is requested because of it, and
  nobody sees it before the page before it announces it.
* An unproven page that turns out to lie beyond the end was paid for: it is delivered, after the
  rest and in page order, if it holds a row that the listing has not shown (rows shift while a live
  ranking is read). If it repeats rows only, it is wasted.
* A *guess* is a request by look-ahead, for a page that is not certain. All others are requested in
  page order.
* An empty page that says there is no next one, requested by look-ahead, lies past the end: it is
  *wasted*, and is not delivered. Requested in page order, such a page is an ordinary, empty page.
* A certain page that fails leaves a *hole*: the walk continues behind the hole and ends as failed.
  A guess that fails, or that repeats rows of pages that were read, is forgotten, and requested
  again if the page becomes certain.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal

from .requested_pages import RequestedPages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tmapi_async.api.listings import Listing

    from .answers import FrontierEnding

Worth = Literal["exists", "unproven", "wasted"]
"""Value of a page that was answered; see the rules above."""

FAR = 1 << 62
"""Number beyond every page: stands for "not known" where the smallest number wins."""

_NEXT, _DELIVER, _HOLE, _HELD = 1, 2, 4, 8


class PageTracker(RequestedPages):
    """Progress through one listing, in memory proportional to the pages out of order.

    Attributes:
        listing: The listing.
        certain: Last page that must be settled before the walk can end.
        goal: Last page worth requesting without a guess: `certain`, or the expected end.
        end: Lowest page that says there is no next one, uncontradicted; `FAR` if there is none.
        held: Number of unproven pages that are held back.
        wasted_guesses: Number of guesses that proved to lie past the end.
        end_unknown: True if the end is unknown although a page exists: a guess may pay.
        holes: Certain pages that failed and were passed since the last `take_holes`.
        has_holes: True if any hole was passed.
        ended: True if the walk is over or was closed early.
        started: True once the first page was taken, or the listing was closed. Set by the frontier.
        queued: True while the frontier holds the listing among those with certain pages.
        is_candidate: True while the look-ahead holds the listing among those to guess for.
        counted_guesses: Guesses in flight that the look-ahead has counted in its total.
        counted_held: Pages held back that the look-ahead has counted in its total.
        proven: Distance from the first page to the last certain page.
        weight: Share of the listing in the allowance: `proven` while the end is unknown, else 0.
    """

    __slots__ = (
        "_announced",
        "_barrier",
        "_expected",
        "_first",
        "_hint",
        "_last_allowed",
        "_limit",
        "_repeated",
        "certain",
        "counted_guesses",
        "counted_held",
        "end",
        "end_unknown",
        "ended",
        "has_holes",
        "held",
        "holes",
        "is_candidate",
        "listing",
        "proven",
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
        super().__init__(first)
        self.listing = listing
        self._first = first
        self.holes: list[int] = []
        self.wasted_guesses = self.counted_guesses = self.weight = 0
        self.held = self.counted_held = 0
        self.certain = self.proven = self._limit = 0  # `_review` finds them
        self.has_holes = self.end_unknown = self.ended = False
        self.started = self.queued = self.is_candidate = False
        self.end = FAR
        self._last_allowed = FAR if max_pages is None else first + max_pages - 1
        self._expected = expected or 0
        self._hint = hint or 0
        self._announced = first  # last page that a has_next_page announced, or the first
        self._barrier = FAR  # a guess that failed: no page from there on is guessed
        self._repeated = FAR  # the same for a guess that repeated rows
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

    # -- guesses

    def guess_limit(self, reach: int) -> int:
        """Return the first page that is not worth a guess.

        Args:
            reach: Maximum distance of the page past `next_open`.
        """
        limit = min(self.nearest_miss, self._last_allowed + 1, self.next_open + reach + 1)
        return min(limit, self._hint + 1) if self.certain <= self._hint else limit

    @property
    def nearest_miss(self) -> int:
        """Lowest page that ends the listing or that was guessed in vain, or `FAR`."""
        return min(self.end, self._barrier, self._repeated)

    # -- replies

    def go_on(self, number: int, expected: int | None) -> bool:
        """Note the reply for a page in flight that says no more than that a next page exists.

        These are the few steps that the usual reply needs of `answer` and `settle`: it is the first
        open page of the listing, and nothing that is known of later pages changes by it.

        Returns:
            True if it was noted: the page is settled and not in flight any more. False if the reply
            is not a usual one and nothing was noted.
        """
        following = number + 1
        if (
            number != self.next_open
            or number > self.certain
            or following >= self._limit
            or self._guesses
            or number not in self.in_flight
            or following in self._settled
            or not (expected is None or expected == self._expected)
        ):
            return False
        del self.in_flight[number]
        self.next_open = following
        self._next = max(self._next, following)
        if following > self.certain:
            self._announced = self.certain = following
            self.proven += 1
            if following > self._expected:
                self.goal = following
                self.end_unknown = True
        return True

    def answer(self, number: int, *, has_next: bool, items: int, expected: int | None) -> Worth:
        """Note the reply for a page that is no longer in flight."""
        if expected is not None:
            self._expected = expected
        worth: Worth = "exists"
        if number <= self.certain or (has_next and items):
            self._settled[number] = _DELIVER | has_next
        elif has_next or items:
            worth = "unproven"
            self.held += 1
            self._settled[number] = _DELIVER | _HELD | has_next
        else:
            worth = "wasted"
            self.wasted_guesses += 1
            self._settled[number] = 0
        if not has_next:
            if number >= self._announced:
                self.end = min(self.end, number)
        elif number >= self._announced and (items or number <= max(self.certain, self.next_open)):
            self._extend(number + 1)
        self._review()
        return worth

    def fail(self, number: int) -> None:
        """Note that a page failed for good."""
        if number <= self.certain:
            self._settled[number] = _HOLE
        else:
            self._barrier = min(self._barrier, number)
            self.reclaim(number)

    def repeat(self, number: int) -> None:
        """Note that a guess brought only rows that the listing has shown: forget the page."""
        self.wasted_guesses += 1
        self._repeated = min(self._repeated, number)
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
                if bits & _HELD:
                    self.held -= 1
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
        return self.goal >= self.next_open and self.is_new(self.next_open)

    @property
    def memory(self) -> int:
        """Number of page numbers that are kept."""
        numbers = (self._settled, self._requeued, self._guesses, self.in_flight, self.holes)
        return sum(map(len, numbers))

    @property
    def ending(self) -> FrontierEnding:
        """Ending of the listing, if nothing of it is left to request."""
        if self.has_holes:
            return "failed"
        return "capped" if self._announced > self._last_allowed else "complete"

    def close(self) -> tuple[list[int], list[int]]:
        """Request no more pages.

        Returns:
            The pages that were paid for and waited for earlier ones, and those that are still
            unproven; both in page order.
        """
        self.goal = self.held = 0
        self.ended = True
        self.end_unknown = False
        waiting = sorted(number for number, bits in self._settled.items() if bits & _DELIVER)
        unproven = [n for n in waiting if n > self.certain and self._settled[n] & _HELD]
        return [n for n in waiting if n not in unproven], unproven

    def past_end(self, previous_end: int) -> tuple[int, ...]:
        """Return the pages in flight beyond `end`, up to its previous value."""
        return tuple(number for number in self.in_flight if self.end < number <= previous_end)

    # -- evidence

    def _apply_stored_pages(self, stored_pages: Mapping[int, bool]) -> None:
        announced = self.next_open
        for number, more in stored_pages.items():
            if more and number >= announced:
                announced = number + 1
        self._announced = announced
        ends = [number for number, more in stored_pages.items() if not more and number >= announced]
        if ends:
            self.end = min(ends)
            self._expected = max(self._expected, *ends)
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

    def _review(self) -> None:
        """Recompute `certain`, `goal` and `end_unknown` after a change."""
        self.certain = self.goal = certain = min(self._announced, self._last_allowed)
        self.proven = certain - self._first
        if certain >= self._barrier:
            self._barrier = FAR
        if certain >= self._repeated:
            self._repeated = FAR
        limit = min(self.end, self._barrier - 1, self._repeated - 1, self._last_allowed)
        self._limit = limit
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
