"""Processor time a page of `pages()`, beside a loop written by hand and the raw socket.

    python -m benchmarks.client [--quick] [--pairs 9] [--uvloop]

The ratio that counts is that to the hand-written loop: default aiohttp, `asyncio.Semaphore`, the
same msgspec structs, on asyncio's own loop. Where uvloop is installed, `pages()` is also run on it;
`--uvloop` runs every client on it. A full run writes `benchmarks/results/client.json`
(`client-uvloop.json`).
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

from . import rivals as others
from .common import (
    CLIENT_CORE,
    Meter,
    Server,
    compare,
    has_uvloop,
    hold,
    keep_ratios,
    pin,
    run_alone,
    runner,
    table,
    take_turns,
    told,
    write,
)

PAGES_EACH = 20
BASELINE, FLOOR = "semaphore loop", "raw sockets"


async def pages(url: str, listings: int, width: int) -> int:
    """The library: every guarantee on, the gate's width fixed."""
    seen = 0
    async with (
        TMAPI(others.TOKEN, base_url=url, concurrency=width) as api,
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
    BASELINE: others.semaphore_loop,
    "worker loop": others.worker_loop,
    FLOOR: others.raw_sockets,
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
    """Run one client in this process: a short walk to warm up, then the walk that counts."""
    walk, meter = CLIENTS[client], Meter()
    with runner(uvloop=uvloop) as run:

        def once(many: int) -> int:
            found = walk(url, many, width)
            return run.run(found) if asyncio.iscoroutine(found) else found  # type: ignore[return-value]

        once(width)
        meter.start()
        seen = once(listings)
        figures = meter.stop(seen)
    assert seen == listings * PAGES_EACH
    return figures


def alone(options: argparse.Namespace) -> None:
    """A run in a process of its own: prints its figures as JSON."""
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


def ratio(found: Mapping[str, Sequence[Mapping[str, float]]], client: str, to: str) -> float:
    """Median of the ratios between two clients, turn by turn."""
    pairs = zip(found[client], found[to], strict=True)
    return statistics.median(one["cpu_us"] / other["cpu_us"] for one, other in pairs)


def promises(
    found: Mapping[str, Sequence[Mapping[str, float]]], *, quick: bool
) -> list[dict[str, Any]]:
    """What must hold of `pages()`, uvloop allowed.

    A short run says nothing of the floor: where others use the machine's caches, what is written in
    Python slows down far more than a tight loop does, and alike with its like.
    """
    ours = [name for name in (ON_UVLOOP, "pages()") if name in found]
    most = {BASELINE: 0.85} if quick else {BASELINE: 0.85, FLOOR: 3.0}
    return [
        hold(f"pages() beside the {to}, CPU", min(ratio(found, name, to) for name in ours), limit)
        for to, limit in most.items()
    ]


def turns(options: argparse.Namespace) -> int:
    """Run every client in turns, print the table, keep the figures of a full run."""
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
        rivals = [name for name in CLIENTS if name != ON_UVLOOP or not one_loop]
        found = take_turns(rivals, options.pairs, run)
    rows = compare(found, "cpu_us", BASELINE)
    print(table(rows, COLUMNS))
    musts = promises(found, quick=options.quick)
    if options.quick:
        ours = [name for name in (ON_UVLOOP, "pages()") if name in found]
        kept = {f"{name}/{BASELINE}": ratio(found, name, BASELINE) for name in ours}
        keep_ratios("client", kept)
    else:
        name = "client-uvloop" if options.uvloop else "client"
        content = {"rows": rows, "runs": found, "musts": musts}
        print(f"written: {write(name, workload, content)}")
    return told(musts)


def main() -> int:
    """Run the benchmark, or one of its runs; 1 if what must hold does not."""
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
