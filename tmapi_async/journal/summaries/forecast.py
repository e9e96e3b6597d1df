"""Estimate of the pages that are left, from the sizes of the listings so far. No I/O, no clock.

Small listings end first, so the mean size of those that have ended is far too low where a few
listings are large. Listings that are still open count as well: each has at least the pages that it
has now. That is a sample with censored values, for which Kaplan and Meier's estimate is made.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

MIN_ENDED = 20
"""Listings that must have ended before their sizes serve as an estimate for the others."""

USUAL_CEILING = 100
"""Pages of a listing that ends at the API's usual ceiling of 2,000 rows."""

_SPREAD = 1.64  # standard deviations to each side: nine of ten times the truth is in between
_WIDEST = 12.0


class Remaining(msgspec.Struct, frozen=True):
    """Estimate of the pages that are left.

    Attributes:
        low: Pages at least, nine times of ten.
        mean: Pages to expect.
        high: Pages at most, nine times of ten.
    """

    low: float
    mean: float
    high: float


class _Survival:
    """Share of the listings that are larger than a size, estimated from ended and open ones."""

    def __init__(self, ended: Mapping[int, int], open_sizes: Iterable[int]) -> None:
        censored = sorted(open_sizes)
        at_risk = sum(ended.values()) + len(censored)
        sizes, shares, share, seen = [0], [1.0], 1.0, 0
        for size in sorted(ended):
            # Open listings of this size have their next page still to come: they are larger.
            passed = bisect_left(censored, size)
            at_risk -= passed - seen
            seen = passed
            share *= 1 - ended[size] / at_risk
            at_risk -= ended[size]
            if size == sizes[-1]:
                shares[-1] = share
            else:
                sizes.append(size)
                shares.append(share)
        self._sizes, self._shares = sizes, shares
        self.largest = max(sizes[-1], censored[-1] if censored else 0)

    def moments(self, beyond: int, tail: float) -> tuple[float, float]:
        """Return mean and variance of the pages beyond a number of pages, of listings that large.

        Args:
            beyond: The number of pages.
            tail: Pages that a listing larger than all seen so far has in addition, on average.
        """
        start = self._share(beyond)
        first = second = 0.0
        edges = [*self._sizes, max(self.largest, beyond)]
        for index, share in enumerate(self._shares):
            low, high = max(edges[index], beyond) - beyond, max(edges[index + 1], beyond) - beyond
            first += share * (high - low)
            second += share * (high * high - low * low)
        last = edges[-1] - beyond
        first += self._shares[-1] * tail
        second += self._shares[-1] * ((last + tail) ** 2 - last * last)
        if start <= 0:
            return tail, tail * tail
        first, second = first / start, second / start
        return first, max(0.0, second - first * first)

    def _share(self, size: int) -> float:
        position = bisect_left(self._sizes, size + 1) - 1
        return self._shares[position]


def remaining_pages(
    ended: Mapping[int, int], open_sizes: Iterable[int], waiting: int
) -> Remaining | None:
    """Estimate the pages that are left.

    Args:
        ended: Size in pages -> number of listings of that size that have ended.
        open_sizes: Pages so far of each listing that has begun and has not ended.
        waiting: Number of listings that have not begun.

    Returns:
        The estimate; None before there is one, or where it would say nothing.
    """
    count, sizes = sum(ended.values()), list(open_sizes)
    if count < MIN_ENDED:
        return None
    survival = _Survival(ended, sizes)
    estimates = []
    tails = (0.0, float(survival.largest), float(max(2 * survival.largest, USUAL_CEILING)))
    for tail in tails:
        pages = spread = 0.0
        for size in sizes:
            mean, variance = survival.moments(size, tail)
            pages, spread = pages + mean, spread + variance
        if waiting:
            mean, variance = survival.moments(0, tail)
            pages += waiting * mean
            # Chance among the listings that wait, and the error of the mean itself.
            spread += variance * waiting * (1 + waiting / (count + len(sizes)))
        estimates.append((pages, math.sqrt(spread)))
    (low, low_spread), (mean, _), (high, high_spread) = estimates
    result = Remaining(max(low / 3, low - _SPREAD * low_spread), mean, high + _SPREAD * high_spread)
    return result if result.high <= _WIDEST * max(1.0, result.low) else None


def time_left(
    rate: float,
    ended: Mapping[int, int],
    *,
    open_sizes: Iterable[int],
    waiting: int,
    expected: int | None,
) -> Remaining | None:
    """Return the estimated seconds until the end, or None if there is no estimate.

    Args:
        rate: Pages per second.
        ended: Size in pages -> number of listings of that size that have ended.
        open_sizes: Pages so far of each listing that has begun and has not ended.
        waiting: Number of listings that have not begun.
        expected: Pages that are left by the sizes of an earlier run, or None if unknown.
    """
    if rate <= 0:
        return None
    if expected is not None:
        pages: Remaining | None = Remaining(0.8 * expected, expected, 1.25 * expected)
    else:
        pages = remaining_pages(ended, open_sizes, waiting)
    if pages is None:
        return None
    return Remaining(pages.low / rate, pages.mean / rate, pages.high / rate)
