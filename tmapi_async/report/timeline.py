"""What starts counted over time, as rates between moments. Pure."""

from __future__ import annotations

import msgspec

from tmapi_async.journal.views import Tick

MOST_MOMENTS = 600
"""Points of a chart; more cannot be told apart on a screen."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What happened in one stretch of time.

    Attributes:
        at: End of the stretch, milliseconds since 1970, UTC.
        pages: Pages a second.
        items: Items a second.
        refused: 503s and 429s in it.
        width: The gate's width at its end.
        codes: Code to how many a second, 200 left out.
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
        starts: For each start when it began (seconds since 1970) and its ticks, oldest first.

    Returns:
        Moments in the order of time, at most some 600 of them.
    """
    total = sum(len(ticks) for _, ticks in starts)
    step = max(1, -(-total // MOST_MOMENTS))
    found = []
    for began, ticks in starts:
        before = Tick(0.0, 0, 0, 0, 0, 0, 0, {})
        last = len(ticks) - 1
        for tick in (t for n, t in enumerate(ticks) if (n + 1) % step == 0 or n == last):
            if tick.elapsed > before.elapsed:
                found.append(_moment(began, before, tick))
                before = tick
    return sorted(found, key=lambda moment: moment.at)


def _moment(began: float, before: Tick, tick: Tick) -> Moment:
    seconds = tick.elapsed - before.elapsed
    risen = {
        code: number - before.codes.get(code, 0)
        for code, number in tick.codes.items()
        if number > before.codes.get(code, 0)
    }
    return Moment(
        at=round((began + tick.elapsed) * 1000),
        pages=round((tick.pages - before.pages) / seconds, 3),
        items=round((tick.items - before.items) / seconds, 2),
        refused=risen.get("503", 0) + risen.get("429", 0),
        width=tick.width,
        codes={code: round(number / seconds, 3) for code, number in risen.items() if code != "200"},
    )
