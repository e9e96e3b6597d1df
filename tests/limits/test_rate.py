from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.virtual_time import run, virtual_loop
from tmapi_async.limits.rate import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable


def peak_in(starts: list[float], seconds: float) -> int:
    """Return the largest number of starts in any period of so many seconds, ends included."""
    peak = first = 0
    for last, at in enumerate(starts):
        while at - starts[first] > seconds:
            first += 1
        peak = max(peak, last - first + 1)
    return peak


def start_times(
    rate: float, count: int, gaps: Callable[[int], float] = lambda _: 0.0
) -> list[float]:
    """Return the start times of `count` attempts that come with these gaps between them."""

    async def main() -> list[float]:
        limiter, starts = RateLimiter(rate), list[float]()

        async def start() -> None:
            await limiter.wait()
            starts.append(virtual_loop().now)

        tasks = []
        for number in range(count):
            tasks.append(asyncio.ensure_future(start()))
            if gap := gaps(number):
                await asyncio.sleep(gap)
        await asyncio.gather(*tasks)
        return starts

    return run(main())


@pytest.mark.parametrize("rate", [0.01, 0.5, 1, 1.5, 3, 10, 25, 30, 100, 333.3])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 10.0])
def test_no_period_holds_more_starts_than_the_rate(rate: float, seconds: float) -> None:
    """In any period there are at most rate x seconds starts and 50 ms worth, at least one."""
    starts = start_times(rate, 200)
    assert peak_in(starts, seconds) <= rate * seconds + max(1.0, rate / 20) + 1e-6


@pytest.mark.parametrize("rate", [0.5, 1, 3, 10, 25, 30, 100])
def test_the_rate_is_used(rate: float) -> None:
    """With attempts waiting all the time, the rate is used within a hundredth."""
    starts = start_times(rate, 300)
    assert (len(starts) - 1) / (starts[-1] - starts[0]) >= 0.99 * rate


@given(
    st.sampled_from([0.5, 2.0, 7.0, 25.0, 100.0]),
    st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3, 5.0, 100.0]), min_size=1, max_size=60),
)
@settings(max_examples=60)
def test_an_idle_limiter_stores_no_burst(rate: float, gaps: list[float]) -> None:
    """After any idle time no more than 50 ms worth start at once, at least one."""
    starts = start_times(rate, len(gaps), gaps.__getitem__)
    for seconds in (0.0, 0.05, 1.0):
        assert peak_in(starts, seconds) <= rate * seconds + max(1.0, rate / 20) + 1e-6
