"""Workloads of `benchmarks.instructions`, run by valgrind with the package of any checkout.

    python -P benchmarks/counted_client.py URL LISTINGS,... WORKLOAD...

Loads the package once, then runs each workload with each number of listings in a process forked
from that state, so that the cost of start-up is the same for all.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tmapi_async import TMAPI, category_items
from tmapi_async.harvest import Harvest

TOKEN, WIDTH = "sandbox", 32


async def pages(url: str, listings: int) -> None:
    """Walk listings and keep nothing."""
    async with (
        TMAPI(TOKEN, base_url=url, concurrency=WIDTH) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        async for page in walk.pages():
            assert page.items


async def harvest(url: str, listings: int) -> None:
    """Walk listings and keep every page in a journal."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "counted.journal"
        async with TMAPI(TOKEN, base_url=url, concurrency=WIDTH) as api:
            await Harvest(api, map(category_items, range(1, listings + 1)), journal=journal).run()


async def loop(url: str, listings: int) -> None:
    """Walk listings with the hand-written loop."""
    from benchmarks.baselines import semaphore_loop  # noqa: PLC0415 - an old checkout may lack it

    assert await semaphore_loop(url, listings, WIDTH)


async def raw(url: str, listings: int) -> None:
    """Walk listings with raw sockets."""
    from benchmarks.baselines import raw_sockets  # noqa: PLC0415 - an old checkout may lack it

    assert raw_sockets(url, listings, WIDTH)


WORKLOADS: dict[str, Callable[[str, int], Awaitable[None]]] = {
    "pages": pages,
    "harvest": harvest,
    "loop": loop,
    "raw": raw,
}


def main() -> None:
    """Run each workload once for each number of listings, each in a process of its own."""
    url, sizes, *workloads = sys.argv[1:]
    for workload in workloads:
        for size in sizes.split(","):
            child = os.fork()
            if child == 0:
                asyncio.run(WORKLOADS[workload](url, int(size)))  # type: ignore[arg-type]
                sys.exit()
            _, status = os.waitpid(child, 0)
            if status:
                sys.exit(1)


if __name__ == "__main__":
    main()
