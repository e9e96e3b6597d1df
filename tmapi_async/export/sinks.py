"""What rows are written to: the interface of every destination, and what they are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tmapi_async.api.columns import columns
from tmapi_async.api.rows import encode, item_rows

from .conversions import Conversions
from .selection import Chunk

if TYPE_CHECKING:
    import pyarrow as pa


class Rows:
    """Some rows, in the forms that destinations want; each form is made once, if it is wanted.

    Args:
        chunk: The decoded pages.
        conversions: Where values that could not be converted are counted, once.
        tables: Whether a destination wants the table form, which then does the counting.
    """

    def __init__(self, chunk: Chunk, conversions: Conversions, *, tables: bool) -> None:
        self.chunk = chunk
        self._conversions = conversions
        self._tables = tables
        found = columns(chunk.endpoint.item)
        self._numbers = [(one.name, one.text) for one in found if one.text is not None]
        self._batch: pa.RecordBatch | None = None
        self._lines: bytes | None = None

    @property
    def batch(self) -> pa.RecordBatch:
        """As an Arrow record batch of its endpoint's `item_schema`."""
        if self._batch is None:
            from .arrow import record_batch  # noqa: PLC0415 - pyarrow is an extra

            self._batch = record_batch(self.chunk, self._conversions)
        return self._batch

    @property
    def lines(self) -> bytes:
        r"""As JSON lines, each ended by `\n` alone."""
        if self._lines is None:
            self._lines = encode(self._each())
        return self._lines

    def _each(self) -> Iterator[dict[str, Any]]:
        for origin, items, positions in self.chunk.origins():
            for row in item_rows(origin, items, positions):
                if not self._tables:
                    self._count(row)
                yield row

    def _count(self, row: dict[str, Any]) -> None:
        for name, text in self._numbers:
            if row[text] is not None:
                unread = row[name] is None
                self._conversions.add(name, unread=int(unread), bounds=int(not unread))


class DestinationResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination holds after an export.

    Attributes:
        to: The destination, without any password.
        rows: Rows written to it.
        bytes: Size of the file, or None where there is none.
        inserted: Rows that are new in the table, or None where there is none.
        updated: Rows of the table that changed.
        unchanged: Rows that the table held already as they are, or newer.
    """

    to: str
    rows: int
    bytes: int | None = None
    inserted: int | None = None
    updated: int | None = None
    unchanged: int | None = None


class Sink(Protocol):
    """A destination that is open. Nothing of it is seen by others before `finish` returns."""

    @property
    def to(self) -> str:
        """The destination, for people: without any password."""

    def write(self, rows: Rows) -> None:
        """Take rows."""

    def finish(self) -> DestinationResult:
        """Make what was written durable, and put it in place."""

    def abandon(self) -> None:
        """Leave the destination as it was; never raises."""
