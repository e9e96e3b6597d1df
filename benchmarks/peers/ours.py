"""This package, as the peers are run: pages without a journal, or a harvest into one.

On uvloop where it is installed, as the command line runs.
"""

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
    """Every page, in order, decoded."""
    async with (
        TMAPI("sandbox", base_url=url, concurrency=width) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        found = [len(page.items) async for page in walk.pages()]
    return len(found), sum(found)


async def harvest(url: str, listings: int, width: int) -> tuple[int, int]:
    """The same into a journal on the disk, fsync included."""
    asked = [category_items(number) for number in range(1, listings + 1)]
    with tempfile.TemporaryDirectory() as folder:
        async with TMAPI("sandbox", base_url=url, concurrency=width) as api:
            result = await Harvest(api, asked, journal=Path(folder) / "peer.journal").run()
    assert result.complete
    return result.tally.pages, result.tally.items


def main() -> None:
    """Walk, and print as the last line how many pages and items were seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pages", "harvest"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--listings", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    options = parser.parse_args()
    walk = pages if options.what == "pages" else harvest
    with runner(uvloop=True) as run:
        found = run.run(walk(options.url, options.listings, options.width))
    print(json.dumps({"pages": found[0], "items": found[1]}), flush=True)


if __name__ == "__main__":
    main()
