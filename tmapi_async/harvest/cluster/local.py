"""Cluster of worker processes on this machine, for the time of one harvest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import dask.config
from distributed import LocalCluster

from .worker import preload


@asynccontextmanager
async def local_workers(count: int) -> AsyncIterator[str]:
    """Start worker processes on this machine, and end them on exit.

    Args:
        count: Number of worker processes.

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
            preload=[preload.__name__],
            memory_limit=0,  # workers hold next to nothing: none must be killed for its memory
        ) as cluster:
            yield cluster.scheduler_address


def _options() -> dict[str, object]:
    options: dict[str, object] = {
        # Dask looks at every thread ten times a second, at every event loop fifty times, and at the
        # machine twice, for a dashboard nobody opens.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        # Workers give memory back to the system as this process does. Dask's threshold is so low
        # that they would ask the system for the memory of each report of pages anew.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    if find_spec("uvloop") is not None:
        options["distributed.admin.event-loop"] = "uvloop"  # as the command line itself
    return options
