"""Whole runs over many listings: the limit known, unknown, and remembered from the run before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tmapi_async.limits.learning import LearningController

from .checks import Check, table
from .engine import Simulation, World
from .frontier_work import FrontierWork
from .harvests import LATENCIES
from .measures import LATENCY, RTT, Row
from .scenarios import Runner, ScenarioReport, column

LIMIT, LISTINGS = 40, 600

CONTROLLERS: dict[str, Callable[[], LearningController]] = {
    "first": LearningController,
    "second": lambda: LearningController(start=LIMIT, latency=LATENCY, stepwise=True),
    "known": lambda: LearningController(LIMIT),
}
"""Controller of a new account, of the run after it, and of one that was told the limit."""

BUSY = {"first": 0.93, "second": 0.96, "known": 0.97}
"""Share of the slots promised, from the first request to the last reply."""

PROMISED_PAGES = 20
"""Pages of a listing from which on the shares are promised."""


@dataclass(frozen=True)
class WholeRun:
    """Parameters of a run.

    Attributes:
        knowledge: A key of `CONTROLLERS`.
        pages: Pages of each listing.
        latency: A key of `LATENCIES`.
    """

    knowledge: str
    pages: int
    latency: str = "log-normal"


def run(case: WholeRun, seed: int) -> Row:
    """Simulate a run from its first request to its last reply."""
    world = World([(0.0, LIMIT)], latency=LATENCY, rtt=RTT * LATENCY, **LATENCIES[case.latency])
    work = FrontierWork([case.pages] * LISTINGS)
    result = Simulation(world, CONTROLLERS[case.knowledge](), work, seed).run()
    assert work.delivered == work.pages, "a page was lost or delivered twice"
    return {
        "busy": result.worked / (LIMIT * result.seconds),
        "refusals": result.refusals,
        "requests": result.requests,
        "round trips": result.seconds / LATENCY,
    }


def starts(runner: Runner) -> ScenarioReport:
    """Simulate whole runs of 600 listings."""
    report = ScenarioReport(f"Whole runs of {LISTINGS} listings, C={LIMIT}, last page included")
    lines = []
    for latency in ("even", "log-normal"):
        for pages in (5, 10, 20):
            for knowledge in CONTROLLERS:
                case = WholeRun(knowledge, pages, latency)
                rows = runner.rows(run, case, share=0.25)
                busy, refused = column(rows, "busy"), column(rows, "refusals")
                bounds = [3 + 0.002 * requests for requests in column(rows, "requests")]
                name = f"{knowledge}, {pages} pages, {latency}"
                lines.append(
                    (name, median(busy), min(busy), median(refused), max(refused), min(bounds))
                )
                report.checks.append(Check(f"{name}: 503s", refused, bounds))
                if pages >= PROMISED_PAGES:
                    least = BUSY[knowledge]
                    report.checks.append(Check(f"{name}: median busy", [median(busy)], least, True))
    header = ("run", "slots busy", "worst", "503s", "most", "allowed")
    report.tables.append(table(header, lines))
    return report
