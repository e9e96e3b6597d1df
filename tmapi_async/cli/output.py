"""Standard output for rows: never blocks the event loop, and notices a reader that has gone."""

from __future__ import annotations

import asyncio
import os
import queue
import stat
import sys
import threading
from contextlib import suppress
from typing import TypeAlias

from tmapi_async.errors.escaping import escape_json_controls

from .console import require_output

GRACE_SECONDS = 1.0
"""Seconds that an interrupted command waits for its last rows, so that no line is cut."""


class ReaderGoneError(Exception):
    """The program that reads our standard output has closed it."""


_WriteRequest: TypeAlias = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[OSError | None]"]


def _resolve(future: asyncio.Future[OSError | None], error: OSError | None) -> None:
    if not future.done():
        future.set_result(error)


class RowOutput:
    """Writes bytes to standard output.

    A pipe or a terminal may be slow. While a write waits, replies that are on their way must still
    be read: otherwise they time out and are paid for twice. So a thread writes to pipes and
    terminals, one write at a time; a plain file is written directly. The thread is not one of the
    event loop's, since the loop waits for its threads at the end: a reader that has stopped reading
    would delay an interrupt.

    Raises:
        InvalidRequestError: Standard output is closed.
    """

    def __init__(self) -> None:
        require_output()
        self._descriptor = sys.stdout.fileno()
        self._is_terminal = sys.stdout.isatty()
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._requests: queue.SimpleQueue[_WriteRequest] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, data: bytes) -> None:
        """Write all of `data`: whole lines of JSON or of escaped text.

        On a terminal, characters that it would obey are escaped, which keeps the JSON's meaning.

        Raises:
            ReaderGoneError: The reader has closed the pipe.
            OSError: Writing failed, for instance because the disk is full.
        """
        if self._is_terminal:
            data = escape_json_controls(data)
        try:
            if self._is_file:
                self._write_now(data)
            else:
                await self._write_in_thread(data)
        except BrokenPipeError:
            raise ReaderGoneError from None

    async def _write_in_thread(self, data: bytes) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="tmapi output", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[OSError | None] = loop.create_future()
        self._requests.put((data, loop, future))
        try:
            error = await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future], timeout=GRACE_SECONDS)
            raise
        if error is not None:
            raise error

    def _serve(self) -> None:
        while True:
            data, loop, future = self._requests.get()
            error = None
            try:
                self._write_now(data)
            except OSError as problem:
                error = problem
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
                loop.call_soon_threadsafe(_resolve, future, error)

    def _write_now(self, data: bytes) -> None:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(self._descriptor, remaining) :]

    def discard(self) -> None:
        """Send what the interpreter flushes at its end to the null device."""
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._descriptor)
