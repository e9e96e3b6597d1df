"""Compare committed files with one another: figures on pages, results, the baseline of CI.

    python -m benchmarks.check_committed

Prints every difference. The exit status is 1 if there is one. `make docs` runs this check.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from .__main__ import BASELINE, SUITE
from .common import RESULTS
from .figures import PAGES, filled_page
from .simulation.page import BLOCK, filled

GATE_PAGE = Path(__file__).parent.parent / "docs" / "gate-measurements.md"
GATE_TABLES = {"known", "unknown", "halves", "doubles", "skewed", "one"}
LEAST_SEEDS = 100


def gate_page() -> Iterator[str]:
    """Compare the tables of the gate page with the results of the simulator, letter by letter."""
    results = json.loads((RESULTS / "simulation.json").read_text(encoding="utf-8"))
    page = GATE_PAGE.read_text(encoding="utf-8")
    shown = {match["name"] for match in BLOCK.finditer(page)}
    for name in sorted(GATE_TABLES - shown):
        yield f"{GATE_PAGE.name} has no table of the scenario {name}"
    for name in sorted(shown - results.keys()):
        yield f"{GATE_PAGE.name} shows the scenario {name}, which has no results"
    if shown <= results.keys() and filled(page, results) != page:
        yield (
            f"{GATE_PAGE.name} shows other tables than results/simulation.json; run "
            "python -m benchmarks.simulation --json benchmarks/results/simulation.json "
            "--page docs/gate-measurements.md"
        )
    for name, report in results.items():
        if report["seeds"] < LEAST_SEEDS:
            yield f"simulation.json: {name} is of {report['seeds']} seeds, at least {LEAST_SEEDS}"


def figures() -> Iterator[str]:
    """Compare the tables of the other pages with the results, letter by letter."""
    for path in PAGES:
        try:
            same = filled_page(path) == path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            yield f"{path.name} shows figures without results: {error}"
            continue
        if not same:
            yield (
                f"{path.name} shows other figures than benchmarks/results; run "
                "python -m benchmarks --fill-docs"
            )


def baseline() -> Iterator[str]:
    """Compare the committed ratios with the list of guarded benchmarks."""
    committed = json.loads(BASELINE.read_text(encoding="utf-8"))["ratios"]
    guarded = [name for name, benchmark in SUITE.items() if benchmark.guarded]
    if list(committed) != guarded:
        yield f"{BASELINE.name} has ratios of {', '.join(committed)}; guarded are {guarded}"
    for name, ratios in committed.items():
        for key, value in ratios.items():
            if not value > 0:
                yield f"{BASELINE.name}: {name}, {key} is {value}"


def main() -> int:
    """Print every difference. Returns 1 if there is one."""
    differences = [*gate_page(), *figures(), *baseline()]
    for difference in differences:
        print(difference)
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main())
