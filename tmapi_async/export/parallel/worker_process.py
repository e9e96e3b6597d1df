"""A process that reads every n-th part of a journal for the process that started it.

Run as `python -m tmapi_async.export.parallel.worker_process`. The plan comes on standard input, and
the parts go to standard output, each as its length and its bytes. A part that fails ends the
process: the other process reads it again by itself, and so meets the error.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from tmapi_async.errors.hidden_modules import hide_module
from tmapi_async.journal.reader import JournalReader

from .reading_plan import ReadingPlan

LENGTH = struct.Struct("<Q")


def main() -> None:
    """Read the plan, then its parts until the last one, or until nobody takes them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides when to stop
    hide_module("pandas")  # Arrow would load it with the first array: 54 MB in each worker
    plan, first, step = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    results: queue.Queue[bytes | None] = queue.Queue(maxsize=1)
    writer = threading.Thread(target=_write_all, args=(results.get, sys.stdout.buffer), daemon=True)
    writer.start()
    try:
        _read_all(plan, first, step, results.put)
    finally:
        results.put(None)
        writer.join()


def _read_all(
    plan: ReadingPlan[Any], first: int, step: int, deliver: Callable[[bytes], None]
) -> None:
    with JournalReader(plan.path) as reader:
        for number in range(first, plan.parts, step):
            deliver(pickle.dumps(list(plan.read(reader, number)), protocol=5))


def _write_all(take: Callable[[], bytes | None], output: BinaryIO) -> None:
    """Write results while the next part is read."""
    try:
        while (result := take()) is not None:
            output.write(LENGTH.pack(len(result)))
            output.write(result)
            output.flush()
    except OSError:  # the other process has ended, or has enough
        os._exit(0)


if __name__ == "__main__":
    main()
