"""Store of changes: in memory while they are few, else in a temporary file."""

from __future__ import annotations

import heapq
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from .diff import CHANGE

MEMORY_BYTES = 16 << 20
"""Bytes of changes to keep in memory."""

_STORED_ROWS = 1024
"""Rows that are written and read at once. One such piece of each group is in memory."""

BATCH_ROWS = 16_384
"""Rows of the batches to iterate over, at least, except for the last batch."""

_Piece: TypeAlias = "pa.Buffer | tuple[int, int]"
"""Changes in memory, or their position and size in the file."""


class ChangeStore:
    """Changes (`CHANGE`) in the order of their listings, however many there are.

    Listings are compared in groups, in any order. The changes of a group are stored in the order of
    its listings, and reading merges the groups.

    Attributes:
        rows: Number of changes.
        kept_bytes: Bytes of changes in memory.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._groups: list[list[_Piece]] = []
        self.kept_bytes = 0
        self._file: IO[bytes] | None = None
        self._can_write = True

    def add(self, changes: pa.Table) -> None:
        """Add the changes of a group of listings, sorted. No other group has these listings."""
        self.rows += changes.num_rows
        batches = changes.combine_chunks().to_batches(max_chunksize=_STORED_ROWS)
        self._groups.append([self._keep(batch.serialize()) for batch in batches])

    def _keep(self, message: pa.Buffer) -> _Piece:
        if self.kept_bytes + message.size > MEMORY_BYTES and self._can_write:
            try:
                return self._write(message)
            except OSError:  # no folder for temporary files, or no space in it
                self._can_write = False
        self.kept_bytes += message.size
        return message

    def _write(self, message: pa.Buffer) -> tuple[int, int]:
        if self._file is None:
            # The file has no name on POSIX systems, so a kill leaves nothing behind.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in the next line
            weakref.finalize(self, self._file.close)
        position = self._file.seek(0, os.SEEK_END)
        self._file.write(message)
        self._file.flush()
        return position, message.size

    def _read(self, piece: _Piece) -> pa.RecordBatch:
        if isinstance(piece, tuple) and self._file is not None:
            position, size = piece
            self._file.seek(position)
            piece = pa.py_buffer(self._file.read(size))
        return pa.ipc.read_record_batch(piece, CHANGE)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all changes, ordered by listing, kind and item."""
        pending: list[pa.RecordBatch] = []
        rows = 0
        parts = heapq.merge(*map(self._listings, self._groups), key=lambda part: part[0])
        for _, batch in parts:
            pending.append(batch)
            rows += batch.num_rows
            if rows >= BATCH_ROWS:
                yield _concatenated(pending)
                pending, rows = [], 0
        if pending:
            yield _concatenated(pending)

    def table(self) -> pa.Table:
        """Return all changes as one table in memory."""
        return pa.Table.from_batches(self.batches(), schema=CHANGE)

    def _listings(self, pieces: list[_Piece]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield the listings of a group, each with some of its changes."""
        for piece in pieces:
            batch, start = self._read(piece), 0
            runs = pc.run_end_encode(batch["listing"])
            for listing, end in zip(
                runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True
            ):
                yield listing, batch.slice(start, end - start)
                start = end


def _concatenated(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches(batches, schema=CHANGE).combine_chunks().to_batches()
    return batch
