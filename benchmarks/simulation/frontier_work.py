"""Listings of many sizes, and the real frontier as source of work of the simulated client."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from random import Random

from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.crawl.answers import Answer
from tmapi_async.crawl.frontier import Frontier

ITEMS = 20


def zipf(listings: int, pages: int, giant: float, exponent: float = 1.1) -> list[int]:
    """Return sizes in pages: one giant with a share of all pages, the others Zipf."""
    weights = [rank**-exponent for rank in range(1, listings)]
    rest = pages * (1 - giant)
    scale = rest / sum(weights)
    return [round(pages * giant), *(max(1, round(weight * scale)) for weight in weights)]


def geometric(listings: int, mean: float, random: Random) -> list[int]:
    """Return sizes in pages with a geometric distribution."""
    return [1 + int(random.expovariate(1 / max(1e-9, mean - 1))) for _ in range(listings)]


class FrontierWork:
    """Work from the real frontier, over listings whose sizes only the simulation knows.

    Args:
        sizes: Number of pages of each listing.
        lookahead: Look-ahead of the frontier.
        max_waste: Allowed waste of the frontier.
        lengths_known: True if the frontier knows the length of each listing.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        lookahead: int | None = None,
        max_waste: float = 0.02,
        *,
        lengths_known: bool = False,
    ) -> None:
        self.frontier = Frontier(lookahead=lookahead, max_waste=max_waste)
        self.pages = sum(sizes)
        self.delivered = 0
        self.ended = 0
        self.wasted = 0
        self._lengths_known = lengths_known
        self._sizes: dict[Listing, int] = {}
        self._unopened = iter(enumerate(sizes, start=1))
        self._exhausted = False
        self._again: deque[PageRequest] = deque()

    def take(self, width: int, now: float) -> Hashable | None:
        """Return the next page to request. None if no page is certain and no guess is allowed."""
        del now
        while self._again:
            request = self._again.popleft()
            if self.frontier.is_needed(request):
                return request
            self._note(self.frontier.reclaimed(request))
        while self.frontier.wants_listing and not self._exhausted:
            self._open_next()
        request_or_none = self.frontier.take(width)
        if request_or_none is not None and self.frontier.wants_listing:
            self._open_next()
        return request_or_none

    def answered(self, work: Hashable, now: float) -> None:
        """Report an answered page to the frontier."""
        del now
        assert isinstance(work, PageRequest)
        size = self._sizes[work.listing]
        exists = work.number <= size
        self._note(
            self.frontier.answered(work, has_next=work.number < size, items=ITEMS if exists else 0)
        )

    def again(self, work: Hashable, now: float) -> None:
        """Put a page back; `take` drops it if it lies past the known end by then."""
        del now
        assert isinstance(work, PageRequest)
        self._again.append(work)

    def next_at(self) -> float | None:
        """Return None: all work is available from the start."""
        return None

    def _open_next(self) -> None:
        following = next(self._unopened, None)
        if following is None:
            self._exhausted = True
            return
        number, size = following
        listing = Listing(CATEGORY_ITEMS.name, (("cat_id", str(number)),))
        self._sizes[listing] = size
        self._note(self.frontier.open(listing, expected=size if self._lengths_known else None))

    def _note(self, answer: Answer) -> None:
        self.delivered += len(answer.deliver)
        self.wasted += answer.wasted
        self.ended += answer.ended is not None
