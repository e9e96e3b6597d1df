"""Standard output for rows: does not hold up the event loop, and knows when nobody reads on."""

from __future__ import annotations

import asyncio
import os
import queue
import stat
import sys
import threading
from contextlib import suppress
from typing import TypeAlias

from tmapi_async.errors import InvalidRequestError

GRACE_SECONDS = 1.0
"""How long an interrupted command waits for its last rows to be taken, so that no line is cut."""


class ReaderGoneError(Exception):
    """Whoever read our standard output has stopped."""


_Order: TypeAlias = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[OSError | None]"]


def _settle(written: asyncio.Future[OSError | None], error: OSError | None) -> None:
    if not written.done():
        written.set_result(error)


class Output:
    """Writes bytes to standard output.

    A pipe or a terminal may be slow; while it is waited for, replies that are on their way must
    still be read, or their time-out would make us pay for them twice. So those are written from a
    thread, one write at a time; a plain file is written directly. The thread is our own, since the
    loop's are waited for at the end: a reader that has stopped reading would hold up an interrupt.

    Raises:
        InvalidRequestError: Standard output is closed.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise InvalidRequestError("standard output is closed: rows have nowhere to go")
        self._descriptor = sys.stdout.fileno()
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            ReaderGoneError: The reader has closed the pipe.
            OSError: It cannot be written, for instance since the disk is full.
        """
        try:
            if self._is_file:
                self._write(data)
            else:
                await self._write_aside(data)
        except BrokenPipeError:
            raise ReaderGoneError from None

    async def _write_aside(self, data: bytes) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="tmapi output", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        written: asyncio.Future[OSError | None] = loop.create_future()
        self._orders.put((data, loop, written))
        try:
            error = await asyncio.shield(written)
        except asyncio.CancelledError:
            await asyncio.wait([written], timeout=GRACE_SECONDS)
            raise
        if error is not None:
            raise error

    def _serve(self) -> None:
        while True:
            data, loop, written = self._orders.get()
            error = None
            try:
                self._write(data)
            except OSError as problem:
                error = problem
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, written, error)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def silence(self) -> None:
        """Let the interpreter flush into nothing when it ends."""
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._descriptor)
