"""The place of a file while it is written: nothing of it is seen before it is complete."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from tmapi_async.export.atomic_file import AtomicFile


class Output(Protocol):
    """A file under way."""

    @property
    def to(self) -> str:
        """Name of the file for messages, without any secret."""

    @property
    def file(self) -> IO[bytes]:
        """The file to write to, but not to read or to seek."""

    def commit(self) -> int:
        """Make the file complete and visible; return its size in bytes."""

    def discard(self) -> None:
        """Leave the place as it was before. Never raises; safe to call after `commit`."""


class LocalOutput:
    """A file of this machine, which is renamed to its path when it is complete.

    Args:
        path: The final path.

    Raises:
        OSError: The file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.to = str(path)
        self._atomic_file = AtomicFile(path)
        self.file = self._atomic_file.temporary.open("wb")

    def commit(self) -> int:
        """Make the file durable and move it to its final path."""
        self.file.close()
        return self._atomic_file.commit()

    def discard(self) -> None:
        """Discard what was written; a previous file stays as it was."""
        with suppress(Exception):  # a full disk fails here again
            self.file.close()
        self._atomic_file.discard()
