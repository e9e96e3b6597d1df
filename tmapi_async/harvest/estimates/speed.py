"""Requests per second that a start can expect, from what earlier processes have learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tmapi_async.journal.views import StartInfo
from tmapi_async.limits.sharing.remembered_limit import RememberedLimit, start_width

_LEAST_PAGES = 20


class Speed(msgspec.Struct, frozen=True):
    """Requests per second.

    Attributes:
        per_second: Number of requests per second.
        width: Requests at the same time, or None if the speed is that of an earlier start.
        age: Seconds since the speed was measured.
    """

    per_second: float
    width: int | None
    age: float


def speed_of_limits(
    limits: Sequence[RememberedLimit | None],
    now: float,
    *,
    most: int | None = None,
    rate: float | None = None,
) -> Speed | None:
    """Return the speed of several accounts at the widths that were learned, or None.

    Args:
        limits: Remembered limit of each account, or None if there is none.
        now: Seconds since 1970.
        most: Maximum number of requests at the same time for each account, or None.
        rate: Maximum number of requests per second for each account, or None.
    """
    per_second, width, age = 0.0, 0, 0.0
    for limit in limits:
        if limit is None or limit.latency <= 0:
            return None
        slots = start_width(limit, now)
        slots = slots if most is None else min(slots, most)
        speed = slots / limit.latency
        per_second += speed if rate is None else min(speed, rate)
        width += slots
        age = max(age, now - limit.learned_at)
    return Speed(per_second, width, age) if width else None


def speed_of_starts(starts: Iterable[StartInfo], now: float) -> Speed | None:
    """Return the speed of the latest start that stored enough pages to tell, or None.

    Args:
        starts: The starts of a journal, oldest first.
        now: Seconds since 1970.
    """
    latest: Speed | None = None
    for start in starts:
        totals = start.totals
        if totals is not None and totals.pages >= _LEAST_PAGES and totals.elapsed > 0:
            latest = Speed(totals.requests / totals.elapsed, None, now - start.started_at)
    return latest


def overhead_of_starts(starts: Iterable[StartInfo]) -> float:
    """Return the requests for each page in the latest start that stored enough pages to tell.

    Refusals because of too many requests at once are left out: they come while a limit is learned.
    """
    overhead = 1.0
    for start in starts:
        totals = start.totals
        if totals is not None and totals.pages >= _LEAST_PAGES:
            retries = max(0, totals.retries - totals.codes.get("503", 0))
            overhead = 1 + retries / max(1, totals.requests - totals.retries)
    return overhead
