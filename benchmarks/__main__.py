"""Run all benchmarks, or the named ones.

    python -m benchmarks [NAME...] [--quick] [--list]
    python -m benchmarks --quick [--check | --commit-baseline]
    python -m benchmarks --outdated
    python -m benchmarks --fill-docs
    python -m benchmarks --plots [DIR]

Each benchmark is a program (`python -m benchmarks.NAME --help`) and prints each figure beside its
baseline. Full runs write `benchmarks/results/NAME.json` and judge the promises. `--outdated` names
the results whose code has changed since they were measured, and fails if there is one.
`--fill-docs` copies the tables of these files into the documentation, and `--plots` draws from
them. `--quick` runs shorter workloads. `--quick --check` compares the ratios of the guarded
benchmarks with `benchmarks/results/baseline-quick.json` and fails if a ratio is worse twice in a
row: by 5 % if it is of instructions, by 20 % if it is of seconds, which other programs disturb.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .common import LOCAL, RESULTS, machine
from .figures import fill_docs
from .measured_code import outdated

BASELINE = RESULTS / "baseline-quick.json"
LOOSE, TIGHT = 1.2, 1.05
"""Largest allowed ratios of seconds and of instructions, as multiples of the committed ones."""


class Benchmark(NamedTuple):
    """Arguments of one benchmark.

    Attributes:
        module: Name of the module below `benchmarks`.
        full: Arguments of a full run.
        quick: Arguments of a short run. None if there is no short run.
        guarded: True if `--check` compares the ratios with the committed ones.
        tolerance: Largest allowed ratio, as a multiple of the committed one.
    """

    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ("--quick",)
    guarded: bool = False
    tolerance: float = LOOSE


UVLOOP = (("--uvloop",), ("--quick", "--uvloop"))
SUITE = {
    "instructions": Benchmark("instructions", guarded=True, tolerance=TIGHT),
    "client": Benchmark("client", guarded=True),
    "client-uvloop": Benchmark("client", *UVLOOP),
    "harvest": Benchmark("harvest", *UVLOOP, guarded=True),
    "harvest-asyncio": Benchmark("harvest"),
    "decode": Benchmark("decode", guarded=True),
    "startup": Benchmark("startup", guarded=True),
    "memory": Benchmark("memory"),
    "cache": Benchmark("cache"),
    "observing": Benchmark("observing"),
    "watching": Benchmark("watching"),
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
    "first-run": Benchmark("first_run"),
    "gate-processes": Benchmark("gate_processes"),
    "service": Benchmark("service"),
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


def tolerance(name: str, python: str) -> float:
    """Return the tolerance of a benchmark.

    Another version of Python needs other numbers of instructions, so ratios measured on one are
    compared loosely on another.

    Args:
        name: Name of the benchmark.
        python: Version of Python with which the committed ratios were measured.
    """
    same = platform.python_version_tuple()[:2] == tuple(python.split(".")[:2])
    return SUITE[name].tolerance if same else LOOSE


def worse(name: str, committed: dict[str, float], most: float) -> dict[str, float]:
    """Return the ratios that are above the tolerance, as multiples of the committed ones.

    Raises:
        KeyError: A ratio was never committed.
    """
    times = {key: value / committed[key] for key, value in ratios_of(name).items()}
    return {key: factor for key, factor in times.items() if factor > most}


def check(names: list[str]) -> int:
    """Run the guarded benchmarks and compare their ratios. A slow one gets a second run."""
    content = json.loads(BASELINE.read_text(encoding="utf-8"))
    status = 0
    for name in names:
        committed = content["ratios"][name]
        most = tolerance(name, content["machine"]["python"])
        failed = run(name, quick=True) or bool(worse(name, committed, most))
        if failed:
            print(f"=== {name}: second run, since machines are noisy", flush=True)
            failed = run(name, quick=True) or bool(worse(name, committed, most))
        for key, ratio in ratios_of(name).items():
            print(f"{key}: {ratio:.3f}, committed {committed[key]:.3f}, at most {most:g} times it")
        for key, factor in worse(name, committed, most).items():
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


def show_outdated() -> int:
    """Print the results that are older than the code they speak of. Returns 1 if there is one."""
    lines = list(outdated(RESULTS))
    print("\n".join(lines) or "every result was measured on the present code")
    return int(bool(lines))


def main() -> int:
    """Run the chosen benchmarks. Returns 1 if one fails or misses a promise."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SUITE)}; or all")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--quick", action="store_true", help="shorter; writes no results")
    parser.add_argument(
        "--check", action="store_true", help="with --quick: compare with the baseline"
    )
    parser.add_argument(
        "--commit-baseline", action="store_true", help="with --quick: replace the baseline"
    )
    parser.add_argument(
        "--outdated", action="store_true", help="name the results that are older than their code"
    )
    parser.add_argument(
        "--fill-docs", action="store_true", help="copy the results into the documentation"
    )
    parser.add_argument("--plots", nargs="?", const="docs/img", type=Path, metavar="DIR")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SUITE):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --help")
    if (options.check or options.commit_baseline) and not options.quick:
        parser.error("--check and --commit-baseline need --quick")
    if options.list:
        print("\n".join(SUITE))
        return 0
    if options.outdated:
        return show_outdated()
    if options.fill_docs:
        return fill_docs()
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
