"""Counts of the starts over time, as rates between moments. Pure."""

from __future__ import annotations

import msgspec

from tmapi_async.journal.views import Tick

MAX_MOMENTS = 600
"""Points of a chart; a screen cannot show more."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """Rates in one interval of time.

    Attributes:
        at: End of the interval, milliseconds since 1970, UTC.
        pages: Pages per second.
        items: Items per second.
        refused: Number of replies with code 503 or 429 in the interval.
        width: Width of the gate at the end of the interval.
        codes: Code -> replies per second, without code 200.
    """

    at: int
    pages: float
    items: float
    refused: int
    width: int
    codes: dict[str, float]


def timeline(starts: list[tuple[float, list[Tick]]]) -> list[Moment]:
    """Turn the ticks of starts into rates.

    Args:
        starts: Time of each start (seconds since 1970) and its ticks, oldest first.

    Returns:
        Moments in the order of time: at most some 600.
    """
    total = sum(len(ticks) for _, ticks in starts)
    step = max(1, -(-total // MAX_MOMENTS))
    moments = []
    for started_at, ticks in starts:
        before = Tick(0.0, 0, 0, 0, 0, 0, 0, {})
        last = len(ticks) - 1
        for index, tick in enumerate(ticks):
            if (index + 1) % step and index != last:
                continue
            if tick.elapsed > before.elapsed:
                moments.append(_moment(started_at, before, tick))
                before = tick
    return sorted(moments, key=lambda moment: moment.at)


def _moment(started_at: float, before: Tick, tick: Tick) -> Moment:
    seconds = tick.elapsed - before.elapsed
    increases = {
        code: number - before.codes.get(code, 0)
        for code, number in tick.codes.items()
        if number > before.codes.get(code, 0)
    }
    return Moment(
        at=round((started_at + tick.elapsed) * 1000),
        pages=round((tick.pages - before.pages) / seconds, 3),
        items=round((tick.items - before.items) / seconds, 2),
        refused=increases.get("503", 0) + increases.get("429", 0),
        width=tick.width,
        codes={
            code: round(number / seconds, 3) for code, number in increases.items() if code != "200"
        },
    )
