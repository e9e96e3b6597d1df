"""Charts of a report: options for Apache ECharts, as plain data. Pure.

The page adds the colours, for light and dark. No text from sellers goes into a chart, only names
and IDs of categories, identities of requested listings, codes and numbers.
"""

from __future__ import annotations

from typing import Any

from .facts import ReportFacts
from .item_statistics import CategoryStatistics
from .timeline import Moment

Option = dict[str, Any]

_ROW_HEIGHT = 26  # pixels for one category
_FRAME_HEIGHT = 90
_DEFAULT_HEIGHT = 300
_LABEL_WIDTH = 84  # pixels for the ID of a category
_LONG_LABEL_WIDTH = 180  # for the parameters of a listing; longer labels are cut
_FAINT = {"opacity": 0.15}


def charts(facts: ReportFacts) -> dict[str, Option]:
    """Return the charts of a report that have data, by their names on the page."""
    options: dict[str, Option] = {}
    if len(facts.timeline) > 1:
        options["speed"] = _speed(facts.timeline)
        options["codes"] = _codes(facts.timeline)
    if priced := _priced(facts):
        options["prices"] = _prices(priced, facts)
    if facts.items.rated:
        options["rates"] = _rates(facts.items.rates)
    return options


def height(facts: ReportFacts, name: str) -> int:
    """Return the height of a chart in pixels."""
    if name == "prices":
        return _FRAME_HEIGHT + _ROW_HEIGHT * len(_priced(facts))
    return _DEFAULT_HEIGHT


def _priced(facts: ReportFacts) -> list[CategoryStatistics]:
    return [category for category in facts.items.categories if category.quantiles]


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


def _line(name: str, points: list[list[Any]], **options: Any) -> Option:
    return {"name": name, "type": "line", "showSymbol": False, "data": points, **options}


def _speed(moments: list[Moment]) -> Option:
    return _over_time(
        [
            _line(
                "pages per second",
                [[moment.at, moment.pages] for moment in moments],
                areaStyle=_FAINT,
            ),
            _line(
                "gate width",
                [[moment.at, moment.width] for moment in moments],
                step="end",
                yAxisIndex=1,
            ),
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
            [[moment.at, moment.codes.get(code, 0)] for moment in moments],
            stack="codes",
            areaStyle={"opacity": 0.4},
        )
        for code in codes
    ]
    refused = _line(
        "refused (503, 429), total",
        _running_total(moments),
        yAxisIndex=1,
        lineStyle={"type": "dashed"},
    )
    return _over_time(
        [*series, refused],
        [
            {"type": "value", "name": "per second"},
            {"type": "value", "name": "total", "splitLine": {"show": False}, "minInterval": 1},
        ],
    )


def _running_total(moments: list[Moment]) -> list[list[int]]:
    points, total = [], 0
    for moment in moments:
        total += moment.refused
        points.append([moment.at, total])
    return points


def _prices(prices: list[CategoryStatistics], facts: ReportFacts) -> Option:
    """Draw boxes from the 25th to the 75th percentile, and lines from the 5th to the 95th."""
    lowest = min(
        (value for group in prices for value in group.quantiles if value > 0), default=0.01
    )
    names = [_label(group.group, facts.name_of(group.group)) for group in prices]
    label_width = _LABEL_WIDTH if all(map(str.isdigit, names)) else _LONG_LABEL_WIDTH
    return {
        "grid": {"left": label_width + 12, "right": 24, "top": 10, "bottom": 50},
        "tooltip": {"trigger": "item"},
        # A logarithmic axis cannot show 0.
        "xAxis": {
            "type": "log",
            "name": "yuan",
            "nameLocation": "middle",
            "nameGap": 30,
            "min": _power_of_ten(lowest),
        },
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": names,
            "axisLabel": {"width": label_width, "overflow": "truncate"},
        },
        "series": [
            {
                "type": "boxplot",
                "name": "price",
                "itemStyle": {"color": "transparent", "borderWidth": 1.5},
                "data": [[max(value, lowest) for value in group.quantiles] for group in prices],
            }
        ],
    }


def _label(group: str, name: str | None) -> str:
    """Return the label of a category; it has its number, since two can have one name."""
    if name is None:
        return group.partition("?")[2] or group
    return f"{name.rpartition(' / ')[2]} {group}"


def _power_of_ten(value: float) -> float:
    """Return the largest power of ten that is not above the value, at least 0.001."""
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
            "name": "repurchase rate, %",
            "nameLocation": "middle",
            "nameGap": 30,
            "data": [f"{index * step}-{(index + 1) * step}" for index in range(len(rates))],
        },
        "yAxis": {"type": "value", "name": "items", "minInterval": 1},
        "series": [{"type": "bar", "name": "items", "data": rates}],
    }
