"""Draw the plots of the documentation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plots import drawing

from .measures import Case, measure, simulate

BLUE, RED, GREY, GREEN = "#2563a8", "#c0392b", "#9aa0a6", "#3a8f5c"


@dataclass(frozen=True)
class Curve:
    """Trace of a run; times in mean latencies."""

    times: Sequence[float]
    running: Sequence[int]
    widths: Sequence[int]
    limits: Sequence[int]
    refused: Sequence[float]

    def width_at(self, time: float) -> int:
        """Return the width in force at a time."""
        return self.widths[max(0, bisect_right(self.times, time) - 1)]


def trace(case: Case, seed: int = 1) -> Curve:
    """Simulate a case. Returns its trace."""
    _, result = simulate(case, seed, trace=True)
    times, running, widths, limits = zip(*result.trace, strict=True)
    scale = case.latency
    return Curve(
        [time / scale for time in times],
        running,
        widths,
        limits,
        [time / scale for time in result.refused_at],
    )


def _show(axes: Any, case: Case, title: str, until: float | None = None) -> None:
    curve = trace(case)
    axes.step(curve.times, curve.limits, color=GREY, linewidth=3, where="post", label="limit")
    axes.step(curve.times, curve.widths, color=BLUE, linewidth=1, where="post", label="width")
    levels = [curve.width_at(time) for time in curve.refused]
    axes.plot(curve.refused, levels, ".", color=RED, markersize=5, label="503")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlim(0, until or min(case.requests * 1.02, curve.times[-1]))
    axes.set_ylim(0, None)


def starts(figure: Any) -> None:
    """Draw the search for an unknown limit."""
    for axes, limit in zip(figure.subplots(1, 3), (4, 16, 256), strict=True):
        _show(axes, Case("auto", limit), f"C = {limit}", until=60)
        axes.set_xlabel("mean latencies")
    figure.axes[0].set_ylabel("requests in flight")
    figure.axes[0].legend(fontsize=8, frameon=False, loc="lower right")


def changes(figure: Any) -> None:
    """Draw the reaction to a changing limit, beside additive increase."""
    then = ((40.0, 16), (80.0, 64), (120.0, 32))
    for axes, name in zip(figure.subplots(2, 1, sharex=True), ("auto", "AIMD"), strict=True):
        title = 'concurrency="auto"' if name == "auto" else "additive increase, halving on a 503"
        _show(axes, Case(name, 32, then, requests=100), title, until=160)
        axes.set_ylabel("requests in flight")
    figure.axes[0].legend(fontsize=8, frameon=False, loc="lower left", ncols=3)
    figure.axes[1].set_xlabel("mean latencies")


def clients(figure: Any) -> None:
    """Draw utilisation against refusals, for this library and the baselines."""
    axes = figure.subplots()
    names = ("auto", "ceiling C", "semaphore C+1", "semaphore 2C", "fixed rate 90 %", "AIMD")
    for name in names:
        row = measure(Case(name, 16, requests=200), 1)
        ours = name in ("auto", "ceiling C")
        refused = max(row["a page"], 1e-4)
        axes.plot(refused, row["overall"], "o", color=BLUE if ours else GREY)
        axes.annotate(
            name, (refused, row["overall"]), (6, -3), textcoords="offset points", fontsize=9
        )
    axes.set_xscale("log")
    axes.set_xlim(6e-5, 500)
    axes.set_ylim(0.7, 1.02)
    axes.set_xlabel("503s a page (none: at the left edge)")
    axes.set_ylabel("share of the limit in use")


PLOTS: dict[str, tuple[Callable[[Any], None], tuple[float, float]]] = {
    "gate-starts": (starts, (9, 2.8)),
    "gate-changes": (changes, (9, 4.6)),
    "gate-clients": (clients, (6, 3.4)),
}


def draw(folder: Path) -> None:
    """Draw all plots as SVG, the same bytes for the same code."""
    plt = drawing()
    folder.mkdir(parents=True, exist_ok=True)
    for name, (plot, size) in PLOTS.items():
        figure = plt.figure(figsize=size, layout="constrained")
        plot(figure)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
