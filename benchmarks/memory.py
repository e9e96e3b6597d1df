"""Peak memory of a long walk: the last tenth beside the second.

    python -m benchmarks.memory [--quick] [--pages 100000] [--listings 5000]

Walks the listings in one process and notes the highest resident memory in each tenth of the pages.
What a walk holds must not grow with what it has walked: the peak of the last tenth has to lie
within 5 MB of that of the second (the first still fills pools and caches). Ends with 1 if not. A
full run writes `benchmarks/results/memory.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tmapi_async import TMAPI

from .common import CLIENT_CORE, MEGABYTE, Server, pin, run_alone, runner, table, write
from .rivals import TOKEN

ALLOWED = 5.0
"""Megabytes that the last tenth may lie above the second."""

TENTHS = 10
EVERY = 20
"""Pages between two looks at the memory: less than a gate's width."""


class Memory:
    """The highest resident memory in each tenth of a walk, in megabytes."""

    def __init__(self, pages: int) -> None:
        self._tenth = pages / TENTHS
        self._page_size = os.sysconf("SC_PAGESIZE") / MEGABYTE
        self._statm = Path("/proc/self/statm").open("rb", buffering=0)  # noqa: SIM115 - kept open
        self.peaks = [0.0] * TENTHS

    def look(self, seen: int) -> None:
        """Note the memory after so many pages."""
        self._statm.seek(0)
        resident = int(self._statm.read().split()[1]) * self._page_size
        tenth = min(TENTHS - 1, int((seen - 1) / self._tenth))
        self.peaks[tenth] = max(self.peaks[tenth], resident)


async def walk(url: str, listings: int, pages: int, width: int) -> list[float]:
    """Walk every listing to its end; the peaks of the tenths."""
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


def alone(options: argparse.Namespace) -> None:
    """The walk, in this process: prints the peaks as JSON."""
    pin(CLIENT_CORE)
    with runner(uvloop=options.uvloop) as run:
        peaks = run.run(walk(options.url, options.listings, options.pages, options.width))
    print(json.dumps({"peaks": peaks}))


def measure(options: argparse.Namespace) -> bool:
    """Walk in a process of its own, print the tenths and whether the last is low enough."""
    each = options.pages // options.listings
    loop = "uvloop" if options.uvloop else "the loop of asyncio"
    workload = (
        f"{options.pages} pages of {options.listings} listings, 20 items (12.7 KB) each, "
        f"{options.width} in flight, walked by pages() in one process, {loop}"
    )
    print(workload)
    sizes = ["--pages", str(options.pages), "--listings", str(options.listings)]
    sizes += ["--width", str(options.width), *(["--uvloop"] if options.uvloop else [])]
    start = time.perf_counter()
    with Server("--pages", str(each)) as server:
        found = run_alone("benchmarks.memory", "--alone", "--url", server.url, *sizes)
    rows = [{"tenth": n + 1, "peak": peak} for n, peak in enumerate(found["peaks"])]
    print(table(rows, {"tenth": "tenth", "peak": "peak, MB|.1f"}))
    growth = rows[-1]["peak"] - rows[1]["peak"]
    passed: bool = growth <= ALLOWED
    verdict = f"last tenth {growth:+.1f} MB beside the second, {ALLOWED:g} allowed"
    print(f"{'passed' if passed else 'FAILED'}: {verdict} ({time.perf_counter() - start:.0f} s)")
    if not options.quick:
        result = {"rows": rows, "growth_mb": growth, "allowed_mb": ALLOWED, "passed": passed}
        print(f"written: {write('memory', workload, result)}")
    return passed


def main() -> int:
    """Run the benchmark, or its walk; 1 if memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pages; writes no file")
    parser.add_argument("--pages", type=int, default=None, help="in all (100000; --quick 10000)")
    parser.add_argument("--listings", type=int, default=None, help="(5000; with --quick 500)")
    parser.add_argument("--width", type=int, default=32, help="requests in flight")
    parser.add_argument("--uvloop", action="store_true", help="walk on uvloop")
    parser.add_argument("--alone", action="store_true", help="only the walk, in this process")
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
    return 0 if measure(options) else 1


if __name__ == "__main__":
    sys.exit(main())
