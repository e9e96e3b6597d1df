"""Processes that read the parts of a journal side by side, and the results in order."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, Generic, TypeVar

from tmapi_async.journal.reader import JournalReader

from .reading_plan import ReadingPlan
from .worker_process import LENGTH
from .worker_process import __name__ as _worker_module

_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's other allocators keep 15 MB more for each worker."""


PartT = TypeVar("PartT")


class PartWorkers(Generic[PartT]):
    """Worker processes for one reading.

    Each worker reads every n-th part and waits until it is taken, so that memory does not grow
    with the journal. Plain processes with pipes are used, and not `multiprocessing`, which would
    run the program of a caller again in each worker.

    Args:
        reader: The journal. Parts that no worker delivers are read here.
        plan: The parts to read.
        jobs: Number of workers.

    Attributes:
        workers: The processes.
    """

    def __init__(self, reader: JournalReader, plan: ReadingPlan[PartT], jobs: int) -> None:
        self._reader, self._plan = reader, plan
        self.workers: list[subprocess.Popen[bytes]] = []
        self._lost: set[int] = set()
        try:
            for number in range(jobs):
                self._start(number, jobs)
        except BaseException:
            self.close()
            raise

    def _start(self, number: int, jobs: int) -> None:
        command = [sys.executable, "-m", _worker_module]
        worker = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
        )
        self.workers.append(worker)
        with suppress(OSError):  # a worker that could not start delivers nothing
            stdin = _pipe(worker.stdin)
            stdin.write(pickle.dumps((self._plan, number, jobs)))
            stdin.close()

    def results(self) -> Iterator[PartT]:
        """Yield the results of all parts, in their order.

        Raises:
            JournalError: A page cannot be read.
        """
        for number in range(self._plan.parts):
            index = number % len(self.workers)
            results = None if index in self._lost else _take(self.workers[index])
            if results is None:
                self._lost.add(index)
                yield from self._plan.read(self._reader, number)
            else:
                yield from results

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.kill()
        for worker in self.workers:
            for pipe in (worker.stdin, worker.stdout):
                with suppress(OSError):
                    _pipe(pipe).close()
            worker.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("a worker has pipes")
    return pipe


def _take(worker: subprocess.Popen[bytes]) -> list[Any] | None:
    """Return the next results of a worker, or None if it has ended before."""
    output = _pipe(worker.stdout)
    length = output.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(length)
    result = output.read(size)
    if len(result) < size:
        return None
    results: list[Any] = pickle.loads(result)  # noqa: S301 - from a worker of our own
    return results
