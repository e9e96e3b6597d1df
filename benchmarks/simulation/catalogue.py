"""Listings of all sizes, and the frontier as a source of work for the simulated client."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from random import Random

from tmapi_async.api.listings import CATEGORY_ITEMS, Listing, PageRequest
from tmapi_async.crawl.frontier import Answer, Frontier

ITEMS = 20


def zipf(listings: int, pages: int, giant: float, exponent: float = 1.1) -> list[int]:
    """Sizes in pages of a skewed set: one giant with a share of all pages, the others Zipf."""
    weights = [rank**-exponent for rank in range(1, listings)]
    rest = pages * (1 - giant)
    scale = rest / sum(weights)
    return [round(pages * giant), *(max(1, round(weight * scale)) for weight in weights)]


def geometric(listings: int, mean: float, random: Random) -> list[int]:
    """Sizes in pages that are geometrically distributed."""
    return [1 + int(random.expovariate(1 / max(1e-9, mean - 1))) for _ in range(listings)]


class Catalogue:
    """A source of work: the real frontier over listings of known (to us alone) sizes.

    Args:
        sizes: Pages of each listing.
        lookahead: As the frontier takes it.
        max_waste: As the frontier takes it.
        told: Whether the frontier is told how long each listing is.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        lookahead: int | None = None,
        max_waste: float = 0.02,
        *,
        told: bool = False,
    ) -> None:
        self.frontier = Frontier(lookahead=lookahead, max_waste=max_waste)
        self.pages = sum(sizes)
        self.delivered = 0
        self.ended = 0
        self.wasted = 0
        self._told = told
        self._sizes: dict[Listing, int] = {}
        self._unopened = iter(enumerate(sizes, start=1))
        self._exhausted = False
        self._again: deque[PageRequest] = deque()

    def take(self, width: int, now: float) -> Hashable | None:
        """The next page to ask for, or None if nothing is certain and nothing may be guessed."""
        del now
        while self._again:
            request = self._again.popleft()
            if self.frontier.wanted(request):
                return request
            self._note(self.frontier.given_back(request))
        while self.frontier.hungry and not self._exhausted:
            self._open_next()
        request_or_none = self.frontier.take(width)
        if request_or_none is not None and self.frontier.hungry:
            self._open_next()
        return request_or_none

    def answered(self, work: Hashable, now: float) -> None:
        """A page came."""
        del now
        assert isinstance(work, PageRequest)
        size = self._sizes[work.listing]
        exists = work.number <= size
        self._note(
            self.frontier.answered(work, has_next=work.number < size, items=ITEMS if exists else 0)
        )

    def again(self, work: Hashable, now: float) -> None:
        """A page must be asked again; look-ahead past a known end need not."""
        del now
        assert isinstance(work, PageRequest)
        self._again.append(work)

    def next_at(self) -> float | None:
        """Everything is there from the start."""
        return None

    def _open_next(self) -> None:
        found = next(self._unopened, None)
        if found is None:
            self._exhausted = True
            return
        number, size = found
        listing = Listing(CATEGORY_ITEMS.name, (("cat_id", str(number)),))
        self._sizes[listing] = size
        self._note(self.frontier.open(listing, expected=size if self._told else None))

    def _note(self, answer: Answer) -> None:
        self.delivered += len(answer.deliver)
        self.wasted += answer.wasted
        self.ended += answer.ended is not None
