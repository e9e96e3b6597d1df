"""Pages and endings on their way to the caller, in the order in which they are to be met. No I/O.

A page counts as delivered when the caller takes it, and a listing as ended when its last page was
taken: what nobody took, because the walk was left, must not look walked.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, TypeAlias

from tmapi_async.api.listings import Listing
from tmapi_async.api.replies import Page

from .open_listings import OpenListing, OpenListings
from .outcomes import Ending


class _Delivery(NamedTuple):
    page: Page
    items: int
    fresh: int

    @property
    def listing(self) -> Listing:
        return self.page.request.listing


class _End(NamedTuple):
    entry: OpenListing
    ending: Ending


_Waiting: TypeAlias = _Delivery | _End


class DeliveryQueue:
    """Pages that wait to be taken, and the endings of their listings behind them.

    Args:
        ledger: Told of each page and ending when it is met.

    Attributes:
        pages: How many pages wait.
    """

    def __init__(self, ledger: OpenListings) -> None:
        self.pages = 0
        self._ledger = ledger
        self._queue: deque[_Waiting] = deque()

    def put(self, page: Page, items: int, fresh: int) -> None:
        """Add a page that came with so many items, so many of them new to its listing."""
        self._queue.append(_Delivery(page, items, fresh))
        self.pages += 1

    def end(self, entry: OpenListing, ending: Ending) -> None:
        """Add the ending of a listing, behind its pages."""
        self._queue.append(_End(entry, ending))

    def take(self) -> Page | None:
        """The next page, or None if none waits; endings met on the way are told."""
        while self._queue:
            first = self._queue.popleft()
            if isinstance(first, _Delivery):
                self.pages -= 1
                self._ledger.count(first.items, first.fresh, len(first.page.rejects))
                return first.page
            self._ledger.close(first.entry, first.ending)
        return None

    def drop(self) -> None:
        """Nobody will take any more: a listing with pages left here was stopped."""
        queue, self._queue, self.pages = self._queue, deque(), 0
        untaken = {entry.listing for entry in queue if isinstance(entry, _Delivery)}
        for entry, ending in (end for end in queue if isinstance(end, _End)):
            stopped = entry.opening.listing in untaken
            self._ledger.close(entry, "stopped" if stopped else ending)

    def __repr__(self) -> str:
        return f"<Outbox: {self.pages} pages wait>"
