"""Measure processor time per page of a harvest on a cluster and of one in one process.

    python -m benchmarks.cluster [--quick] [--pairs 5] [--workers 2] [--width 64 --width 256]

The server (pages rendered beforehand, no latency, no limit) runs on processor 0. All measured
processes share processor 1: the benchmark compares processor time, not wall time. The scheduler
runs in its own process, so that its share is visible.

In a real cluster each worker has a processor to itself. Here three busy processes share one, and
push each other's data out of its fast memory each time they change places. So both sides, the one
process and the cluster, run as batch jobs with long time slices (`benchmarks/time_slices.py`). The
system's own slices of a few milliseconds are measured, too.

The cluster may cost 1.25 times one process, at the highest width and with long slices: with few
requests in flight, few pages share a message and a commit, and one process is enough. A full run
writes `benchmarks/results/cluster.json`, with the number of processes for a million pages a second,
and the exit status is 1 if the promise is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tmapi_async import TMAPI
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest
from tmapi_async.harvest.cluster.local import local_workers

from . import baselines
from .common import (
    CLIENT_CORE,
    Row,
    Server,
    has_uvloop,
    pin,
    promise,
    report_promises,
    run_alone,
    runner,
    table,
    write,
)
from .time_slices import LONG, become_batch_job

COLUMNS = {
    "slices": "time slices",
    "width": "in flight",
    "who": "who",
    "cpu_us": "CPU a page, us|.1f",
    "ratio": "of one process|.2f",
    "least": "least|.2f",
    "most": "most|.2f",
}
PARTS = ("cluster", "coordinator", "workers", "scheduler")
MOST = 1.25
"""Processor time of the cluster, as a multiple of one process."""

WIDTHS = (64, 256)
"""Requests in flight in all."""

SLICES = {f"{LONG * 1000:.0f} ms": LONG, "the system's": None}
"""Length of a time slice in seconds, by its name in the tables."""

LARGE = 1_000_000
"""Pages a second of the large cluster that the documentation plans."""

LARGE_COLUMNS = {
    "who": "processor of",
    "cpu_us": "CPU a page, us|.1f",
    "per_core": "saturates at, pages/s|,.0f",
    "cores": f"for {LARGE:,} pages/s",
}


def settle_down(slices: float | None) -> None:
    """Pin this process to the client's processor and schedule it as a batch job.

    Args:
        slices: Length of its time slices in seconds, or None for the system's own.
    """
    pin(CLIENT_CORE)
    if slices is not None and become_batch_job(slices) is None:
        print("this system grants no time slices of our own", file=sys.stderr)
    elif slices is None:
        become_batch_job()


def used(processes: list[psutil.Process]) -> float:
    """Sum the processor seconds that some processes have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def harvest(url: str, listings: range, width: int, path: Path, cluster: str | None) -> int:
    """Run one harvest. Returns its number of pages."""
    targets = [category_items(number) for number in listings]
    async with TMAPI(baselines.TOKEN, base_url=url, concurrency=width) as api:
        result = await Harvest(api, targets, journal=path, cluster=cluster).run()
    assert result.complete, result.error
    return result.pages


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run a short harvest to warm up, then the measured one."""
    (width,) = options.width

    async def once(many: int) -> int:
        path = folder / f"{time.monotonic_ns()}.journal"
        return await harvest(options.url, range(1, many + 1), width, path, options.cluster)

    own = psutil.Process()
    others = [psutil.Process(pid) for pid in options.pids]
    scheduler = [psutil.Process(options.scheduler)] if options.scheduler else []
    await once(width * 2)
    groups = {"coordinator": [own], "workers": others, "scheduler": scheduler}
    before = {name: used(group) for name, group in groups.items()}
    began = time.perf_counter()
    pages = await once(options.listings)
    wall = time.perf_counter() - began
    results = {name: (used(group) - before[name]) / pages * 1e6 for name, group in groups.items()}
    return {**results, "cpu_us": sum(results.values()), "pages_per_second": pages / wall}


def alone(options: argparse.Namespace) -> None:
    """Run one harvest with this process alone, or with this process as coordinator."""
    settle_down(options.slices)
    with tempfile.TemporaryDirectory() as folder, runner(uvloop=True) as run:
        print(json.dumps(run.run(measure(options, Path(folder)))))


def serve(workers: int, slices: float | None) -> None:
    """Run a scheduler and its workers until standard input is closed."""
    settle_down(slices)

    async def main() -> None:
        async with local_workers(workers) as address:
            pids = [child.pid for child in psutil.Process().children(recursive=True)]
            print(json.dumps({"cluster": address, "pids": pids, "own": os.getpid()}), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    with runner(uvloop=True) as run:
        run.run(main())


class Cluster:
    """Scheduler and workers in processes of their own."""

    def __init__(self, workers: int, slices: float | None) -> None:
        self._command = [sys.executable, "-m", "benchmarks.cluster", "--serve", str(workers)]
        self._command += slice_option(slices)

    def __enter__(self) -> dict[str, Any]:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - our own module
        assert self._process.stdout is not None
        ready: dict[str, Any] = json.loads(self._process.stdout.readline())
        return ready

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)  # closes its standard input, which ends it


def turns(options: argparse.Namespace) -> int:
    """Run both in turns, and print the table. A full run also writes its figures.

    Returns:
        1 if the promise is missed in a full run.
    """
    workload = (
        f"{options.listings} listings of {options.each} pages, 20 items (12.7 KB) each, "
        f"{options.workers} workers, no latency, {options.pairs} turns, "
        f"{'uvloop' if has_uvloop() else 'the loop of asyncio'} everywhere"
    )
    print(workload)
    rows: list[dict[str, Any]] = []
    runs: dict[str, Any] = {}
    with Server("--pages", str(options.each)) as server:
        for name, slices in SLICES.items():
            with Cluster(options.workers, slices) as cluster:
                for width in options.width:
                    one, many = pairs_of(options, width, slices, server.url, cluster)
                    runs[f"{width} in flight, {name}"] = {"one": one, "many": many}
                    keys = {"slices": name, "width": width}
                    rows += [{**keys, **row} for row in rows_of(one, many)]
    judged = {"slices": next(iter(SLICES)), "width": max(options.width)}
    largest = [row for row in rows if row.items() >= judged.items()]
    texts = [table(rows, COLUMNS), table(large_rows(largest), LARGE_COLUMNS)]
    print("\n\n".join(texts))
    if options.quick:
        return 0
    ratio = next(row["ratio"] for row in largest if row["who"] == "cluster")
    name = f"cluster beside one process, CPU, {judged['width']} in flight, {judged['slices']}"
    verdicts = [promise(name, ratio, MOST)]
    content = {"rows": rows, "runs": runs, "musts": verdicts}
    print(f"written: {write('cluster', workload, content, texts)}")
    return report_promises(verdicts)


def slice_option(slices: float | None) -> list[str]:
    """Return the option that passes the length of time slices on."""
    return [] if slices is None else ["--slices", str(slices)]


def pairs_of(
    options: argparse.Namespace,
    width: int,
    slices: float | None,
    url: str,
    cluster: dict[str, Any],
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Run one process and the cluster in turns; return the figures of each."""
    sizes = ("--listings", str(options.listings), "--width", str(width), *slice_option(slices))
    base = ("--alone", "--url", url, *sizes)
    pids = [text for pid in cluster["pids"] for text in ("--pids", str(pid))]
    where = ("--cluster", cluster["cluster"], "--scheduler", str(cluster["own"]), *pids)
    one, many = [], []
    for _ in range(options.pairs):
        one.append(run_alone("benchmarks.cluster", *base))
        many.append(run_alone("benchmarks.cluster", *base, *where))
    return one, many


