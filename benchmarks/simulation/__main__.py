"""Run scenarios and print their tables: `python -m benchmarks.simulation [scenario...]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.measured_code import measured_code

from . import cost, harvests, page, plots, scenarios, starts
from .scenarios import Runner, ScenarioReport

SCENARIOS: dict[str, Callable[[Runner], ScenarioReport]] = {
    "known": scenarios.known,
    "unknown": scenarios.unknown,
    "starts": starts.starts,
    "halves": scenarios.halves,
    "doubles": scenarios.doubles,
    "returns": scenarios.returns,
    "clients": scenarios.clients,
    "way": scenarios.way,
    "troubles": scenarios.troubles,
    "skewed": harvests.skewed,
    "one": harvests.one,
    "large": harvests.large,
    "cost": cost.cost,
}


def main() -> int:
    """Run the chosen scenarios. Returns 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="default: all")
    parser.add_argument("--seeds", type=int, default=100, help="runs of each case (100)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also save the reports in this file, replacing earlier ones of the same scenarios",
    )
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="only draw the plots into this folder"
    )
    parser.add_argument(
        "--page", type=Path, metavar="PAGE", help="only fill the tables of this page from --json"
    )
    arguments = parser.parse_args()
    if arguments.page and not arguments.json:
        parser.error("--page needs --json FILE, which a run wrote")
    if arguments.plots:
        plots.draw(arguments.plots)
    if arguments.page:
        page.fill(arguments.page, arguments.json)
    if arguments.plots or arguments.page:
        return 0
    reports: dict[str, ScenarioReport] = {}
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for name in arguments.scenario or SCENARIOS:
            began = time.perf_counter()
            report = reports[name] = SCENARIOS[name](Runner(pool, arguments.seeds))
            show(name, report, time.perf_counter() - began)
    if arguments.json:
        keep(arguments.json, reports, arguments.seeds)
    failed = sum(not check.passed for report in reports.values() for check in report.checks)
    print(f"{failed} promises not kept for every seed" if failed else "every promise kept")
    return 1 if failed else 0


def keep(path: Path, reports: dict[str, ScenarioReport], seeds: int) -> None:
    """Save reports in a file, beside those of other scenarios."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, report in reports.items():
        found[name] = {
            "title": report.title,
            "seeds": seeds,
            "code": measured_code("simulation"),
            "tables": [text.splitlines() for text in report.tables],
            "checks": [check.summary() for check in report.checks],
        }
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def show(name: str, report: ScenarioReport, seconds: float) -> None:
    """Print a report."""
    print(f"== {name}: {report.title} ({seconds:.0f} s)\n")
    for text in report.tables:
        print(text + "\n")
    for check in report.checks:
        print(check.line())
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
