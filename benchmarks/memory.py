"""Measure peak memory of a long walk and a long harvest, in each tenth of the pages.

    python -m benchmarks.memory [--quick] [--pages 100000] [--listings 5000]

Walks the listings in one process, and harvests them into a journal in another with the progress
display of the command line. Memory must not grow with the number of pages: the peak of the last
tenth must be within 5 MB of that of the second tenth (the first still fills pools and caches), and
a harvest must stay under 64 MB. The exit status is 1 if a promise is missed. A full run writes
`benchmarks/results/memory.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tmapi_async import TMAPI
from tmapi_async.api.listings import category_items
from tmapi_async.cli.progress.progress_display import HarvestDisplay
from tmapi_async.harvest import Harvest

from .baselines import TOKEN
from .common import (
    CLIENT_CORE,
    MEGABYTE,
    Server,
    pin,
    promise,
    report_promises,
    run_alone,
    runner,
    table,
    write,
)

ALLOWED = 5.0
"""Largest allowed growth from the second tenth to the last, in megabytes."""

MOST = 64.0
"""Largest allowed memory of a harvest in megabytes, interpreter and imports included."""

TENTHS = 10
EVERY = 20
"""Pages between two measurements: less than the width of the gate."""


class Memory:
    """Record the highest resident memory in each tenth of a walk, in megabytes."""

    def __init__(self, pages: int) -> None:
        self._tenth = pages / TENTHS
        self._page_size = os.sysconf("SC_PAGESIZE") / MEGABYTE
        self._statm = Path("/proc/self/statm").open("rb", buffering=0)  # noqa: SIM115 - kept open
        self.peaks = [0.0] * TENTHS

    def look(self, seen: int) -> None:
        """Record the memory after `seen` pages."""
        self._statm.seek(0)
        resident = int(self._statm.read().split()[1]) * self._page_size
        tenth = min(TENTHS - 1, int((seen - 1) / self._tenth))
        self.peaks[tenth] = max(self.peaks[tenth], resident)


async def walk(url: str, listings: int, pages: int, width: int) -> list[float]:
    """Walk every listing to its end. Returns the peaks of the tenths."""
    memory, seen = Memory(pages), 0
    async with (
        TMAPI(TOKEN, base_url=url, concurrency=width) as api,
        api.category_items(range(1, listings + 1)) as walked,
    ):
        async for _ in walked.pages():
            seen += 1
            if seen % EVERY == 0:
                memory.look(seen)
    assert seen == pages, f"{seen} pages, {pages} expected"
    return memory.peaks


async def harvest(url: str, listings: int, pages: int, width: int) -> list[float]:
    """Harvest every listing into a journal, with the display. Returns the peaks of the tenths."""
    memory = Memory(pages)
    targets = [category_items(number) for number in range(1, listings + 1)]
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with tempfile.TemporaryDirectory() as folder:
        async with TMAPI(TOKEN, base_url=url, concurrency=width) as api:
            job = Harvest(api, targets, journal=Path(folder) / "memory.journal")
            work = asyncio.create_task(job.run())
            with HarvestDisplay(console, job.progress) as display:
                while not work.done():
                    display.refresh()
                    console.file.seek(0)
                    memory.look(max(1, job.progress().pages))
                    await asyncio.sleep(0.02)
            result = await work
    assert result.complete
    assert result.pages == pages, f"{result.pages} pages, {pages} expected"
    return memory.peaks


WAYS = {"pages()": walk, "harvest": harvest}


def alone(options: argparse.Namespace) -> None:
    """Run one of the two in this process and print the peaks as JSON."""
    pin(CLIENT_CORE)
    way = WAYS[options.alone]
    with runner(uvloop=options.uvloop) as run:
        peaks = run.run(way(options.url, options.listings, options.pages, options.width))
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peaks": peaks, "highest": highest}))


def measure(options: argparse.Namespace) -> int:
    """Run each in a fresh process; print the tenths and the verdict on each promise."""
    each = options.pages // options.listings
    loop = "uvloop" if options.uvloop else "the loop of asyncio"
    workload = (
        f"{options.pages} pages of {options.listings} listings, 20 items (12.7 KB) each, "
        f"{options.width} in flight, in one process, {loop}"
    )
    print(workload)
    sizes = ["--pages", str(options.pages), "--listings", str(options.listings)]
    sizes += ["--width", str(options.width), *(["--uvloop"] if options.uvloop else [])]
    start = time.perf_counter()
    results: dict[str, Any] = {}
    with Server("--pages", str(each)) as server:
        for way in WAYS:
            results[way] = run_alone(
                "benchmarks.memory", "--alone", way, "--url", server.url, *sizes
            )
    rows = [
        {"tenth": n + 1, **{way: results[way]["peaks"][n] for way in WAYS}} for n in range(TENTHS)
    ]
    shown = table(rows, {"tenth": "tenth", **{way: f"{way}, MB|.1f" for way in WAYS}})
    print(shown)
    verdicts = [
        promise(
            f"{way}: MB of the last tenth over the second", rows[-1][way] - rows[1][way], ALLOWED
        )
        for way in WAYS
    ]
    verdicts.append(promise("harvest: highest MB at any time", results["harvest"]["highest"], MOST))
    print(f"({time.perf_counter() - start:.0f} s)")
    if not options.quick:
        content = {"rows": rows, "musts": verdicts}
        print(f"written: {write('memory', workload, content, [shown])}")
    return report_promises(verdicts)


def main() -> int:
    """Run the benchmark, or one of its two runs. Returns 1 if memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pages; writes no file")
    parser.add_argument("--pages", type=int, default=None, help="in all (100000; --quick 10000)")
    parser.add_argument("--listings", type=int, default=None, help="(5000; with --quick 500)")
    parser.add_argument("--width", type=int, default=32, help="requests in flight")
    parser.add_argument("--uvloop", action="store_true", help="walk on uvloop")
    parser.add_argument("--alone", choices=WAYS, help="one of the two, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    options = parser.parse_args()
    options.pages = options.pages or (10_000 if options.quick else 100_000)
    options.listings = options.listings or (500 if options.quick else 5_000)
    if not Path("/proc/self/statm").exists():
        print("this needs /proc/self/statm: Linux only")
        return 0
    if options.alone:
        alone(options)
        return 0
    return measure(options)


if __name__ == "__main__":
    sys.exit(main())
