"""One cluster for all tests of a module: starting one takes longer than most of them."""

from __future__ import annotations

import gc
import logging
import os
import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from distributed import Client, LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


class Workers:
    """Worker processes that tests may kill."""

    def __init__(self, cluster: LocalCluster, log: Path) -> None:
        self.cluster = cluster
        self.log = log
        self._client = Client(cluster, set_as_default=False)

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return self.cluster.scheduler_address

    def pids(self) -> dict[str, int]:
        """Return the address and process number of every worker."""
        answers: dict[str, int] = self._client.run(os.getpid, on_error="ignore")
        return {worker: pid for worker, pid in answers.items() if isinstance(pid, int)}

    def kill(self, pid: int) -> None:
        """Kill a worker with a signal that it cannot catch; its nanny starts another."""
        os.kill(pid, signal.SIGKILL)

    def wait_for(self, count: int, timeout: float = 60.0) -> None:
        """Wait until there are `count` workers."""
        self._client.wait_for_workers(count, timeout=timeout)

    def restore(self, count: int) -> None:
        """Wait until there are `count` workers again, after some were killed.

        On a busy machine a nanny may give up a worker that was killed while it started. Another
        worker then takes its place.
        """
        try:
            self.wait_for(count, timeout=20.0)
        except TimeoutError:
            self.cluster.scale(len(self.cluster.workers) + count - len(self.pids()))
            self.wait_for(count)

    def close(self) -> None:
        """Close the client."""
        self._client.close()


@pytest.fixture(autouse=True)
def collected_connections(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the connections to killed processes, some of which tornado leaves open.

    The warning about such a connection would otherwise fail a later test.
    """
    yield
    if request.node.get_closest_marker("slow"):  # the others start no processes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Run four worker processes, restarted when they are killed."""
    log = tmp_path_factory.mktemp("cluster") / "distributed.log"
    handler = logging.FileHandler(log)
    logger = logging.getLogger("distributed")
    logger.addHandler(handler)
    with LocalCluster(
        n_workers=4,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=False,
    ) as cluster:
        processes = Workers(cluster, log)
        processes.wait_for(4)
        yield processes
        processes.close()
    logger.removeHandler(handler)
    handler.close()
