"""A scheduler with workers that can be killed: python serving.py WORKERS; prints its address."""

from __future__ import annotations

import asyncio
import sys

from tmapi_async.harvest.cluster.local import local_workers


async def main(workers: int) -> None:
    """Serve until killed."""
    async with local_workers(workers) as address:
        print(address, flush=True)  # noqa: T201 - the answer
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
