"""The speed to expect is that of learned widths, bounded by the user's own limits."""

from __future__ import annotations

import pytest

from tmapi_async.harvest.estimates.speed import (
    overhead_of_starts,
    speed_of_limits,
    speed_of_starts,
)
from tmapi_async.journal.views import StartInfo, Tick
from tmapi_async.limits.sharing.remembered_limit import RememberedLimit


def start(pages: int, requests: int, *, retries: int = 0, codes=None) -> StartInfo:
    """Return a start of ten seconds."""
    tick = Tick(10.0, requests, retries, 0, pages, 0, 8, codes or {})
    return StartInfo(1, 1, 100.0, None, None, "host", "1", 1, tick)


def test_accounts_add_up_and_options_bound_each() -> None:
    """Width by latency, for each account; `--concurrency` and `--rate` bound it."""
    limits = [RememberedLimit(20, 0.5, 1000.0), RememberedLimit(10, 0.5, 1000.0)]
    speed = speed_of_limits(limits, 1010.0)
    assert speed is not None
    assert (speed.per_second, speed.width, speed.age) == (60.0, 30, 10.0)
    bounded = speed_of_limits(limits, 1010.0, most=5, rate=8.0)
    assert bounded is not None
    assert (bounded.per_second, bounded.width) == (16.0, 10)


def test_without_a_learned_limit_there_is_no_speed() -> None:
    """One account of which nothing is known makes the whole unknown."""
    assert speed_of_limits([], 0.0) is None
    assert speed_of_limits([RememberedLimit(20, 0.5, 0.0), None], 0.0) is None


def test_the_latest_start_that_is_long_enough_counts() -> None:
    """A start of a few pages tells nothing."""
    speed = speed_of_starts([start(100, 110), start(3, 3)], 200.0)
    assert speed is not None
    assert (speed.per_second, speed.age) == (11.0, 100.0)
    assert speed_of_starts([start(3, 3)], 200.0) is None


def test_failures_raise_the_cost_and_refusals_of_a_learning_gate_do_not() -> None:
    """A service that fails one request of ten will do so again."""
    assert overhead_of_starts([]) == 1.0
    flaky = start(100, 110, retries=10, codes={"200": 100, "500": 10})
    assert overhead_of_starts([flaky]) == pytest.approx(1.1)
    learning = start(100, 110, retries=10, codes={"200": 100, "503": 10})
    assert overhead_of_starts([learning]) == 1.0
