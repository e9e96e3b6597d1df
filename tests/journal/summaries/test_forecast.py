"""The estimate of the pages that are left, on simulated harvests of listings of skewed sizes."""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from tmapi_async.journal.summaries.forecast import MIN_ENDED, remaining_pages

SIZES = {
    "equal": lambda rng: 10,  # noqa: ARG005 - as the others
    "uniform": lambda rng: rng.randint(1, 60),
    "skewed": lambda rng: max(1, min(100, round(rng.lognormvariate(1.5, 1.4)))),
    "very skewed": lambda rng: max(1, min(100, round(rng.paretovariate(0.9)))),
    "nine of ten small": lambda rng: 100 if rng.random() < 0.1 else 1,
}
MOMENTS = (0.1, 0.25, 0.5, 0.75, 0.9)


def moments(sizes, width, rng):
    """Walk listings side by side; yield the pages left and the estimate at some moments."""
    total, done = sum(sizes), 0
    marks = [int(total * moment) for moment in MOMENTS]
    queue, open_listings, ended = list(sizes), [], Counter()
    while marks:
        while len(open_listings) < width and queue:
            open_listings.append([queue.pop(), 0])
        listing = rng.choice(open_listings)
        listing[1] += 1
        done += 1
        if listing[1] == listing[0]:
            open_listings.remove(listing)
            ended[listing[0]] += 1
        if done == marks[0]:
            del marks[0]
            open_sizes = [pages for _, pages in open_listings]
            yield total - done, remaining_pages(ended, open_sizes, len(queue))


@pytest.mark.parametrize("kind", SIZES)
def test_the_estimate_is_right_on_skewed_sizes(kind):
    """The expected number is half right and half too low, and the truth is in the range."""
    rng = random.Random(7)  # noqa: S311 - no secret
    ratios, inside = [], []
    for _ in range(12):
        sizes = [SIZES[kind](rng) for _ in range(300)]
        for remaining, estimate in moments(sizes, 16, rng):
            if estimate is not None:
                ratios.append(estimate.mean / remaining)
                inside.append(estimate.low <= remaining <= estimate.high)
    assert len(ratios) > 0.8 * 12 * len(MOMENTS), "there is an estimate nearly always"
    assert 0.8 <= statistics.median(ratios) <= 1.25
    assert statistics.mean(inside) > 0.75


def test_there_is_no_estimate_before_enough_listings_have_ended():
    """A few small listings say nothing about the others."""
    assert remaining_pages({1: MIN_ENDED - 1}, [30] * 8, 500) is None
    assert remaining_pages({5: MIN_ENDED}, [], 500) is not None


def test_a_range_that_says_nothing_is_no_estimate():
    """Many listings that are still open and large leave everything possible."""
    assert remaining_pages({1: MIN_ENDED}, [3] * 64, 40) is None


def test_with_equal_sizes_the_range_is_a_point():
    """What is known is not blurred."""
    estimate = remaining_pages({10: 100}, [4, 6], 50)
    assert estimate is not None
    assert (estimate.low, estimate.mean, estimate.high) == pytest.approx((510, 510, 510))


def test_the_end_is_the_end():
    """With nothing left, nothing is estimated to be left."""
    estimate = remaining_pages({10: 100}, [], 0)
    assert estimate is not None
    assert (estimate.low, estimate.high) == (0, 0)
