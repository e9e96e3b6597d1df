"""Files: Parquet, CSV, JSON lines; and standard output."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from tmapi_async.api.endpoints import Endpoint

from .atomic_file import AtomicFile
from .sinks import DestinationResult, Rows

GROUP_ROWS = 65_536
"""Rows of a Parquet row group: readers skip or share out whole groups; some 35 MB in memory."""

_ZSTD_LEVEL = 3


class FileSink:
    """A file that is put in place whole, of the rows of one endpoint."""

    def __init__(self, path: Path, endpoint: Endpoint) -> None:
        self.to = str(path)
        self.endpoint = endpoint
        self._rows = 0
        self._place = AtomicFile(path)
        self._file: BinaryIO = self._place.part.open("wb")

    def write(self, rows: Rows) -> None:
        """Take rows."""
        self._rows += rows.chunk.rows
        self._write(rows)

    def _write(self, rows: Rows) -> None:
        self._file.write(rows.lines)

    def _end(self) -> None:
        """Write what the form ends with."""

    def finish(self) -> DestinationResult:
        """Make the file durable and put it in place."""
        self._end()
        self._file.close()
        return DestinationResult(to=self.to, rows=self._rows, bytes=self._place.put())

    def abandon(self) -> None:
        """Leave what was there before."""
        with suppress(Exception):  # a full disk fails here again
            self._drop()
        with suppress(Exception):
            self._file.close()
        self._place.remove()

    def _drop(self) -> None:
        """Let go of what writes to the file."""


class JsonLinesFile(FileSink):
    """JSON lines."""


class JsonLinesZstdFile(FileSink):
    """JSON lines, compressed as one zstd frame."""

    def __init__(self, path: Path, endpoint: Endpoint) -> None:
        super().__init__(path, endpoint)
        compressor = zstandard.ZstdCompressor(_ZSTD_LEVEL, write_checksum=True)
        self._frame = compressor.stream_writer(self._file, closefd=False)

    def _write(self, rows: Rows) -> None:
        self._frame.write(rows.lines)

    def _end(self) -> None:
        self._frame.close()  # type: ignore[no-untyped-call]


class ParquetFile(FileSink):
    """Parquet, compressed with zstd."""

    def __init__(self, path: Path, endpoint: Endpoint) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra, and slow to import

        from .arrow import item_schema  # noqa: PLC0415 - as above

        super().__init__(path, endpoint)
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self._writer = pq.ParquetWriter(self._file, item_schema(endpoint), compression="zstd")

    def _write(self, rows: Rows) -> None:
        self._waiting.append(rows.batch)
        self._waiting_rows += rows.batch.num_rows
        if self._waiting_rows >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - as above

        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
            self._waiting, self._waiting_rows = [], 0

    def _end(self) -> None:
        self._write_group()
        self._writer.close()

    def _drop(self) -> None:
        try:
            self._writer.close()
        finally:
            self._writer.is_open = False  # else it tries again when it is collected, and complains


class CsvFile(FileSink):
    """CSV that a spreadsheet can open without running anything of it."""

    def __init__(self, path: Path, endpoint: Endpoint) -> None:
        from pyarrow import csv  # noqa: PLC0415 - an extra, and slow to import

        from .arrow import item_schema  # noqa: PLC0415 - as above
        from .csv_safety import csv_schema, for_spreadsheets  # noqa: PLC0415 - as above

        super().__init__(path, endpoint)
        self._harmless = for_spreadsheets
        self._writer = csv.CSVWriter(self._file, csv_schema(item_schema(endpoint)))

    def _write(self, rows: Rows) -> None:
        self._writer.write_batch(self._harmless(rows.batch))

    def _end(self) -> None:
        self._writer.close()


class StandardOutput:
    """JSON lines to standard output; what was written stays written."""

    to = "-"

    def __init__(self) -> None:
        self._descriptor = sys.stdout.fileno()
        self._rows = 0

    def write(self, rows: Rows) -> None:
        """Write rows.

        Raises:
            BrokenPipeError: The reader has gone.
        """
        left = memoryview(rows.lines)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._rows += rows.chunk.rows

    def finish(self) -> DestinationResult:
        """Nothing is left to be done."""
        return DestinationResult(to=self.to, rows=self._rows)

    def abandon(self) -> None:
        """Nothing can be taken back."""


FILES: dict[str, type[FileSink]] = {
    ".jsonl.zst": JsonLinesZstdFile,
    ".jsonl": JsonLinesFile,
    ".parquet": ParquetFile,
    ".csv": CsvFile,
}
"""Ending of a file's name to what writes it."""
