"""Measure the time to start: imports, and the help of the command line.

    python -m benchmarks.startup [--quick] [--turns 25]

Each command is a fresh process, in turns; Python's compiled modules are kept in a folder of this
run's own, filled beforehand, as an installation has them. The table shows wall
and processor time. The promises are ratios of processor time, since machines differ and other
programs may use the processor. A full run judges them and writes `benchmarks/results/startup.json`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from .common import (
    CLIENT_CORE,
    pin,
    promise,
    report_promises,
    save_ratios,
    table,
    take_turns,
    write,
)

BASELINE = "import aiohttp, msgspec, aiolimiter"
TOOLS = "import typer, rich"
OURS, HELP = "import tmapi_async", "tmapi --help"
MOST = {"import/libraries": 0.3, "help/typer and rich": 3.5}
"""Promised ratios of processor time."""

MAIN = "import sys; from tmapi_async.cli import main; sys.argv = {!r}; sys.exit(main())"
COMMANDS = {
    "(nothing)": "",
    BASELINE: BASELINE,
    TOOLS: TOOLS,
    OURS: OURS,
    HELP: MAIN.format(["tmapi", "--help"]),
    "tmapi --version": MAIN.format(["tmapi", "--version"]),
    "tmapi harvest --help": MAIN.format(["tmapi", "harvest", "--help"]),
}
COLUMNS = {
    "command": "command",
    "wall_ms": "wall, ms|.0f",
    "cpu_ms": "CPU, ms|.0f",
    "ratio": "of its libraries|.2f",
    "to_tools": "of Typer and Rich|.2f",
}


def run(code: str, environment: dict[str, str]) -> dict[str, float]:
    """Measure wall and processor milliseconds of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    return {"wall_ms": wall * 1e3, "cpu_ms": (usage.ru_utime + usage.ru_stime) * 1e3}


def rows_of(results: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return medians, and the median ratios to the libraries and to Typer with Rich."""

    def ratio(runs: list[dict[str, float]], to: str) -> float:
        pairs = zip(runs, results[to], strict=True)
        return statistics.median(one["cpu_ms"] / other["cpu_ms"] for one, other in pairs)

    return [
        {
            "command": name,
            "wall_ms": statistics.median(one["wall_ms"] for one in runs),
            "cpu_ms": statistics.median(one["cpu_ms"] for one in runs),
            "ratio": ratio(runs, BASELINE),
            "to_tools": ratio(runs, TOOLS),
        }
        for name, runs in results.items()
    ]


def main() -> int:
    """Run the benchmark. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--turns", type=int, default=None, help="(25; with --quick 7)")
    options = parser.parse_args()
    options.turns = options.turns or (7 if options.quick else 25)
    pin(CLIENT_CORE)
    workload = f"fresh processes, {options.turns} turns, compiled modules at hand"
    print(workload)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for code in COMMANDS.values():
            run(code, environment)
        results = take_turns(
            list(COMMANDS), options.turns, lambda name: run(COMMANDS[name], environment)
        )
    rows = rows_of(results)
    print(table(rows, COLUMNS))
    by_name = {row["command"]: row for row in rows}
    measured = {
        "import/libraries": by_name[OURS]["ratio"],
        "help/typer and rich": by_name[HELP]["to_tools"],
    }
    if options.quick:
        save_ratios("startup", measured)
        return 0
    verdicts = [promise(f"{name}, CPU", value, MOST[name]) for name, value in measured.items()]
    content = {"rows": rows, "musts": verdicts}
    print(f"written: {write('startup', workload, content, [table(rows, COLUMNS)])}")
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
