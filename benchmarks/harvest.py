"""What the journal costs: a harvest beside the same walk without one, and its memory over time.

    python -m benchmarks.harvest [--quick] [--pairs 9] [--uvloop] [--profile]
    python -m benchmarks.harvest --memory [--pages 100000]

The first prints the processor time a page of both and of their difference, turn by turn, and (a
full run) writes `benchmarks/results/harvest.json`. The second harvests 5,000 listings with the
display on and prints the memory in use in the second tenth and in the last.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import io
import json
import os
import pstats
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tmapi_async import TMAPI
from tmapi_async.harvest import Harvest
from tmapi_async.listings import category_items

from . import rivals
from .common import (
    CLIENT_CORE,
    MEGABYTE,
    Meter,
    Server,
    compare,
    pin,
    run_alone,
    runner,
    table,
    take_turns,
    write,
)

COLUMNS = {
    "client": "client",
    "cpu_us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "pages_per_second": "pages/s|.0f",
}


async def pages(url: str, listings: int, width: int, folder: Path) -> int:
    """The walk without a journal."""
    del folder
    seen = 0
    async with (
        TMAPI(rivals.TOKEN, base_url=url, concurrency=width) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        async for page in walk.pages():
            seen += 1
            assert page.items
    return seen


async def harvest(url: str, listings: int, width: int, folder: Path) -> int:
    """The same walk into a journal."""
    path = folder / f"{time.monotonic_ns()}.journal"
    asked = [category_items(number) for number in range(1, listings + 1)]
    async with TMAPI(rivals.TOKEN, base_url=url, concurrency=width) as api:
        result = await Harvest(api, asked, journal=path).run()
    assert result.complete
    return result.pages


CLIENTS = {"pages()": pages, "harvest": harvest}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run one client in this process: a short walk to warm up, then the walk that counts."""
    walk, meter = CLIENTS[options.alone], Meter()
    with runner(uvloop=options.uvloop) as run:
        run.run(walk(options.url, 1, options.width, folder))
        meter.start()
        seen = run.run(walk(options.url, options.listings, options.width, folder))
        return meter.stop(seen)


def alone(options: argparse.Namespace) -> None:
    """A run in a process of its own: prints its figures as JSON."""
    pin(CLIENT_CORE if options.pin else None)
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.profile:
            profile.enable()
        figures = measure(options, Path(folder))
        if options.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    print(json.dumps(figures))


def turns(options: argparse.Namespace) -> None:
    """Run both in turns, print the table, keep the figures of a full run."""
    workload = (
        f"{options.listings} listings of {options.each} pages, 20 items (12.7 KB) each, "
        f"{options.width} in flight, keep-alive, no latency, {options.pairs} turns; "
        f"{'uvloop' if options.uvloop else 'the loop of asyncio'} for both"
    )
    print(workload)
    flags = ["--uvloop"] * options.uvloop + ["--pin"] * options.pin
    flags += ["--folder", str(options.folder)] if options.folder else []
    with Server("--pages", str(options.each)) as server:

        def run(client: str) -> dict[str, float]:
            sizes = ("--listings", str(options.listings), "--width", str(options.width))
            own = ("--alone", client, "--url", server.url)
            return run_alone("benchmarks.harvest", *own, *sizes, *flags)

        found = take_turns(list(CLIENTS), options.pairs, run)
    rows = compare(found, "cpu_us", "pages()")
    costs = [
        kept["cpu_us"] - walked["cpu_us"]
        for kept, walked in zip(found["harvest"], found["pages()"], strict=True)
    ]
    print(table(rows, COLUMNS))
    cost = statistics.median(costs)
    print(f"the journal: {cost:.1f} us of CPU a page (median of the differences)")
    if not options.quick:
        result = {"rows": rows, "runs": found, "journal_us": cost}
        print(f"written: {write('harvest', workload, result)}")


def memory(options: argparse.Namespace) -> None:
    """Harvest many listings in this process, the display on, and print the memory in use."""
    with Server("--pages", str(options.each)) as server, tempfile.TemporaryDirectory() as folder:
        samples = asyncio.run(_sampled(server.url, options, Path(folder)))
    tenth = len(samples) // 10
    early, late = max(samples[tenth : 2 * tenth]), max(samples[-tenth:])
    print(f"pages {options.listings * options.each:,}, listings {options.listings:,}")
    print(f"most in the second tenth {early:.1f} MB, in the last {late:.1f} MB")


async def _sampled(url: str, options: argparse.Namespace, folder: Path) -> list[float]:
    from tmapi_async.cli.display import Display  # noqa: PLC0415 - only here

    asked = [category_items(number) for number in range(1, options.listings + 1)]
    samples: list[float] = []
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    async with TMAPI(rivals.TOKEN, base_url=url, concurrency=options.width) as api:
        job = Harvest(api, asked, journal=folder / "memory.journal")
        work = asyncio.create_task(job.run())
        with Display(console, job.progress) as display:
            while not work.done():
                display.refresh()
                console.file.seek(0)
                samples.append(resident())
                await asyncio.sleep(0.05)
        assert (await work).complete
    return samples


def resident() -> float:
    """Megabytes of this process in memory."""
    pages_in_memory = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages_in_memory * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def main() -> None:
    """Run the benchmark, or one of its runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (9; with --quick 3)")
    parser.add_argument("--listings", type=int, default=None)
    parser.add_argument("--each", type=int, default=None, help="pages of each listing")
    parser.add_argument("--width", type=int, default=32, help="requests in flight")
    parser.add_argument("--uvloop", action="store_true", help="uvloop for both")
    parser.add_argument("--pin", action="store_true", help="the client on one processor alone")
    parser.add_argument("--folder", type=Path, default=None, help="where journals are written")
    parser.add_argument("--memory", action="store_true", help="memory in place of time")
    parser.add_argument("--profile", action="store_true", help="with --alone: print a profile")
    parser.add_argument("--alone", choices=CLIENTS, help="one run, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    options = parser.parse_args()
    options.pairs = options.pairs or (3 if options.quick else 9)
    default = (5000, 20) if options.memory else (64, 150) if not options.quick else (40, 100)
    options.listings = options.listings or default[0]
    options.each = options.each or default[1]
    if options.memory:
        memory(options)
    elif options.alone:
        alone(options)
    else:
        turns(options)


if __name__ == "__main__":
    main()
