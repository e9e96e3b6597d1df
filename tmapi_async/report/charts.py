"""Facts as charts: options for Apache ECharts, as plain data. Pure.

Colours are left out: the page gives them, for light and for dark. No text of a stranger goes into
a chart, only category IDs, identities of listings as they were asked for, codes and numbers.
"""

from __future__ import annotations

from typing import Any

from .facts import ReportFacts
from .shares import PriceHistogram
from .timeline import Moment

Option = dict[str, Any]

_ROW = 26  # pixels for one category
_BESIDE = 90
_LABEL = 84  # pixels for a category's ID
_LONG_LABEL = 180  # for what was asked of a listing; what is longer is cut
_FAINT = {"opacity": 0.15}


def charts(facts: ReportFacts) -> dict[str, Option]:
    """Every chart of a report that has something to show, by its name on the page."""
    found: dict[str, Option] = {}
    if len(facts.timeline) > 1:
        found["speed"] = _speed(facts.timeline)
        found["codes"] = _codes(facts.timeline)
    if facts.goods.prices:
        found["prices"] = _prices(facts.goods.prices)
    if facts.goods.rated:
        found["rates"] = _rates(facts.goods.rates)
    return found


def height(facts: ReportFacts, name: str) -> int:
    """How tall a chart is, in pixels."""
    return _BESIDE + _ROW * len(facts.goods.prices) if name == "prices" else 300


def _over_time(series: list[Option], axes: list[Option]) -> Option:
    return {
        "grid": {"left": 56, "right": 48, "top": 64, "bottom": 40},
        "legend": {"top": 0, "type": "scroll"},
        "tooltip": {"trigger": "axis"},
        "dataZoom": [{"type": "inside"}],
        "xAxis": {"type": "time", "axisLabel": {"hideOverlap": True}},
        "yAxis": axes,
        "series": series,
    }


def _line(name: str, points: list[list[Any]], **more: Any) -> Option:
    return {"name": name, "type": "line", "showSymbol": False, "data": points, **more}


def _speed(moments: list[Moment]) -> Option:
    return _over_time(
        [
            _line("pages a second", [[m.at, m.pages] for m in moments], areaStyle=_FAINT),
            _line("gate width", [[m.at, m.width] for m in moments], step="end", yAxisIndex=1),
        ],
        [
            {"type": "value", "name": "pages/s"},
            {"type": "value", "name": "width", "splitLine": {"show": False}, "minInterval": 1},
        ],
    )


def _codes(moments: list[Moment]) -> Option:
    codes = sorted({code for moment in moments for code in moment.codes})
    series = [
        _line(
            code,
            [[m.at, m.codes.get(code, 0)] for m in moments],
            stack="codes",
            areaStyle={"opacity": 0.4},
        )
        for code in codes
    ]
    refused = _line(
        "refused (503, 429), in all", _summed(moments), yAxisIndex=1, lineStyle={"type": "dashed"}
    )
    return _over_time(
        [*series, refused],
        [
            {"type": "value", "name": "a second"},
            {"type": "value", "name": "in all", "splitLine": {"show": False}, "minInterval": 1},
        ],
    )


def _summed(moments: list[Moment]) -> list[list[int]]:
    points, total = [], 0
    for moment in moments:
        total += moment.refused
        points.append([moment.at, total])
    return points


def _prices(prices: list[PriceHistogram]) -> Option:
    """Boxes from the 25th to the 75th percentile, whiskers from the 5th to the 95th."""
    least = min((mark for p in prices for mark in p.quantiles if mark > 0), default=0.01)
    names = [p.group.partition("?")[2] or p.group for p in prices]
    label = _LABEL if all(map(str.isdigit, names)) else _LONG_LABEL
    return {
        "grid": {"left": label + 12, "right": 24, "top": 10, "bottom": 50},
        "tooltip": {"trigger": "item"},
        # A logarithm has no place for 0.
        "xAxis": {
            "type": "log",
            "name": "yuan",
            "nameLocation": "middle",
            "nameGap": 30,
            "min": _floor(least),
        },
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": names,
            "axisLabel": {"width": label, "overflow": "truncate"},
        },
        "series": [
            {
                "type": "boxplot",
                "name": "price",
                "itemStyle": {"color": "transparent", "borderWidth": 1.5},
                "data": [[max(mark, least) for mark in p.quantiles] for p in prices],
            }
        ],
    }


def _floor(value: float) -> float:
    power = 0.001
    while power * 10 <= value:
        power *= 10
    return power


def _rates(rates: list[int]) -> Option:
    step = 100 // len(rates)
    return {
        "grid": {"left": 64, "right": 16, "top": 10, "bottom": 50},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "name": "buyers who came back, %",
            "nameLocation": "middle",
            "nameGap": 30,
            "data": [f"{n * step}-{(n + 1) * step}" for n in range(len(rates))],
        },
        "yAxis": {"type": "value", "name": "items", "minInterval": 1},
        "series": [{"type": "bar", "name": "items", "data": rates}],
    }
