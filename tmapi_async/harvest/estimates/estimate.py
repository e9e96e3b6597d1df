"""Expected pages and requests of a start, from the known sizes of its listings. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.endpoints import ENDPOINTS, Endpoint
from tmapi_async.api.listings import USUAL_CEILING, Listing
from tmapi_async.journal.summaries.forecast import remaining_pages
from tmapi_async.journal.summaries.sizes import ListingSize

Source: TypeAlias = Literal["earlier run", "total", "other listings", "one page", "unknown"]

_USUAL_PAGE = 20
_SPREADS: dict[Source, tuple[float, float]] = {
    "earlier run": (0.8, 1.25),
    "total": (0.9, 1.15),
    "one page": (1.0, 1.0),
}
"""Least and most pages for each expected page. Listings change between two runs."""


class Amount(msgspec.Struct, frozen=True):
    """An expected number.

    Attributes:
        low: Least number.
        likely: Number to expect, or None if it is not known.
        high: Greatest number, or None if there is no bound.
    """

    low: float = 0.0
    likely: float | None = 0.0
    high: float | None = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.low + other.low,
            None if None in (self.likely, other.likely) else self.likely + other.likely,  # type: ignore[operator]
            None if None in (self.high, other.high) else self.high + other.high,  # type: ignore[operator]
        )

    def times(self, factor: float, plus: float = 0.0) -> Amount:
        """Return the amount multiplied by a factor, and something added."""
        return Amount(
            self.low * factor + plus,
            None if self.likely is None else self.likely * factor + plus,
            None if self.high is None else self.high * factor + plus,
        )

    def rounded(self) -> Amount:
        """Return the amount in whole numbers."""
        return Amount(
            math.floor(self.low),
            None if self.likely is None else round(self.likely),
            None if self.high is None else math.ceil(self.high),
        )


class ListingEstimate(msgspec.Struct, frozen=True):
    """Pages that a start will request of one listing.

    Attributes:
        listing: Identity of the listing.
        stored: Pages that are stored already.
        pages: Pages to come.
        source: Source of the estimate: an earlier run, the total of the first page, the sizes of
            other listings, an endpoint without pages, or nothing.
    """

    listing: str
    stored: int
    pages: Amount
    source: Source


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Expected cost of a start.

    Attributes:
        finished: Listings of the job that need no request.
        listings: Listings that are left.
        pages: Pages to come.
        requests: Requests to come, retries and comparisons with earlier starts included.
        seconds: Time that this takes, or None if no speed is known.
        unbounded: Number of listings without an upper bound.
        by_listing: The listings that are left, in the order of the job.
    """

    finished: int
    listings: int
    pages: Amount
    requests: Amount
    seconds: Amount | None = None
    unbounded: int = 0
    by_listing: list[ListingEstimate] = []

    @property
    def sources(self) -> dict[Source, int]:
        """Source -> number of listings."""
        counts: dict[Source, int] = {}
        for entry in self.by_listing:
            counts[entry.source] = counts.get(entry.source, 0) + 1
        return counts

    def exceeds(self, requests: int) -> bool:
        """Return True if more requests than these are to be expected, or cannot be excluded."""
        expected = self.requests.high if self.requests.likely is None else self.requests.likely
        return expected is None or expected > requests

    def at_speed(self, per_second: float | None) -> Estimate:
        """Return the estimate with the time that its requests take.

        Args:
            per_second: Requests per second, or None if that is not known.
        """
        seconds = self.requests.times(1 / per_second) if per_second else None
        return msgspec.structs.replace(self, seconds=seconds)


class EstimateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a start that decide its cost.

    Attributes:
        max_pages: Maximum number of pages per listing, or None.
        ceiling: Rows after which a listing is divided, or None if listings are not divided.
        overhead: Requests for each page, retries included.
    """

    max_pages: int | None = None
    ceiling: int | None = None
    overhead: float = 1.0


def estimate_sizes(
    sizes: Iterable[ListingSize],
    ended: Callable[[str], Mapping[int, int]],
    options: EstimateOptions,
    *,
    finished: int = 0,
) -> Estimate:
    """Return the expected cost of walking some listings.

    Args:
        sizes: The listings that are left.
        ended: Returns, for an endpoint, a map: pages -> number of listings that ended there.
        options: Options of the start.
        finished: Listings of the job that need no request.
    """
    entries: list[ListingEstimate] = []
    unknown: dict[str, list[tuple[int, ListingSize]]] = {}
    looks = 0
    for size in sizes:
        looks += size.looks
        entry = _known(size, options)
        if entry is None:
            unknown.setdefault(size.visit.listing.endpoint, []).append((len(entries), size))
            entry = _range(size, options)
        entries.append(entry)
    for endpoint, group in unknown.items():
        _spread(entries, group, ended(endpoint), options)
    pages = sum((entry.pages for entry in entries), start=Amount())
    return Estimate(
        finished=finished,
        listings=len(entries),
        pages=pages,
        requests=pages.times(options.overhead, looks),
        unbounded=sum(entry.pages.high is None for entry in entries),
        by_listing=entries,
    )


def _known(size: ListingSize, options: EstimateOptions) -> ListingEstimate | None:
    """Return the estimate of a listing whose size is known, or None."""
    listing = size.visit.listing
    endpoint = ENDPOINTS.get(listing.endpoint)
    if endpoint is not None and not endpoint.paged:
        return _entry(size, 1, "one page", options)
    if options.ceiling is not None and size.divided_pages is not None:
        return _entry(size, size.divided_pages, "earlier run", options)
    if _is_cut(size, endpoint, options):
        return None
    earlier = size.earlier_pages
    if options.max_pages is not None and options.max_pages <= (size.least_pages or 0):
        earlier = options.max_pages
    if earlier is not None:
        return _entry(size, earlier, "earlier run", options)
    if size.total is not None and size.total > 0:
        return _entry(size, _pages_of_total(size, endpoint), "total", options)
    return None


def _is_cut(size: ListingSize, endpoint: Endpoint | None, options: EstimateOptions) -> bool:
    """Return True if a listing will be divided into parts that nobody has counted."""
    if options.ceiling is None or endpoint is None or not endpoint.ceiling:
        return False
    rows = size.total or (size.earlier_pages or 0) * _page_size(size)
    return rows >= options.ceiling


def _pages_of_total(size: ListingSize, endpoint: Endpoint | None) -> int:
    rows = size.total or 0
    if endpoint is not None and endpoint.ceiling:
        rows = min(rows, USUAL_CEILING)
    return max(1, -(-rows // _page_size(size)))


def _page_size(size: ListingSize) -> int:
    return size.page_size or _requested_size(size.visit.listing)


def _requested_size(listing: Listing) -> int:
    return int(dict(listing.params).get("page_size", _USUAL_PAGE))


def _entry(
    size: ListingSize, whole: int, source: Source, options: EstimateOptions
) -> ListingEstimate:
    if options.max_pages is not None:
        whole = min(whole, options.max_pages)
    # A listing that is not finished has at least one more page to request.
    left = max(1, whole - size.stored)
    low, high = _SPREADS[source]
    pages = Amount(max(1.0, left * low), left, left * high)
    return ListingEstimate(size.visit.listing.identity, size.stored, pages, source)


def _range(size: ListingSize, options: EstimateOptions) -> ListingEstimate:
    """Return the range of pages of a listing of which nothing more is known."""
    listing = size.visit.listing
    endpoint = ENDPOINTS.get(listing.endpoint)
    most: int | None = None
    cut = _is_cut(size, endpoint, options)
    if endpoint is not None and endpoint.ceiling and options.ceiling is None:
        most = -(-USUAL_CEILING // _page_size(size))
    if options.max_pages is not None:
        most = options.max_pages if most is None else min(most, options.max_pages)
    least = -(-(options.ceiling or 0) // _page_size(size)) - size.stored if cut else 1
    least = max(least, (size.least_pages or 0) - size.stored)
    high = None if most is None else float(max(1, most - size.stored))
    low = float(max(1, least))
    pages = Amount(low if high is None else min(low, high), None, high)
    return ListingEstimate(listing.identity, size.stored, pages, "unknown")


def _spread(
    entries: list[ListingEstimate],
    group: list[tuple[int, ListingSize]],
    ended: Mapping[int, int],
    options: EstimateOptions,
) -> None:
    """Estimate unknown listings of an endpoint by the sizes of those that have ended, if enough."""
    group = [
        (place, size)
        for place, size in group
        if not _is_cut(size, ENDPOINTS.get(size.visit.listing.endpoint), options)
    ]
    if options.max_pages is not None:
        ended = _cut(ended, options.max_pages)
    open_sizes = [size.stored for _, size in group if size.stored]
    left = remaining_pages(ended, open_sizes, len(group) - len(open_sizes))
    if left is None or not group:
        return
    each = Amount(left.low, left.mean, left.high).times(1 / len(group))
    for place, _ in group:
        entries[place] = msgspec.structs.replace(
            entries[place], pages=each, source="other listings"
        )


def _cut(ended: Mapping[int, int], most: int) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for pages, count in ended.items():
        sizes[min(pages, most)] = sizes.get(min(pages, most), 0) + count
    return sizes
