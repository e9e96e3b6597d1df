"""How long it takes until something happens: imports, and the command line's help.

    python -m benchmarks.startup [--quick] [--turns 25]

Each command is a fresh process, in turns; Python's compiled modules are kept in a folder of this
run's own, filled beforehand, as an installation has them. Both clocks are shown; judged is
processor time, since others may use the processor meanwhile (on an idle machine the two are the
same: nothing is waited for). A full run writes `benchmarks/results/startup.json`.
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

from .common import CLIENT_CORE, hold, keep_ratios, pin, table, take_turns, told, write

BASELINE = "import aiohttp, msgspec, aiolimiter"
OURS, HELP = "import tmapi_async", "tmapi --help"
MAIN = "import sys; from tmapi_async.cli import main; sys.argv = {!r}; sys.exit(main())"
COMMANDS = {
    "(nothing)": "",
    BASELINE: BASELINE,
    OURS: OURS,
    HELP: MAIN.format(["tmapi", "--help"]),
    "tmapi --version": MAIN.format(["tmapi", "--version"]),
    "tmapi harvest --help": MAIN.format(["tmapi", "harvest", "--help"]),
}
COLUMNS = {
    "command": "command",
    "wall_ms": "wall, ms|.0f",
    "cpu_ms": "CPU, ms|.0f",
    "more_ms": "CPU over the libraries, ms|.0f",
}


def run(code: str, environment: dict[str, str]) -> dict[str, float]:
    """Wall and processor milliseconds of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    return {"wall_ms": wall * 1e3, "cpu_ms": (usage.ru_utime + usage.ru_stime) * 1e3}


def rows_of(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Medians, and the medians of what each takes more than the libraries alone."""
    base = found[BASELINE]
    return [
        {
            "command": name,
            "wall_ms": statistics.median(one["wall_ms"] for one in runs),
            "cpu_ms": statistics.median(one["cpu_ms"] for one in runs),
            "more_ms": statistics.median(
                one["cpu_ms"] - other["cpu_ms"] for one, other in zip(runs, base, strict=True)
            ),
            "ratio": statistics.median(
                one["cpu_ms"] / other["cpu_ms"] for one, other in zip(runs, base, strict=True)
            ),
        }
        for name, runs in found.items()
    ]


def main() -> int:
    """Run the benchmark; 1 if what must hold does not."""
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
        found = take_turns(
            list(COMMANDS), options.turns, lambda name: run(COMMANDS[name], environment)
        )
    rows = rows_of(found)
    print(table(rows, COLUMNS))
    by_name = {row["command"]: row for row in rows}
    musts = [
        hold("import tmapi_async over its libraries, ms", by_name[OURS]["more_ms"], 40),
        hold("tmapi --help, ms", by_name[HELP]["cpu_ms"], 400),
    ]
    if options.quick:
        names = {"import/libraries": OURS, "help/libraries": HELP}
        keep_ratios("startup", {key: by_name[name]["ratio"] for key, name in names.items()})
    else:
        print(f"written: {write('startup', workload, {'rows': rows, 'musts': musts})}")
    return told(musts)


if __name__ == "__main__":
    sys.exit(main())
