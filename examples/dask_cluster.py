"""A harvest by the workers of a Dask cluster, in one file.

    pip install ".[cluster]"     # in the folder of the project
    python examples/dask_cluster.py                       against a sandbox: no token, no cost
    python examples/dask_cluster.py 1031910 2806778       the real service, with TMAPI_TOKEN

The workers send the requests and decode the replies; this process alone writes the journal. Run the
same command again after a stop of any kind: it continues. For a cluster of your own, replace
`LocalCluster(...)` by its address: `Client("tcp://10.0.0.1:8786")`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster

from tmapi_async import TMAPI, category_items
from tmapi_async.harvest import Harvest, HarvestResult
from tmapi_async.sandbox import SandboxThread

JOURNAL = "dask.journal"
COMPLETE, PARTIAL = 0, 3


@contextmanager
def sandbox_categories() -> Iterator[list[int]]:
    """Start a sandbox, point the environment to it, and yield its categories."""
    with SandboxThread(limit=8, latency=0.01) as thread:
        os.environ |= {"TMAPI_TOKEN": "sandbox", "TMAPI_BASE_URL": thread.url}
        yield list(thread.sandbox.catalogue.category_ids)


async def harvest(cat_ids: Iterable[int], client: Client) -> HarvestResult:
    """Fetch categories into the journal with the workers of a cluster."""
    listings = [category_items(cat_id) for cat_id in cat_ids]
    async with TMAPI.from_env() as api:
        return await Harvest(api, listings, journal=JOURNAL, cluster=client).run()


def run(cat_ids: Iterable[int]) -> int:
    """Start two workers, harvest, and return the exit code."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        result = asyncio.run(harvest(cat_ids, client))
    tally = result.tally
    print(f"{tally.listings:,} categories, {tally.pages:,} pages, {tally.items:,} items")
    if not result.complete:
        print(f"not complete ({result.stopped_by or 'failures'}): run the same command again")
    return COMPLETE if result.complete else PARTIAL


def main() -> int:
    """Harvest the categories of the command line, or those of a sandbox."""
    if sys.argv[1:]:
        return run([int(cat_id) for cat_id in sys.argv[1:]])
    with sandbox_categories() as cat_ids:
        return run(cat_ids)


# The workers are new processes that import this file. Without the next line each starts a cluster.
if __name__ == "__main__":
    sys.exit(main())
