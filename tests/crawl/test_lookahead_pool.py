"""Walks of one client waste together no more than one of them would."""

from __future__ import annotations

import gc
from collections import deque

from tmapi_async.api.listings import category_items
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.lookahead import GuessCounts, LookaheadPool


def walk(frontiers: deque[tuple[Frontier, dict[int, int]]], width: int) -> int:
    """Let each frontier send what it can, and answer in turn. Returns the wasted pages."""
    wasted = 0
    flying = deque()
    while frontiers:
        frontier, sizes = frontiers.popleft()
        while (request := frontier.take(width)) is not None:
            flying.append(request)
        if not flying:
            wasted += frontier.statistics().wasted
            continue
        while flying:
            request = flying.popleft()
            size = sizes[request.listing.cat_id or 0]
            frontier.answered(
                request, has_next=request.number < size, items=20 * (request.number <= size)
            )
        frontiers.append((frontier, sizes))
    return wasted


def short_walks(pool: LookaheadPool | None, pages: int, count: int = 40, width: int = 16) -> int:
    """Walk listings of equal size, each by a walk of its own, four at a time."""
    wasted = 0
    for first in range(1, count, 4):
        numbers = range(first, first + 4)
        frontiers = deque()
        for number in numbers:
            frontier = Frontier(pool=pool)
            frontier.open(category_items(number))
            frontiers.append((frontier, {number: pages}))
        wasted += walk(frontiers, width)
    return wasted


def test_short_walks_by_tasks_waste_at_most_six_in_a_hundred() -> None:
    """40 categories of 2 pages, 4 at a time: without the pool up to half of them were wasted."""
    assert short_walks(None, pages=2) >= 0.3 * 80
    assert short_walks(LookaheadPool(), pages=2) <= 0.06 * 80


def test_long_walk_after_short_ones_is_still_looked_ahead() -> None:
    """A listing that has proven itself is guessed for, whatever short ones came before."""
    pool = LookaheadPool()
    short_walks(pool, pages=2)
    frontier = Frontier(pool=pool)
    frontier.open(category_items(99))
    walk(deque([(frontier, {99: 200})]), 16)
    assert frontier.statistics().guesses >= 10


def test_walk_alone_is_as_without_a_pool() -> None:
    """The pool restricts a walk only by what other walks did."""
    for pages in (1, 2, 7, 50, 300):
        seen = []
        for pool in (None, LookaheadPool()):
            frontier = Frontier(pool=pool)
            frontier.open(category_items(1))
            wasted = walk(deque([(frontier, {1: pages})]), 16)
            seen.append((wasted, frontier.statistics().guesses))
        assert seen[0] == seen[1]


def test_waste_of_walks_that_are_gone_is_remembered() -> None:
    """What ended walks wasted counts, although nothing of them is kept but three numbers."""
    pool = LookaheadPool()
    wasted = short_walks(pool, pages=2)
    gc.collect()
    counts = GuessCounts()
    walk = Frontier()
    pool.join(walk, counts)
    totals = pool.totals(counts)
    assert (totals.wasted, totals.at_stake) == (wasted, 0)
    assert totals.requested == 80 + wasted
