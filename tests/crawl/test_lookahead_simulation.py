"""The speed of look-ahead, in a small simulation whose unit of time is the mean latency."""

from __future__ import annotations

import heapq
import random
import statistics
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tmapi_async.api.listings import Listing, PageRequest, category_items
from tmapi_async.crawl.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(NamedTuple):
    """Of one simulated walk: when it ended, and the pages wasted."""

    seconds: float
    wasted: int


def simulate(lengths: Iterable[int], width: int, seed: int, lookahead: int | None) -> Outcome:
    """Walk listings of these lengths; latencies are log-normal (sigma 0.6) with mean 1."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    frontier = Frontier(lookahead=lookahead)
    source = iter([(category_items(number), n) for number, n in enumerate(lengths, start=1)])
    known: dict[Listing, int] = {}
    wire: list[tuple[float, int, PageRequest]] = []
    now, sent, delivered = 0.0, 0, 0
    while True:
        while frontier.wants_listing and (following := next(source, None)) is not None:
            known.update([following])
            frontier.open(following[0])
        while len(wire) < width and (request := frontier.take(width)) is not None:
            sent += 1
            heapq.heappush(wire, (now + chance.lognormvariate(-0.18, 0.6), sent, request))
        if not wire:
            break
        now, _, request = heapq.heappop(wire)
        last = known[request.listing]
        answer = frontier.answered(
            request, has_next=request.number < last, items=20 * (request.number <= last)
        )
        delivered += len(answer.deliver)
    assert delivered == sum(known.values()), "every page exactly once"
    assert len(frontier.trackers) == 0
    return Outcome(now, frontier.statistics().wasted)


def skewed(pages: int, place: int) -> list[int]:
    """300 listings by Zipf's law (1.1), the giant with 30 % of all pages at `place`."""
    weights = [rank**-1.1 for rank in range(1, 300)]
    lengths = [max(1, round(0.7 * pages * weight / sum(weights))) for weight in weights]
    random.Random(1).shuffle(lengths)  # noqa: S311 - no secret
    lengths.insert(place, round(0.3 * pages))
    return lengths


def test_one_long_listing_is_walked_6_times_faster() -> None:
    """100 pages on 16 slots: median at least 6 times faster than page by page, 8 wasted at most."""
    runs = [simulate([100], 16, seed, None) for seed in range(15)]
    alone = [simulate([100], 16, seed, 0) for seed in range(15)]
    assert statistics.median(run.seconds for run in alone) == pytest.approx(100, rel=0.1)
    gain = [slow.seconds / fast.seconds for slow, fast in zip(alone, runs, strict=True)]
    assert statistics.median(gain) >= 6
    assert max(run.wasted for run in runs) <= 8


@pytest.mark.parametrize("width", [4, 16])
@pytest.mark.parametrize("place", [0, 150, 299], ids=["early", "midway", "late"])
def test_a_giant_does_not_run_alone_at_the_end(width: int, place: int) -> None:
    """A skewed set ends within 1.10 of the bound, for 2 % of waste, wherever the giant stands."""
    lengths = skewed(3000, place)
    bound = sum(lengths) / width
    runs = [simulate(lengths, width, seed, None) for seed in range(3)]
    assert statistics.median(run.seconds for run in runs) <= 1.10 * bound
    assert max(run.wasted for run in runs) <= 0.02 * sum(lengths)


def test_without_lookahead_the_giant_runs_alone() -> None:
    """The same set page by page takes more than four times the bound: the comparison is fair."""
    lengths = skewed(3000, 0)
    assert simulate(lengths, 16, 1, 0).seconds > 4 * sum(lengths) / 16
