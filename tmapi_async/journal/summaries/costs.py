"""Cost of each run in requests, by endpoint and by category or other key. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.journal.views import FailedPage, StartInfo

_KEYS = ("cat_id", "keyword", "member_id", "shop_url")


class PageCosts(NamedTuple):
    """Cost of some pages of one listing.

    Attributes:
        run: Number of the run in which the requests were sent.
        listing: The listing.
        first_pages: Number of first pages among them.
        pages: Stored pages; 0 for one that failed.
        requests: Requests sent for them.
        retries: Requests beyond the first of their page.
        items: Items on them.
    """

    run: int
    listing: Listing
    first_pages: int
    pages: int
    requests: int
    retries: int
    items: int


class KeyCost(msgspec.Struct, kw_only=True):
    """Cost of the listings of an endpoint with the same category, keyword or shop in a run.

    Attributes:
        endpoint: Name of the endpoint.
        key: Category ID, keyword or shop; empty for listings without such a key.
        listings: Number of listings with stored pages.
        pages: Stored pages.
        requests: Requests for these pages and for pages that failed.
        retries: Requests beyond the first of their page.
        items: Items on the stored pages.
    """

    endpoint: str
    key: str = ""
    listings: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    items: int = 0

    @property
    def items_per_request(self) -> float:
        """Number of items for each request."""
        return self.items / self.requests if self.requests else 0.0


class RunCost(msgspec.Struct, kw_only=True):
    """Cost of a run.

    Attributes:
        run: Number of the run.
        started_at: Time of its first start, seconds since 1970, UTC.
        starts: Number of starts.
        requests: Requests of all its starts.
        retries: Requests beyond the first of their page.
        wasted: Requests of pages past the end, and look-ahead that was given up.
        pages: Stored pages.
        items: Items on these pages.
        seconds: Duration of all its starts.
        keys: Cost by endpoint and key, in the order of the first page.
    """

    run: int
    started_at: float
    starts: int = 0
    requests: int = 0
    retries: int = 0
    wasted: int = 0
    pages: int = 0
    items: int = 0
    seconds: float = 0.0
    keys: list[KeyCost] = msgspec.field(default_factory=list)

    @property
    def items_per_request(self) -> float:
        """Number of items for each request."""
        return self.items / self.requests if self.requests else 0.0

    @property
    def without_page(self) -> int:
        """Requests that belong to no page in `keys`: wasted ones, looks, and those a kill lost."""
        return max(0, self.requests - sum(key.requests for key in self.keys))


def run_costs(starts: Iterable[StartInfo], pages: Iterable[PageCosts]) -> list[RunCost]:
    """Return the cost of each run.

    Args:
        starts: The starts of the journal, oldest first.
        pages: Costs of all stored pages, and of pages that failed.
    """
    runs: dict[int, RunCost] = {}
    for start in starts:
        run = runs.setdefault(start.run, RunCost(run=start.run, started_at=start.started_at))
        run.starts += 1
        if start.totals is not None:
            run.requests += start.totals.requests
            run.retries += start.totals.retries
            run.wasted += start.totals.wasted
            run.seconds = round(run.seconds + start.totals.elapsed, 3)
    keys: dict[tuple[int, str, str], KeyCost] = {}
    for costs in pages:
        endpoint, key = costs.listing.endpoint, _key(costs.listing)
        cost = keys.setdefault((costs.run, endpoint, key), KeyCost(endpoint=endpoint, key=key))
        cost.listings += costs.first_pages
        cost.pages += costs.pages
        cost.requests += costs.requests
        cost.retries += costs.retries
        cost.items += costs.items
    for (number, _, _), cost in keys.items():
        _add_key(runs.setdefault(number, RunCost(run=number, started_at=0.0)), cost)
    return [runs[number] for number in sorted(runs)]


def _add_key(run: RunCost, cost: KeyCost) -> None:
    run.keys.append(cost)
    run.pages += cost.pages
    run.items += cost.items


def failed_page_costs(page: FailedPage) -> PageCosts:
    """Return the cost of a page that failed."""
    attempts = page.attempts
    return PageCosts(page.run, page.listing, 0, 0, attempts, max(0, attempts - 1), 0)


def _key(listing: Listing) -> str:
    params = dict(listing.params)
    return next((params[name] for name in _KEYS if name in params), "")
