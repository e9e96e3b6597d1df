"""The cost of runs: every request is counted once, under the run that sent it."""

from __future__ import annotations

from tmapi_async import category_items
from tmapi_async.journal.summaries.costs import PageCosts, run_costs
from tmapi_async.journal.views import StartInfo, Tick


def start(number: int, run: int, requests: int, *, retries: int = 0, wasted: int = 0) -> StartInfo:
    """Return a start that sent some requests."""
    tick = Tick(2.0, requests, retries, wasted, 0, 0, 8, {})
    return StartInfo(number, run, 100.0 * number, None, None, "host", "1", 1, tick)


def test_starts_are_summed_by_run_and_pages_by_category() -> None:
    """Two starts of a run are one cost; what belongs to no page is told apart."""
    starts = [start(1, 1, 10, retries=2, wasted=1), start(2, 1, 5), start(3, 2, 4)]
    pages = [
        PageCosts(1, category_items(7), 1, 3, 5, 2, 60),
        PageCosts(1, category_items(7, free_shipping=True), 1, 1, 1, 0, 20),
        PageCosts(1, category_items(8), 1, 2, 2, 0, 0),
        PageCosts(2, category_items(7), 1, 4, 4, 0, 80),
    ]
    first, second = run_costs(starts, pages)
    assert (first.starts, first.requests, first.retries, first.wasted) == (2, 15, 2, 1)
    assert (first.pages, first.items, first.seconds, first.started_at) == (6, 80, 4.0, 100.0)
    assert [(key.key, key.listings, key.requests) for key in first.keys] == [
        ("7", 2, 6),
        ("8", 1, 2),
    ]
    assert first.without_page == 15 - 8
    assert (second.without_page, second.items_per_request) == (0, 20.0)
    assert first.keys[1].items_per_request == 0.0


def test_pages_of_a_start_without_counts_are_shown() -> None:
    """A start that was killed before its first count is no reason to hide what it stored."""
    killed = StartInfo(1, 1, 100.0, None, None, "host", "1", 1, None)
    (run,) = run_costs([killed], [PageCosts(1, category_items(7), 1, 1, 1, 0, 20)])
    assert (run.requests, run.pages, run.without_page) == (0, 1, 0)
