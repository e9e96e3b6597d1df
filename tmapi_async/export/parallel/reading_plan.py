"""Interface of a reading that several processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from tmapi_async.journal.reader import JournalReader

PartT_co = TypeVar("PartT_co", covariant=True)


class ReadingPlan(Protocol[PartT_co]):
    """Reading of a journal in parts, each by one process. Plan and results can be pickled."""

    @property
    def path(self) -> Path:
        """The journal."""

    @property
    def parts(self) -> int:
        """Number of parts."""

    def read(self, reader: JournalReader, number: int) -> Iterator[PartT_co]:
        """Read a part, usually in one piece.

        Args:
            reader: The journal.
            number: Number of the part, from 0.

        Raises:
            JournalError: A page cannot be read.
        """