def large_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the processors that a large cluster needs, if each page costs as much as here."""
    return [
        {
            "who": row["who"],
            "cpu_us": row["cpu_us"],
            "per_core": 1e6 / row["cpu_us"],
            "cores": math.ceil(LARGE * row["cpu_us"] / 1e6),
        }
        for row in rows
        if row["who"] in ("coordinator", "workers")
    ]


def rows_of(one: list[dict[str, float]], many: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Return the median of each part and its ratio to the single process of the same turn."""
    base = [run["cpu_us"] for run in one]
    rows: list[dict[str, Any]] = [{"who": "one process", "cpu_us": statistics.median(base)}]
    for part in PARTS:
        values = [run["cpu_us" if part == "cluster" else part] for run in many]
        ratios = [value / of for value, of in zip(values, base, strict=True)]
        rows.append(
            {
                "who": part,
                "cpu_us": statistics.median(values),
                "ratio": statistics.median(ratios),
                "least": min(ratios),
                "most": max(ratios),
            }
        )
    return rows


def main() -> int:
    """Run the benchmark, or one of its parts. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (5; with --quick 2)")
    parser.add_argument("--listings", type=int, default=None, help="listings to walk")
    parser.add_argument("--each", type=int, default=20, help="pages of each")
    parser.add_argument(
        "--width", type=int, action="append", help="requests in flight in all (64, and then 256)"
    )
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--alone", action="store_true", help="one harvest, in this process")
    parser.add_argument("--serve", type=int, help="only a scheduler with so many workers")
    parser.add_argument("--slices", type=float, help="with --alone, --serve: time slices, seconds")
    parser.add_argument("--url", help="with --alone: the server to use")
    parser.add_argument("--cluster", help="with --alone: the scheduler")
    parser.add_argument("--scheduler", type=int, help="its process")
    parser.add_argument("--pids", type=int, action="append", default=[], help="the workers'")
    options = parser.parse_args()
    options.pairs = options.pairs or (2 if options.quick else 5)
    options.width = options.width or list(WIDTHS)
    options.listings = options.listings or (250 if options.quick else 2000)
    if options.serve:
        serve(options.serve, options.slices)
    elif options.alone:
        alone(options)
    else:
        return turns(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
