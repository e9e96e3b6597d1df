"""Latencies with a heavy tail, drawn from a table with an exact mean."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from random import Random
from statistics import NormalDist

SIZE = 20_000
LONGEST = 20


@functools.cache
def table(sigma: float, tail: float) -> tuple[float, ...]:
    """Return equally likely latencies of mean 1: log-normal, the slowest `tail` stretched.

    The stretch grows from 1 to 4 within the tail, which is heavier than any log-normal's. The
    slowest is about 20 times the mean, since servers have time limits, too.
    """
    normal = NormalDist(0.0, sigma)
    ranks = [(i + 0.5) / SIZE for i in range(SIZE)]
    values = [math.exp(normal.inv_cdf(rank)) for rank in ranks]
    slow = int(SIZE * (1 - tail))
    for i in range(slow, SIZE):
        values[i] *= 1 + 3 * (i - slow) / (SIZE - slow)
    most = LONGEST * sum(values) / SIZE
    values = [min(value, most) for value in values]
    mean = sum(values) / SIZE
    return tuple(value / mean for value in values)


def sampler(
    random: Random, mean: float, sigma: float = 0.8, tail: float = 0.01
) -> Callable[[], float]:
    """Return a function that draws one latency in seconds."""
    values = [value * mean for value in table(sigma, tail)]
    draw = random.random
    return lambda: values[int(draw() * SIZE)]
