"""Measure processor time per page of the page cache beside pages that are requested.

    python -m benchmarks.cache [--quick] [--pairs 7]

Pages are awaited one by one, or walked. Requested pages come from a server without processor time.
Pages of the file are each read for the first time by their process; pages of the memory are read
again and again. The promises are about ratios within a turn. A full run writes
`benchmarks/results/cache.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tmapi_async import TMAPI

from . import baselines
from .common import (
    CLIENT_CORE,
    CpuMeter,
    Server,
    pin,
    promise,
    quartiles,
    report_promises,
    run_alone,
    table,
    take_turns,
    write,
)

PAGES_EACH = 20
FEW = 20
"""Listings that are read again and again."""

DAY = 86_400.0
COLUMNS = {
    "client": "pages",
    "cpu_us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of a requested one|.3f",
}
MOST = {"awaited, file": 0.35, "awaited, memory": 0.35, "walked, memory": 0.5}
"""Largest promised cost of a page, as a multiple of a requested one. To decode a page of a walk is
most of what it costs from memory, and a third of what it costs when it is requested."""


def client(url: str, cache: str | None, **options: Any) -> TMAPI:
    """Return a client with a gate of fixed width."""
    settings = {"concurrency": 32, "shared": False, "max_age": DAY, **options}
    return TMAPI(baselines.TOKEN, base_url=url, cache=cache, **settings)


async def awaited(api: TMAPI, listings: int) -> int:
    """Await the first pages of listings, one after the other."""
    for number in range(1, listings + 1):
        page = await api.category_items(number)
        assert page.items
    return listings


async def walked(api: TMAPI, listings: int) -> int:
    """Walk listings."""
    seen = 0
    async with api.category_items(range(1, listings + 1)) as walk:
        async for page in walk.pages():
            seen += 1
            assert page.items
    return seen


async def again_and_again(
    read: Callable[[TMAPI, int], Awaitable[int]], api: TMAPI, listings: int
) -> int:
    """Read a few listings until as many were read as `listings`."""
    return sum([await read(api, FEW) for _ in range(max(1, listings // FEW))])


async def measure(name: str, url: str, cache: str, listings: int) -> dict[str, float]:
    """Read pages in one way, after a short run to warm up."""
    read = awaited if name.startswith("awaited") else walked
    many = listings * PAGES_EACH if read is awaited else listings
    meter, from_cache = CpuMeter(), not name.endswith("requested")
    async with client(url, cache if from_cache else None) as api:
        await read(api, FEW)
        meter.start()
        if name.endswith("memory"):
            seen = await again_and_again(read, api, many)
        else:
            seen = await read(api, many)
        figures = meter.stop(seen)
        assert not from_cache or api.statistics().requests == 0
    return figures


async def fill(url: str, cache: str, listings: int) -> None:
    """Fill a cache file with all pages that are read."""
    async with client(url, cache) as api:
        await walked(api, listings)
        await awaited(api, listings * PAGES_EACH)


NAMES = [
    f"{way}, {place}" for way in ("awaited", "walked") for place in ("requested", "file", "memory")
]


def turns(options: argparse.Namespace) -> int:
    """Read in every way in turns and print the table. A full run also writes its figures."""
    workload = (
        f"{options.listings} listings of {PAGES_EACH} pages, 20 items (12.7 KB) each, and "
        f"{options.listings * PAGES_EACH} first pages; at most 32 in flight, no latency, "
        f"{options.pairs} turns"
    )
    print(workload)
    with Server("--pages", str(PAGES_EACH)) as server, tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "pages.db")
        asyncio.run(fill(server.url, cache, options.listings))

        def run(name: str) -> dict[str, float]:
            sizes = ("--listings", str(options.listings), "--cache", cache)
            return run_alone("benchmarks.cache", "--alone", name, "--url", server.url, *sizes)

        results = take_turns(NAMES, options.pairs, run)
    rows = [_row(name, results) for name in NAMES]
    print(table(rows, COLUMNS))
    ratios = {row["client"]: row["ratio"] for row in rows}
    verdicts = [
        promise(f"{name}, beside a requested page, CPU", ratios[name], most)
        for name, most in MOST.items()
    ]
    if not options.quick:
        content = {"rows": rows, "musts": verdicts}
        print(f"written: {write('cache', workload, content, [table(rows, COLUMNS)])}")
    return report_promises(verdicts)


def _row(name: str, results: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    values = [run["cpu_us"] for run in results[name]]
    requested = results[f"{name.partition(',')[0]}, requested"]
    ratios = [value / run["cpu_us"] for value, run in zip(values, requested, strict=True)]
    low, middle, high = quartiles(values)
    ratio = quartiles(ratios)[1]
    return {"client": name, "cpu_us": middle, "from": low, "to": high, "ratio": ratio}


def main() -> int:
    """Run the benchmark, or one of its runs. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (7; with --quick 3)")
    parser.add_argument("--listings", type=int, default=None, help=f"of {PAGES_EACH} pages")
    parser.add_argument("--alone", choices=NAMES, help="one run, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    parser.add_argument("--cache", help="with --alone: the cache file")
    options = parser.parse_args()
    options.pairs = options.pairs or (3 if options.quick else 7)
    options.listings = options.listings or (40 if options.quick else 150)
    if not options.alone:
        return turns(options)
    pin(CLIENT_CORE)
    figures = asyncio.run(measure(options.alone, options.url, options.cache, options.listings))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
