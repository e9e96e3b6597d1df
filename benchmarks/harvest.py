"""Measure the cost of the journal: a harvest, a walk without a journal, a hand-written loop.

    python -m benchmarks.harvest [--quick] [--pairs 9] [--uvloop] [--anywhere] [--profile]

Prints the processor time per page of each, and the difference made by the journal, as medians over
turns. A full run writes `benchmarks/results/harvest.json`; one with `--anywhere` does not, because
only a client on a processor of its own compares with those of other benchmarks. The loop is that of
`benchmarks.client`: default aiohttp, a semaphore, the same structs, nothing stored, always on
asyncio's own loop.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tmapi_async import TMAPI
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest

from . import baselines
from .common import (
    CLIENT_CORE,
    CpuMeter,
    Server,
    compare,
    pin,
    promise,
    report_promises,
    run_alone,
    runner,
    save_ratios,
    table,
    take_turns,
    write,
)

COLUMNS = {
    "client": "client",
    "cpu_us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of the loop|.3f",
    "pages_per_second": "pages/s|.0f",
}


async def pages(url: str, listings: int, width: int, folder: Path) -> int:
    """Walk without a journal."""
    del folder
    seen = 0
    async with (
        TMAPI(baselines.TOKEN, base_url=url, concurrency=width) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        async for page in walk.pages():
            seen += 1
            assert page.items
    return seen


async def harvest(url: str, listings: int, width: int, folder: Path) -> int:
    """Walk the same listings into a journal."""
    path = folder / f"{time.monotonic_ns()}.journal"
    targets = [category_items(number) for number in range(1, listings + 1)]
    async with TMAPI(baselines.TOKEN, base_url=url, concurrency=width) as api:
        result = await Harvest(api, targets, journal=path).run()
    assert result.complete
    return result.pages


async def by_hand(url: str, listings: int, width: int, folder: Path) -> int:
    """Walk with the hand-written loop, which stores nothing."""
    del folder
    return await baselines.semaphore_loop(url, listings, width)


BASELINE = "semaphore loop"
CLIENTS = {"pages()": pages, "harvest": harvest, BASELINE: by_hand}
MOST = 0.9
"""Largest promised cost of a harvest, as a multiple of the loop; uvloop may be used."""
MOST_DURABLE = 0.3
"""Largest promised cost of a harvest beyond that of `pages()`, as a multiple of the loop."""


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run one client in this process: a short walk to warm up, then the measured walk."""
    walk, meter = CLIENTS[options.alone], CpuMeter()
    with runner(uvloop=options.uvloop and options.alone != BASELINE) as run:
        run.run(walk(options.url, 1, options.width, folder))
        meter.start()
        seen = run.run(walk(options.url, options.listings, options.width, folder))
        return meter.stop(seen)


def alone(options: argparse.Namespace) -> None:
    """Run one client in this process and print its figures as JSON."""
    pin(None if options.anywhere else CLIENT_CORE)
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.profile:
            profile.enable()
        figures = measure(options, Path(folder))
        if options.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    print(json.dumps(figures))


def turns(options: argparse.Namespace) -> int:
    """Run all clients in turns and print the table. A full run also writes its figures."""
    workload = (
        f"{options.listings} listings of {options.each} pages, 20 items (12.7 KB) each, "
        f"{options.width} in flight, keep-alive, no latency, {options.pairs} turns; "
        f"{'on all processors; ' if options.anywhere else ''}"
        f"{'uvloop' if options.uvloop else 'the loop of asyncio'} for ours"
    )
    print(workload)
    flags = ["--uvloop"] * options.uvloop + ["--anywhere"] * options.anywhere
    flags += ["--folder", str(options.folder)] if options.folder else []
    with Server("--pages", str(options.each)) as server:

        def run(client: str) -> dict[str, float]:
            sizes = ("--listings", str(options.listings), "--width", str(options.width))
            own = ("--alone", client, "--url", server.url)
            return run_alone("benchmarks.harvest", *own, *sizes, *flags)

        results = take_turns(list(CLIENTS), options.pairs, run)
    rows = compare(results, "cpu_us", BASELINE)
    costs = [
        kept["cpu_us"] - walked["cpu_us"]
        for kept, walked in zip(results["harvest"], results["pages()"], strict=True)
    ]
    print(table(rows, COLUMNS))
    cost = statistics.median(costs)
    shares = [cost / loop["cpu_us"] for cost, loop in zip(costs, results[BASELINE], strict=True)]
    share = statistics.median(shares)
    print(
        f"the journal: {cost:.1f} us of CPU a page, {share:.2f} of the {BASELINE} "
        "(medians of the differences)"
    )
    measured = next(row["ratio"] for row in rows if row["client"] == "harvest")
    if options.anywhere:
        return 0
    if options.quick:
        name = "harvest" if options.uvloop else "harvest-asyncio"
        save_ratios(name, {"harvest/semaphore loop": measured})
        return 0
    verdicts = [
        promise("harvest beside the semaphore loop, CPU", measured, MOST),
        promise("harvest beyond pages(), of the semaphore loop's CPU", share, MOST_DURABLE),
    ]
    result = {"rows": rows, "runs": results, "journal_us": cost, "musts": verdicts}
    name = "harvest-uvloop" if options.uvloop else "harvest"
    print(f"written: {write(name, workload, result, [table(rows, COLUMNS)])}")
    return report_promises(verdicts)


def main() -> int:
    """Run the benchmark, or one of its runs. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (9; with --quick 3)")
    parser.add_argument("--listings", type=int, default=None)
    parser.add_argument("--each", type=int, default=None, help="pages of each listing")
    parser.add_argument("--width", type=int, default=32, help="requests in flight")
    parser.add_argument("--uvloop", action="store_true", help="uvloop for ours")
    parser.add_argument(
        "--anywhere",
        action="store_true",
        help="the client on all processors: its threads then disturb the server, and it them",
    )
    parser.add_argument("--folder", type=Path, default=None, help="where journals are written")
    parser.add_argument("--profile", action="store_true", help="with --alone: print a profile")
    parser.add_argument("--alone", choices=CLIENTS, help="one run, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    options = parser.parse_args()
    options.pairs = options.pairs or (3 if options.quick else 9)
    default = (40, 100) if options.quick else (64, 150)
    options.listings = options.listings or default[0]
    options.each = options.each or default[1]
    if options.alone:
        alone(options)
        return 0
    return turns(options)


if __name__ == "__main__":
    sys.exit(main())
