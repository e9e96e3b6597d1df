"""Draw the plots of the performance page from the result files. Needs matplotlib.

pip install -r benchmarks/plots.txt && python -m benchmarks --plots [DIR]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .common import RESULTS

BLUE, GREY, RED = "#2563a8", "#9aa0a6", "#c0392b"
OURS = ("pages()", "tmapi", "harvest", "the library")


def _bars(axes: Any, names: Sequence[str], rows: Sequence[dict[str, Any]], unit: str) -> None:
    """Draw horizontal bars with their quartiles, the first row on top."""
    colors = [BLUE if name.startswith(OURS) else GREY for name in names]
    values = [row["cpu_us"] for row in rows]
    spread = [
        [max(0.0, row["cpu_us"] - row["from"]) for row in rows],
        [max(0.0, row["to"] - row["cpu_us"]) for row in rows],
    ]
    axes.barh(names, values, color=colors, xerr=spread, ecolor="#444444", error_kw={"lw": 1})
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    for place, row in enumerate(rows):
        axes.annotate(
            f"{row['cpu_us']:,.0f}",
            (row["to"], place),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )


def client(figure: Any, results: dict[str, Any]) -> None:
    """Draw the cost per page beside hand-written loops."""
    rows = results["rows"]
    _bars(figure.subplots(), [row["client"] for row in rows], rows, "CPU a page, microseconds")


def peers(figure: Any, results: dict[str, Any]) -> None:
    """Draw the cost per page beside other tools; absent tools are left out."""
    rows = [row for row in results["rows"] if "cpu_us" in row]
    names = [f"{row['client']} ({row['loop']})" for row in rows]
    _bars(figure.subplots(), names, rows, "CPU a page, microseconds")


def decode(figure: Any, results: dict[str, Any]) -> None:
    """Draw the cost per page of each decoder."""
    rows = results["rows"]
    _bars(figure.subplots(), [row["client"] for row in rows], rows, "CPU a page, microseconds")


def memory(figure: Any, results: dict[str, Any]) -> None:
    """Draw the peak of memory in each tenth of a long walk."""
    axes = figure.subplots()
    for way, color in (("pages()", GREY), ("harvest", BLUE)):
        axes.plot(
            [row["tenth"] for row in results["rows"]],
            [row[way] for row in results["rows"]],
            "o-",
            color=color,
            label=way,
        )
    axes.axhline(80, color=RED, linewidth=1, label="allowed")
    axes.set_ylim(0, None)
    axes.set_xlabel("tenth of the pages")
    axes.set_ylabel("highest resident memory, MB")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


PLOTS: dict[str, tuple[Callable[[Any, dict[str, Any]], None], tuple[float, float]]] = {
    "client": (client, (7, 2.4)),
    "peers": (peers, (7, 4.6)),
    "decode": (decode, (7, 3.8)),
    "memory": (memory, (6, 2.8)),
}


def drawing() -> Any:
    """Return `pyplot` of matplotlib, set up to write the same SVG bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415 - the benchmarks themselves do without it

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    mpl.rcParams |= {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.family": "sans-serif",
        "svg.fonttype": "none",  # text stays text: smaller, and it can be searched
        "svg.hashsalt": "tmapi",
    }
    return plt


def draw(folder: Path) -> int:
    """Draw every plot that has a result file, as SVG."""
    plt = drawing()
    folder.mkdir(parents=True, exist_ok=True)
    for name, (plot, size) in PLOTS.items():
        path = RESULTS / f"{name}.json"
        if not path.exists():
            print(f"{name}: no results; run python -m benchmarks {name}")
            continue
        figure = plt.figure(figsize=size, layout="constrained")
        plot(figure, json.loads(path.read_text(encoding="utf-8")))
        figure.savefig(folder / f"bench-{name}.svg", metadata={"Date": None})
        plt.close(figure)
        print(f"drawn: {folder / f'bench-{name}.svg'}")
    return 0
