"""Measure processor time per page of `pages()`, a hand-written loop and raw sockets.

    python -m benchmarks.client [--quick] [--pairs 9] [--uvloop]

The promise is about the ratio to the hand-written loop: default aiohttp, `asyncio.Semaphore`, the
same msgspec structs, on asyncio's own loop. Where uvloop is installed, `pages()` is also run on it;
`--uvloop` runs every client on it. A full run judges the promises and writes
`benchmarks/results/client.json` (`client-uvloop.json`).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tmapi_async import TMAPI

from . import baselines
from .common import (
    CLIENT_CORE,
    CpuMeter,
    Server,
    compare,
    has_uvloop,
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

PAGES_EACH = 20
BASELINE, FLOOR = "semaphore loop", "raw sockets"


async def pages(url: str, listings: int, width: int) -> int:
    """Walk with the library: all guarantees on, the width of the gate fixed."""
    seen = 0
    async with (
        TMAPI(baselines.TOKEN, base_url=url, concurrency=width) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        async for page in walk.pages():
            seen += 1
            assert page.items
    return seen


ON_UVLOOP = "pages(), uvloop"
CLIENTS = {
    "pages()": pages,
    ON_UVLOOP: pages,
    BASELINE: baselines.semaphore_loop,
    "worker loop": baselines.worker_loop,
    FLOOR: baselines.raw_sockets,
}
COLUMNS = {
    "client": "client",
    "cpu_us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of the loop|.3f",
    "pages_per_second": "pages/s|.0f",
}


def measure(client: str, url: str, listings: int, width: int, *, uvloop: bool) -> dict[str, float]:
    """Run one client in this process: a short walk to warm up, then the measured walk."""
    walk, meter = CLIENTS[client], CpuMeter()
    with runner(uvloop=uvloop) as run:

        def once(many: int) -> int:
            results = walk(url, many, width)
            return run.run(results) if asyncio.iscoroutine(results) else results  # type: ignore[return-value]

        once(width)
        meter.start()
        seen = once(listings)
        figures = meter.stop(seen)
    assert seen == listings * PAGES_EACH
    return figures


def alone(options: argparse.Namespace) -> None:
    """Run one client in this process and print its figures as JSON."""
    pin(CLIENT_CORE)
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    uvloop = options.uvloop or options.alone == ON_UVLOOP
    figures = measure(options.alone, options.url, options.listings, options.width, uvloop=uvloop)
    if options.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    print(json.dumps(figures))


def ratio(results: Mapping[str, Sequence[Mapping[str, float]]], client: str, to: str) -> float:
    """Return the median ratio between two clients; each ratio is of one turn."""
    pairs = zip(results[client], results[to], strict=True)
    return statistics.median(one["cpu_us"] / other["cpu_us"] for one, other in pairs)


def promises(
    results: Mapping[str, Sequence[Mapping[str, float]]], *, uvloop: bool
) -> list[dict[str, Any]]:
    """Check the promises about `pages()`, each client on its usual loop or all on uvloop."""
    ours = [name for name in (ON_UVLOOP, "pages()") if name in results]
    most = {BASELINE: 0.70 if uvloop else 0.55, FLOOR: 2.0}
    return [
        promise(
            f"pages() beside the {to}, CPU", min(ratio(results, name, to) for name in ours), limit
        )
        for to, limit in most.items()
    ]


def turns(options: argparse.Namespace) -> int:
    """Run every client in turns and print the table. A full run also writes its figures."""
    workload = (
        f"{options.listings} listings of {PAGES_EACH} pages, 20 items (12.7 KB) each, "
        f"{options.width} in flight, keep-alive, no latency, {options.pairs} turns; "
        f"{'uvloop' if options.uvloop else 'the loop of asyncio'} unless said otherwise"
    )
    print(workload)
    flags = ["--uvloop"] if options.uvloop else []
    with Server("--pages", str(PAGES_EACH)) as server:

        def run(client: str) -> dict[str, float]:
            sizes = ("--listings", str(options.listings), "--width", str(options.width))
            return run_alone(
                "benchmarks.client", "--alone", client, "--url", server.url, *sizes, *flags
            )

        one_loop = options.uvloop or not has_uvloop()
        clients = [name for name in CLIENTS if name != ON_UVLOOP or not one_loop]
        results = take_turns(clients, options.pairs, run)
    rows = compare(results, "cpu_us", BASELINE)
    print(table(rows, COLUMNS))
    if options.quick:
        ours = [name for name in (ON_UVLOOP, "pages()") if name in results]
        kept = {f"{name}/{BASELINE}": ratio(results, name, BASELINE) for name in ours}
        save_ratios("client-uvloop" if options.uvloop else "client", kept)
        return 0
    verdicts = promises(results, uvloop=options.uvloop)
    name = "client-uvloop" if options.uvloop else "client"
    content = {"rows": rows, "runs": results, "musts": verdicts}
    print(f"written: {write(name, workload, content, [table(rows, COLUMNS)])}")
    return report_promises(verdicts)


def main() -> int:
    """Run the benchmark, or one of its runs. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (9; with --quick 5)")
    parser.add_argument("--listings", type=int, default=None, help=f"of {PAGES_EACH} pages")
    parser.add_argument("--width", type=int, default=32, help="requests in flight")
    parser.add_argument("--uvloop", action="store_true", help="uvloop for every client")
    parser.add_argument("--profile", action="store_true", help="with --alone: print a profile")
    parser.add_argument("--alone", choices=CLIENTS, help="one run, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    options = parser.parse_args()
    options.pairs = options.pairs or (5 if options.quick else 9)
    options.listings = options.listings or (80 if options.quick else 250)
    if options.alone:
        alone(options)
        return 0
    return turns(options)


if __name__ == "__main__":
    sys.exit(main())
