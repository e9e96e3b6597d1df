"""Run all benchmarks, or the named ones.

    python -m benchmarks [NAME...] [--quick] [--list]
    python -m benchmarks --quick [--check | --commit-baseline]
    python -m benchmarks --plots [DIR]

Each benchmark is a program (`python -m benchmarks.NAME --help`) and prints each figure beside its
baseline. Full runs write `benchmarks/results/NAME.json`; `--plots` draws from these files.
`--quick` runs shorter workloads. `--quick --check` compares the ratios of `client`, `harvest`,
`decode` and `startup` with `benchmarks/results/baseline-quick.json` and fails if a ratio is 20 %
worse twice in a row.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .common import LOCAL, RESULTS, machine

BASELINE = RESULTS / "baseline-quick.json"
TOLERANCE = 1.2
"""Largest allowed ratio, as a multiple of the committed one."""


class Benchmark(NamedTuple):
    """Arguments of one benchmark.

    Attributes:
        module: Name of the module below `benchmarks`.
        full: Arguments of a full run.
        quick: Arguments of a short run. None if there is no short run.
        guarded: True if `--check` compares the ratios with the committed ones.
    """

    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ("--quick",)
    guarded: bool = False


SUITE = {
    "client": Benchmark("client", guarded=True),
    "harvest": Benchmark("harvest", ("--uvloop",), ("--quick", "--uvloop"), guarded=True),
    "decode": Benchmark("decode", guarded=True),
    "startup": Benchmark("startup", guarded=True),
    "memory": Benchmark("memory"),
    "observing": Benchmark("observing"),
    "peers": Benchmark("peers"),
    "cluster": Benchmark("cluster"),
    "journal": Benchmark("journal", ("commits",), ("commits", "--pages", "4000")),
    "plan": Benchmark("journal", ("plan",), ("plan", "--listings", "200")),
    "export": Benchmark("export"),
    "report": Benchmark("report"),
    "readers": Benchmark("readers"),
    "split": Benchmark("split"),
    "frontier": Benchmark("simulation", ("cost",), ("cost",)),
    "gate": Benchmark("gate"),
    "gate-processes": Benchmark("gate_processes"),
    "simulation": Benchmark("simulation", (), None),
}


def run(name: str, *, quick: bool) -> int:
    """Run one benchmark. Returns its exit status."""
    benchmark = SUITE[name]
    arguments = benchmark.quick if quick else benchmark.full
    if arguments is None:
        print(f"\n=== {name}: skipped, it has no short run", flush=True)
        return 0
    print(
        f"\n=== {name}: python -m benchmarks.{benchmark.module} {' '.join(arguments)}", flush=True
    )
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}", *arguments]
    start = time.perf_counter()
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - our own module
    print(
        f"=== {name}: {'ended' if not status else f'FAILED ({status})'} "
        f"after {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return status


def ratios_of(name: str) -> dict[str, float]:
    """Read the ratios of the last short run of a benchmark."""
    ratios: dict[str, float] = json.loads(
        (LOCAL / f"{name}-quick.json").read_text(encoding="utf-8")
    )
    return ratios


def worse(name: str, committed: dict[str, float]) -> dict[str, float]:
    """Return the ratios that are above the tolerance, as multiples of the committed ones.

    Raises:
        KeyError: A ratio was never committed.
    """
    times = {key: value / committed[key] for key, value in ratios_of(name).items()}
    return {key: factor for key, factor in times.items() if factor > TOLERANCE}


def check(names: list[str]) -> int:
    """Run the guarded benchmarks and compare their ratios. A slow one gets a second run."""
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))["ratios"]
    status = 0
    for name in names:
        failed = run(name, quick=True) or bool(worse(name, baseline[name]))
        if failed:
            print(f"=== {name}: second run, since machines are noisy", flush=True)
            failed = run(name, quick=True) or bool(worse(name, baseline[name]))
        for key, ratio in ratios_of(name).items():
            print(f"{key}: {ratio:.3f}, committed {baseline[name][key]:.3f}")
        for key, factor in worse(name, baseline[name]).items():
            print(f"FAILED: {name}: {key} is {factor:.2f} times the committed ratio", flush=True)
        status = max(status, int(failed))
    return status


def commit(names: list[str]) -> int:
    """Run the guarded benchmarks and save their ratios as the new baseline."""
    for name in names:
        if run(name, quick=True):
            print(f"{name} failed: nothing was written")
            return 1
    content = {"machine": machine(), "ratios": {name: ratios_of(name) for name in names}}
    BASELINE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: {BASELINE}")
    return 0


def main() -> int:
    """Run the chosen benchmarks. Returns 1 if one fails or misses a promise."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SUITE)}; or all")
    parser.add_argument("--quick", action="store_true", help="shorter; writes no results")
    parser.add_argument(
        "--check", action="store_true", help="with --quick: compare with the baseline"
    )
    parser.add_argument(
        "--commit-baseline", action="store_true", help="with --quick: replace the baseline"
    )
    parser.add_argument("--plots", nargs="?", const="docs/img", type=Path, metavar="DIR")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SUITE):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --help")
    if (options.check or options.commit_baseline) and not options.quick:
        parser.error("--check and --commit-baseline need --quick")
    if options.plots:
        from .plots import draw  # noqa: PLC0415 - needs matplotlib, the others do not

        return draw(options.plots)
    if options.check or options.commit_baseline:
        guarded = [name for name, benchmark in SUITE.items() if benchmark.guarded]
        chosen = [name for name in guarded if not options.names or name in options.names]
        return check(chosen) if options.check else commit(guarded)
    statuses = [run(name, quick=options.quick) for name in options.names or SUITE]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
