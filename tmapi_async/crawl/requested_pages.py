"""Pages of one listing that were requested, and the choice of the next one; page numbers only."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

REACH = 24
"""Gate widths that a listing may run ahead of its first page that is not settled.

The slowest page of a heavy tail takes 20 times the mean, and the time-out of 60 s is 24 times the
2.5 s that were measured. With a smaller reach, all slots but one wait for that page.
"""


class RequestedPages:
    """Pages of a listing that are in flight or settled, in memory proportional to these.

    Attributes:
        next_open: First page that is neither settled (delivered, stored, a hole) nor past the end.
        goal: Last page worth requesting without a guess; see `PageTracker`, which keeps it.
        in_flight: Pages requested and not yet answered; True for guesses that have not become
            certain since.
        guesses_in_flight: Number of guesses in flight.
    """

    __slots__ = (
        "_guesses",
        "_next",
        "_requeued",
        "_settled",
        "goal",
        "guesses_in_flight",
        "in_flight",
        "next_open",
    )

    def __init__(self, first: int) -> None:
        self.next_open = self._next = first
        self.goal = self.guesses_in_flight = 0
        self.in_flight: dict[int, bool] = {}
        self._requeued: list[int] = []  # heap of pages below _next to be requested (again)
        self._guesses: list[int] = []  # heap of the guesses in flight, some outdated
        # Pages from `next_open` on that are settled, as bits; small, because `next_open` follows.
        self._settled: dict[int, int] = {}

    @property
    def more(self) -> bool:
        """True if there may be a page to request without a guess; see `next_certain`."""
        return self._next <= self.goal or bool(self._requeued)

    @property
    def settled_early(self) -> AbstractSet[int]:
        """Pages that were settled before an earlier one."""
        return self._settled.keys()

    def take_certain(self, reach: int) -> int:
        """Return the next page to request without a guess, in flight from now on, or 0."""
        number = self._next
        if (
            number > self.goal
            or self._requeued
            or number > self.next_open + reach
            or number in self._settled
            or number in self.in_flight
        ):
            number = self.next_certain(reach)
            if number:
                self.mark_sent(number)
            return number
        self._next = number + 1
        self.in_flight[number] = False
        return number

    def next_certain(self, reach: int) -> int:
        """Return the next page to request without a guess, or 0 if there is none.

        Args:
            reach: Maximum distance of the page past `next_open`.
        """
        requeued = self._requeued
        while requeued and requeued[0] <= self.goal:
            if self.is_new(requeued[0]):
                return requeued[0]
            heappop(requeued)
        self._next = number = self._first_new(self._next)
        return number if number <= self.goal and number <= self.next_open + reach else 0

    def first_past_goal(self) -> int:
        """Return the first new page that only a guess can request."""
        return self._first_new(max(self._next, self.goal + 1))

    def is_new(self, number: int) -> bool:
        """Return True if a page is neither in flight nor settled."""
        return number not in self.in_flight and number not in self._settled

    def _first_new(self, number: int) -> int:
        while number in self.in_flight or number in self._settled:
            number += 1
        return number

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

    def remove_in_flight(self, number: int) -> None:
        """Remove a page from those in flight."""
        if self.in_flight.pop(number):
            self.guesses_in_flight -= 1
