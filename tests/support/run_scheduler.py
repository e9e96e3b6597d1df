"""Run a scheduler with workers that can be killed: python run_scheduler.py WORKERS.

Prints the address of the scheduler.
"""

from __future__ import annotations

import asyncio
import sys

from tmapi_async.harvest.cluster.local import local_workers


async def main(workers: int) -> None:
    """Run until killed."""
    async with local_workers(workers) as address:
        print(address, flush=True)  # noqa: T201 - the answer
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
