"""What is known of one listing while it is walked: page numbers only, no I/O.

The rules, which the [frontier][tmapi_async.frontier] applies to every listing:

* A page *exists* if it holds items, or if it says `has_next_page`. Every page up to one that exists
  is *certain*: it is asked for, and the walk does not end before it is settled.
* Only the server's `has_next_page` ends a walk: at the lowest page that says there is no next one,
  unless a later page says that there is. Such a later page wins, because losing half a listing to
  one glitch costs more than asking the pages between.
* A page that holds items beyond the end (rows shift while a live ranking is read) was paid for: it
  is delivered, after the rest and in page order, but no page is asked for on its account.
* An empty page that says there is no next one, met before it was certain, lies past the end: it is
  *wasted*, and is not delivered. Met in its turn it is an ordinary, empty page.
* A page that fails in its turn leaves a hole: the walk goes round it and ends as failed. A page
  that fails before it was certain is forgotten, and asked for again if it becomes certain.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .listings import Listing

FAR = 1 << 62
"""Beyond every page number: stands for "not known" where a smallest one is looked for."""

_NEXT, _DELIVER, _HOLE = 1, 2, 4


class Walk:
    """Progress through one listing, in memory proportional to what is out of order.

    Attributes:
        listing: What is walked.
        low: First page that is neither settled (delivered, held, a hole) nor past the end.
        certain: Last page that must be settled before the walk can end.
        goal: Last page worth asking for without speculation; from `certain` up to the expected end.
        stop: Lowest page that says there is no next one, uncontradicted; `FAR` if there is none.
        flying: Pages asked for and not yet answered; True for those that were speculation and
            have not become certain since.
        speculative: How many of them are speculation.
        broken: Whether a hole has been passed.
    """

    __slots__ = (
        "_again",
        "_barrier",
        "_cap",
        "_claim",
        "_done",
        "_expected",
        "_next",
        "_strong",
        "_surmised",
        "broken",
        "certain",
        "flying",
        "goal",
        "listing",
        "low",
        "queued",
        "speculative",
        "started",
        "stop",
    )

    def __init__(
        self,
        listing: Listing,
        first: int,
        max_pages: int | None,
        expected: int | None,
        held: Mapping[int, bool],
    ) -> None:
        self.listing = listing
        self.low = self._next = first
        self.flying: dict[int, bool] = {}
        self.speculative = 0
        self.broken = self.started = self.queued = False
        self.stop = FAR
        self._cap = FAR if max_pages is None else first + max_pages - 1
        self._expected = expected or 0
        self._strong = first  # every page up to here is certain by has_next_page, or is the first
        self._claim = 0  # highest page with items that says it is the last
        self._barrier = FAR  # a page that failed before it was certain: nothing beyond is tried
        self._again: list[int] = []  # heap of pages below _next to be asked for (again)
        self._surmised: list[int] = []  # heap of the speculative pages in flight, some outdated
        # Pages from `low` on that are settled, as bits; small, because `low` follows.
        self._done: dict[int, int] = {}
        self._hold(held)
        self._review()

    def __repr__(self) -> str:
        end = "?" if self.stop == FAR else self.stop
        return (
            f"<Walk {self.listing.identity}: settled below {self.low}, certain to {self.certain}, "
            f"end {end}, {len(self.flying)} in flight ({self.speculative} speculative)>"
        )

    # -- what to ask for

    def upcoming(self, reach: int) -> int:
        """The next page to ask for without speculation, at most `reach` past `low`; 0 if none."""
        if self._again and self._again[0] <= self.goal:
            return self._again[0]
        number = self._next
        while number in self._done or number in self.flying:
            number += 1
        self._next = number
        return number if number <= self.goal and number <= self.low + reach else 0

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
        self._done[number] = 0 if wasted else _DELIVER | has_next
        if has_next:
            # An empty page that says "more" is believed only when its turn comes: otherwise one
            # odd answer far ahead would make every page below it certain, and paid for.
            if number >= self._strong and (items or number <= self.certain):
                self._extend(number + 1)
        else:
            self._claimed(number, items)
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
        while self.low <= self.certain and self.low in done:
            bits = done.pop(self.low)
            if bits & _DELIVER:
                ready.append(self.low)
            elif bits & _HOLE:
                self.broken = True
            self.low += 1
            if bits & _NEXT and self.low > self._strong:
                self._extend(self.low)
                self._review()
        self._next = max(self._next, self.low)
        return ready

    @property
    def over(self) -> bool:
        """Whether nothing can come any more: all that is certain is settled, nothing in flight."""
        return self.low > self.certain and not self.flying

    @property
    def capped(self) -> bool:
        """Whether the last page allowed said that there is another."""
        return self._strong > self._cap

    def leftover(self) -> list[int]:
        """Pages that were paid for and wait for nothing any more, in page order; forgets them."""
        ready = sorted(number for number, bits in self._done.items() if bits & _DELIVER)
        self._done.clear()
        return ready

    def past_end(self) -> tuple[int, ...]:
        """Pages in flight beyond the page that says it is the last."""
        return tuple(number for number in self.flying if number > self.stop)

    # -- evidence

    def _hold(self, held: Mapping[int, bool]) -> None:
        if not held:
            return
        self._strong = max(
            [
                self.low,
                *(number + 1 for number, more in held.items() if more and number >= self.low),
            ]
        )
        lasts = [number for number, more in held.items() if not more and number >= self._strong]
        if lasts:
            self.stop, self._claim = min(lasts), max(lasts)
        while self.low in held and self.low <= min(self.stop, self._cap):
            self.low += 1
        self._next = self.low
        self._done.update((n, _NEXT if more else 0) for n, more in held.items() if n >= self.low)

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
        certain = max(self._strong, min(self._claim, self.stop))
        self.certain = certain = min(certain, self._cap)
        if certain >= self._barrier:
            self._barrier = FAR
        hoped = min(self._expected, self.stop, self._barrier - 1, self._cap)
        self.goal = max(certain, hoped)
        while self._surmised and self._surmised[0] <= self.goal:
            number = heappop(self._surmised)
            if self.flying.get(number):
                self.flying[number] = False
                self.speculative -= 1
