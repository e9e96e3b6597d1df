"""Run a coordinator that can be killed.

Usage: python run_coordinator.py URL JOURNAL SCHEDULER WIDTH CATEGORY...
"""

from __future__ import annotations

import asyncio
import sys

from tmapi_async import TMAPI, RetryPolicy
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest


async def main(url: str, path: str, cluster: str, width: int, ids: list[int]) -> int:
    """Run one start. Returns its exit code."""
    retry = RetryPolicy(base=0.01)
    async with TMAPI("sandbox", base_url=url, concurrency=width, retry=retry) as api:
        result = await Harvest(api, map(category_items, ids), journal=path, cluster=cluster).run()
    return 0 if result.complete else 3


if __name__ == "__main__":
    url, path, cluster, width, *ids = sys.argv[1:]
    sys.exit(asyncio.run(main(url, path, cluster, int(width), [int(cat_id) for cat_id in ids])))
