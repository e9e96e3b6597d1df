"""A process that reads and decodes every n-th range of a journal for the process that started it.

Run as `python -m tmapi_async.export.parallel.chunk_worker`. The plan comes on standard input, and
the ranges go to standard output, each as its length and its bytes. A range that fails ends the
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
from typing import BinaryIO

from tmapi_async.journal.reader import JournalReader

from .page_ranges import ReadingPlan, decode_range

LENGTH = struct.Struct("<Q")


def main() -> None:
    """Read the plan, then decode ranges until the last one, or until nobody reads them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides when to stop
    plan, first, step = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    results: queue.Queue[bytes | None] = queue.Queue(maxsize=1)
    writer = threading.Thread(target=_write_all, args=(results.get, sys.stdout.buffer), daemon=True)
    writer.start()
    try:
        _decode_all(plan, first, step, results.put)
    finally:
        results.put(None)
        writer.join()


def _decode_all(plan: ReadingPlan, first: int, step: int, deliver: Callable[[bytes], None]) -> None:
    with JournalReader(plan.path) as reader:
        for number in range(first, plan.ranges, step):
            deliver(pickle.dumps(list(decode_range(reader, plan, number)), protocol=5))


def _write_all(take: Callable[[], bytes | None], output: BinaryIO) -> None:
    """Write results while the next one is decoded."""
    try:
        while (result := take()) is not None:
            output.write(LENGTH.pack(len(result)))
            output.write(result)
            output.flush()
    except OSError:  # the other process has ended, or has enough
        os._exit(0)


if __name__ == "__main__":
    main()
