"""All benchmarks, or those that are named.

    python -m benchmarks [NAME...] [--quick] [--list]
    python -m benchmarks --quick [--check | --commit-baseline]
    python -m benchmarks --plots [DIR]

Each is a program of its own (`python -m benchmarks.NAME --help`) and says beside each figure what
it is measured against. Full runs write `benchmarks/results/NAME.json`, from which `--plots` draws.
`--quick` is for a look; with `--check` the ratios that `client`, `harvest`, `decode` and `startup`
found are held against `benchmarks/results/baseline-quick.json`, and one that is 20 % worse, twice,
fails the run.
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
"""A ratio may be so many times the committed one."""


class Benchmark(NamedTuple):
    """How one is run.

    Attributes:
        module: The module, below `benchmarks`.
        full: Its arguments for a full run.
        quick: Its arguments for a look; None if it has no short form.
        guarded: Whether its ratios are held against the committed ones.
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
    "split": Benchmark("split"),
    "frontier": Benchmark("simulation", ("cost",), ("cost",)),
    "gate": Benchmark("gate"),
    "simulation": Benchmark("simulation", (), None),
}


def run(name: str, *, quick: bool) -> int:
    """Run one; its exit status."""
    one = SUITE[name]
    arguments = one.quick if quick else one.full
    if arguments is None:
        print(f"\n=== {name}: has no short form, left out", flush=True)
        return 0
    print(f"\n=== {name}: python -m benchmarks.{one.module} {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{one.module}", *arguments]
    start = time.perf_counter()
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - our own module
    print(
        f"=== {name}: {'ended' if not status else f'FAILED ({status})'} "
        f"after {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return status


def ratios_of(name: str) -> dict[str, float]:
    """What the last short run of a benchmark found."""
    found: dict[str, float] = json.loads((LOCAL / f"{name}-quick.json").read_text(encoding="utf-8"))
    return found


def worse(name: str, committed: dict[str, float]) -> dict[str, float]:
    """The ratios of a benchmark that are too much above the committed ones, by how many times.

    Raises:
        KeyError: A ratio was never committed.
    """
    times = {key: value / committed[key] for key, value in ratios_of(name).items()}
    return {key: more for key, more in times.items() if more > TOLERANCE}


def check(names: list[str]) -> int:
    """Run the guarded ones and compare; one that is too slow is run once more."""
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))["ratios"]
    status = 0
    for name in names:
        failed = run(name, quick=True) or bool(worse(name, baseline[name]))
        if failed:
            print(f"=== {name}: once more, since machines are noisy", flush=True)
            failed = run(name, quick=True) or bool(worse(name, baseline[name]))
        for key, found in ratios_of(name).items():
            print(f"{key}: {found:.3f}, committed {baseline[name][key]:.3f}")
        for key, more in worse(name, baseline[name]).items():
            print(f"FAILED: {name}: {key} is {more:.2f} times the committed ratio", flush=True)
        status = max(status, int(failed))
    return status


def commit(names: list[str]) -> int:
    """Run the guarded ones and keep their ratios as those to compare with."""
    for name in names:
        if run(name, quick=True):
            print(f"{name} failed: nothing was written")
            return 1
    content = {"machine": machine(), "ratios": {name: ratios_of(name) for name in names}}
    BASELINE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: {BASELINE}")
    return 0


def main() -> int:
    """Run what was asked for; 1 if something failed or was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SUITE)}; or all")
    parser.add_argument("--quick", action="store_true", help="shorter; writes no results")
    parser.add_argument("--check", action="store_true", help="with --quick: hold to the baseline")
    parser.add_argument("--commit-baseline", action="store_true", help="with --quick: renew it")
    parser.add_argument("--plots", nargs="?", const="docs/img", type=Path, metavar="DIR")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SUITE):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --help")
    if (options.check or options.commit_baseline) and not options.quick:
        parser.error("--check and --commit-baseline are about --quick runs: add it")
    if options.plots:
        from .plots import draw  # noqa: PLC0415 - needs matplotlib, the others do not

        return draw(options.plots)
    if options.check or options.commit_baseline:
        guarded = [name for name, one in SUITE.items() if one.guarded]
        chosen = [name for name in guarded if not options.names or name in options.names]
        return check(chosen) if options.check else commit(guarded)
    statuses = [run(name, quick=options.quick) for name in options.names or SUITE]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
