"""Standard output for rows: does not hold up the event loop, and knows when nobody reads on."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import suppress

from ..errors import InvalidRequestError


class ReaderGoneError(Exception):
    """Whoever read our standard output has stopped."""


class Output:
    """Writes bytes to standard output.

    A pipe or a terminal may be slow; while it is waited for, replies that are on their way must
    still be read, or their time-out would make us pay for them twice. So those are written from a
    thread, one write at a time; a plain file is written directly.

    Raises:
        InvalidRequestError: Standard output is closed.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise InvalidRequestError("standard output is closed: rows have nowhere to go")
        self._descriptor = sys.stdout.fileno()
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)

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
                await asyncio.to_thread(self._write, data)
        except BrokenPipeError:
            raise ReaderGoneError from None

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def silence(self) -> None:
        """Let the interpreter flush into nothing when it ends."""
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._descriptor)
