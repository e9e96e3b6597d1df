"""The scenarios of gate and frontier together: whole harvests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from statistics import median
from typing import Any

from tmapi_async.limits.learning import LearningController

from .checks import Check, table
from .engine import Simulation, World
from .frontier_work import FrontierWork, geometric, zipf
from .measures import LATENCY, RTT, Row
from .scenarios import Runner, ScenarioReport, column

LOOKAHEADS: dict[str, int | None] = {"auto": None, "off": 0, "8": 8, "16": 16}

LATENCIES: dict[str, dict[str, Any]] = {
    "even": {"sigma": 0.2, "tail": 0.0},
    "log-normal": {"sigma": 0.5, "tail": 0.0},
    "wide log-normal": {"sigma": 0.8, "tail": 0.0},
    "heavy tail": {"sigma": 0.8, "tail": 0.01},
}
"""Distributions of the latency. The scenarios of the gate use the last one."""

HEAVY = "heavy tail"

SHORT = ((16, 1500, HEAVY), (256, 24_000, HEAVY), (256, 24_000, "log-normal"))
"""Cases of less than a hundred round trips, shown without a promise. No client can know which page
takes twenty round trips, so that every client begins this page too late, even if it knows the
lengths. And 256 slots detect a giant among 300 listings only when the others have ended."""

SKEWED = (
    (4, 6000, HEAVY),
    (16, 6000, HEAVY),
    (64, 24_000, HEAVY),
    (256, 96_000, HEAVY),
    (16, 1500, "log-normal"),
    *SHORT,
)
"""Limit, pages and spread of the skewed harvests."""


@dataclass(frozen=True)
class HarvestCase:
    """Parameters of a simulated harvest.

    Attributes:
        kind: `"skewed"`, `"one"` or `"large"`.
        limit: Limit of the server.
        lookahead: Look-ahead of the frontier.
        auto: True if the limit must be learned.
        pages: Number of pages of all listings.
        latency: A key of `LATENCIES`.
        lengths_known: True if the frontier knows the lengths.
    """

    kind: str
    limit: int
    lookahead: int | None
    auto: bool = False
    pages: int = 6000
    latency: str = HEAVY
    lengths_known: bool = False


def sizes_of(harvest: HarvestCase, seed: int) -> list[int]:
    """Return the number of pages of each listing."""
    random = Random(seed)  # noqa: S311 - a simulation must be repeatable
    if harvest.kind == "one":
        return [100]
    if harvest.kind == "large":
        return geometric(10_000, 100, random)
    sizes = zipf(300, harvest.pages, 0.3)
    random.shuffle(sizes)
    return sizes


def run(harvest: HarvestCase, seed: int) -> Row:
    """Simulate a harvest to its end."""
    sizes = sizes_of(harvest, seed)
    controller = LearningController(None if harvest.auto else harvest.limit)
    spread = LATENCIES[harvest.latency]
    world = World([(0.0, harvest.limit)], latency=LATENCY, rtt=RTT * LATENCY, **spread)
    catalogue = FrontierWork(sizes, harvest.lookahead, lengths_known=harvest.lengths_known)
    result = Simulation(world, controller, catalogue, seed).run()
    assert catalogue.delivered == catalogue.pages, "a page was lost or delivered twice"
    assert catalogue.ended == len(sizes), "a listing did not end"
    # No client ends before the server has done its work in all its slots, nor before the slowest
    # page. What was drawn counts: with heavy tails the mean of a run is not the mean.
    mean = result.worked / result.answers
    bound = max(catalogue.pages * mean / harvest.limit, result.longest)
    return {
        "seconds": result.seconds,
        "times": result.seconds / bound,
        "waste": catalogue.wasted / result.requests,
        "wasted": catalogue.wasted,
        "requests": result.requests,
        "refusals": result.refusals,
    }


def skewed(runner: Runner) -> ScenarioReport:
    """Simulate 300 listings of which one has 30 % of all pages."""
    report = ScenarioReport("Makespan of 300 listings, Zipf 1.1, one giant with 30 % of all pages")
    lines = []
    for limit, pages, latency in SKEWED:
        at = f"C={limit}, {pages} pages" + (f", {latency}" if latency != HEAVY else "")
        base = HarvestCase("skewed", limit, None, pages=pages, latency=latency)
        cases = {
            "look-ahead auto": base,
            "C unknown": replace(base, auto=True),
            "lengths told": replace(base, lookahead=0, lengths_known=True),
            "look-ahead off": replace(base, lookahead=0),
        }
        for name, harvest in cases.items():
            rows = runner.rows(run, harvest, share=0.5 if limit <= 64 else 0.1)
            times, waste = column(rows, "times"), column(rows, "waste")
            lines.append((f"{at}, {name}", median(times), max(times), median(waste), max(waste),
                          max(column(rows, "refusals"))))  # fmt: skip
            if name == "look-ahead auto":
                if (limit, pages, latency) not in SHORT:
                    report.checks.append(Check(f"{at}: makespan / bound", times, 1.10))
                report.checks += [
                    Check(f"{at}: waste, share of requests", waste, 0.02),
                ]
        sequential = pages * (1 + RTT) * limit / pages
        lines.append((f"{at}, one page at a time", sequential, sequential, 0, 0, 0))
    header = ("", "makespan / bound", "worst", "waste", "most", "most 503s")
    report.tables.append(table(header, lines))
    return report


def one(runner: Runner) -> ScenarioReport:
    """Simulate one listing of 100 pages."""
    report = ScenarioReport("One listing of 100 pages, C=16: times faster than sequential")
    lines = []
    for latency in LATENCIES:
        alone = column(runner.rows(run, HarvestCase("one", 16, 0, latency=latency)), "seconds")
        told = HarvestCase("one", 16, 0, latency=latency, lengths_known=True)
        cases = {f"look-ahead {name}": HarvestCase("one", 16, ahead, latency=latency)
                 for name, ahead in LOOKAHEADS.items()}  # fmt: skip
        for name, harvest in {**cases, "length told": told}.items():
            rows = runner.rows(run, harvest)
            faster = [a / b for a, b in zip(alone, column(rows, "seconds"), strict=True)]
            wasted = column(rows, "wasted")
            lines.append((f"{latency}, {name}", median(faster), min(faster), median(wasted),
                          max(wasted)))  # fmt: skip
            if name == "look-ahead auto":
                report.checks += [
                    Check(f"{latency}: median times faster", [median(faster)], 6, at_least=True),
                    Check(f"{latency}: pages wasted", wasted, 8),
                ]
    header = ("latency", "times faster", "worst", "wasted", "most")
    report.tables.append(table(header, lines))
    return report


def large(runner: Runner) -> ScenarioReport:
    """Simulate a million pages in 10,000 listings."""
    report = ScenarioReport("10,000 listings, a million pages, the limit unknown")
    lines = []
    for limit in (16, 256, 2000):
        rows = runner.rows(run, HarvestCase("large", limit, None, auto=True), share=0.01)
        times, waste = column(rows, "times"), column(rows, "waste")
        refused = [row["refusals"] / row["requests"] for row in rows]
        lines.append((f"C={limit}", median(times), max(times), max(waste), max(refused)))
        report.checks.append(Check(f"C={limit}: waste, share of requests", waste, 0.02))
    report.tables.append(table(("", "makespan / bound", "worst", "waste", "503s"), lines))
    return report
