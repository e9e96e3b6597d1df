"""Write a journal of all that a journal can hold, by the public names of any version.

    python tests/support/journal_fixture.py FILE

Run with the code of a version, the program leaves FILE as that version writes it. It wrote
`tests/data/journal-v3.journal.gz` with the last version whose modules lay side by side at the top
of the package. One change was made for that: a dictionary was trained from 8 bodies in place of 40,
so that a small file has frames with a dictionary, too.

The journal has two runs, five starts and the category tree: a listing that fails, one that a limit
of pages cuts, one that the ceiling of the API ends, one that is divided into parts, rows that
cannot be decoded, a second run over a catalogue that has changed, and a listing that a spent budget
stops.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from tmapi_async import TMAPI, Listing, RetryPolicy, Split
from tmapi_async.harvest import Harvest, HarvestResult, JournalCategories
from tmapi_async.sandbox import Drift, Faults, Prices, Sandbox

HOST = "sandbox.example"

ITEMS = {1: 65, 2: 0, 3: 30, 4: 70, 5: 41, 6: 110, 7: 90}
DIVIDED = 9
LATER_ITEMS = ITEMS | {1: 72, 5: 22}
"""Items of each category in the first run, and in the second one."""

OPTIONS: dict[str, Any] = {
    "seed": 12,
    "drift": Drift(rows=0.1, bad_rows=0.02),
    "ceiling": 60,
    "tree": 25,
    "prices": {DIVIDED: Prices.parse("20,1.0,9.90:25")},
}
SPLIT = Split(ceiling=60)


def v1(*categories: int) -> list[Listing]:
    """Return the listings of categories in `category/items`."""
    return [Listing("category/items", (("cat_id", str(cat_id)),)) for cat_id in categories]


def v2(*categories: int) -> list[Listing]:
    """Return the listings of categories in `category/items/v2`, which has a ceiling."""
    return [Listing("category/items/v2", (("cat_id", str(cat_id)),)) for cat_id in categories]


def api(sandbox: Sandbox, **options: Any) -> TMAPI:
    """Return a client that sends one request at a time, in a known order."""
    known = {"concurrency": 1, "retry": RetryPolicy(base=0), "lookahead": "off"}
    return TMAPI("sandbox", base_url=sandbox.url, **(known | options))


async def harvest(
    sandbox: Sandbox,
    path: Path,
    listings: list[Listing],
    *,
    budget: int | None = None,
    **options: Any,
) -> HarvestResult:
    """Run one start."""
    async with api(sandbox, max_requests=budget) as client:
        return await Harvest(client, listings, journal=path, host=HOST, **options).run()


async def write(path: Path) -> None:
    """Write the journal."""
    faults = Faults(script={(4, 2): "417"})
    categories = {**ITEMS, DIVIDED: 130}
    async with Sandbox(categories=categories, faults=faults, **OPTIONS) as sandbox:
        async with api(sandbox) as client:
            with JournalCategories(path, host=HOST) as cache:
                await client.categories(cache=cache)
        await harvest(sandbox, path, [*v1(1, 2, 3, 4, 5), *v2(6)])
        await harvest(sandbox, path, v1(7), max_pages=2)
        await harvest(sandbox, path, v2(DIVIDED), split=SPLIT)
    async with Sandbox(categories=LATER_ITEMS, **OPTIONS) as sandbox:
        await harvest(sandbox, path, v1(1, 3, 5), refresh=True)
        await harvest(sandbox, path, v1(6), budget=2)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
