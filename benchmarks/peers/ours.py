"""Run this package like a peer: pages without a journal, or a harvest into one."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.common import runner
from tmapi_async import TMAPI
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest


async def pages(url: str, listings: int, width: int) -> tuple[int, int]:
    """Walk and decode every page in order."""
    async with (
        TMAPI("sandbox", base_url=url, concurrency=width) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        results = [len(page.items) async for page in walk.pages()]
    return len(results), sum(results)


async def harvest(url: str, listings: int, width: int) -> tuple[int, int]:
    """Harvest the same pages into a journal on disk, fsync included."""
    targets = [category_items(number) for number in range(1, listings + 1)]
    with tempfile.TemporaryDirectory() as folder:
        async with TMAPI("sandbox", base_url=url, concurrency=width) as api:
            result = await Harvest(api, targets, journal=Path(folder) / "peer.journal").run()
    assert result.complete
    return result.tally.pages, result.tally.items


def main() -> None:
    """Walk, then print the number of pages and items as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pages", "harvest"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--listings", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()
    walk = pages if options.what == "pages" else harvest
    with runner(uvloop=options.loop == "uvloop") as run:
        results = run.run(walk(options.url, options.listings, options.width))
    print(json.dumps({"pages": results[0], "items": results[1]}), flush=True)


if __name__ == "__main__":
    main()
