"""Worker processes that the command line starts on this machine."""

from __future__ import annotations

import os

import pytest
from distributed import Client

from tmapi_async.harvest.cluster.local import local_workers

_NAME = "MALLOC_TRIM_THRESHOLD_"


@pytest.mark.slow
async def test_workers_keep_freed_memory_as_this_process_does():
    """The low threshold that Dask sets makes each report of pages ask the system for memory."""
    async with (
        local_workers(1) as address,
        Client(address, asynchronous=True, set_as_default=False) as client,
    ):
        thresholds = await client.run(os.environ.get, _NAME)
    assert list(thresholds.values()) == [os.environ.get(_NAME)]
