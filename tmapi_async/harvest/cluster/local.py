"""A cluster of worker processes on this machine, for as long as one harvest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import dask.config
from distributed import LocalCluster

from .worker import preload as deaf


@asynccontextmanager
async def local_workers(count: int) -> AsyncIterator[str]:
    """Start workers on this machine, and end them.

    Args:
        count: Worker processes.

    Yields:
        The scheduler's address.
    """
    with dask.config.set(_options()):
        async with LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            asynchronous=True,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            preload=[deaf.__name__],
            memory_limit=0,  # they hold next to nothing; none is to be killed for it
        ) as cluster:
            yield cluster.scheduler_address


def _options() -> dict[str, object]:
    options: dict[str, object] = {
        # Ten looks a second at every thread, drawn on a dashboard that there is none of.
        "distributed.worker.profile.enabled": False,
    }
    if find_spec("uvloop") is not None:
        options["distributed.admin.event-loop"] = "uvloop"  # as the command line itself
    return options
