"""File destinations (Parquet, CSV, JSON lines) and standard output."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from typing import Any

import zstandard

from tmapi_async.errors.escaping import escape_json_controls

from .outputs.file_output import Output
from .sinks import DestinationResult, Table, WritableRows

GROUP_ROWS = 65_536
"""Rows of a Parquet row group. Readers skip or share whole groups; one takes some 35 MB of memory
while it is collected."""

_DISTINCT = frozenset(("item_id", "product_url", "title", "img", "position"))
"""Columns that Parquet writes without a dictionary: hardly two rows have the same value, and the
dictionary would cost a fifth of the time of writing."""

_ZSTD_LEVEL = 3


class FileSink:
    """A file with the rows of one table, which appears complete or not at all.

    Args:
        output: The file under way.
        table: The table of the rows.
    """

    def __init__(self, output: Output, table: Table) -> None:
        self.to = output.to
        self.table = table
        self._rows = 0
        self._output = output
        self._file = output.file

    def write(self, rows: WritableRows) -> None:
        """Write rows."""
        self._rows += rows.count
        self._write(rows)

    def _write(self, rows: WritableRows) -> None:
        self._file.write(rows.lines)

    def _write_end(self) -> None:
        """Write the end of the file format."""

    def commit(self) -> DestinationResult:
        """Make the file complete and visible."""
        self._write_end()
        return DestinationResult(to=self.to, rows=self._rows, bytes=self._output.commit())

    def abort(self) -> None:
        """Discard the written rows; a previous file stays as it was."""
        with suppress(Exception):  # a full disk fails here again
            self._abandon_writer()
        self._output.discard()

    def _abandon_writer(self) -> None:
        """Release the format's writer without a complete file."""


class JsonLinesFile(FileSink):
    """JSON lines."""


class JsonLinesZstdFile(FileSink):
    """JSON lines, compressed as one zstd frame."""

    def __init__(self, output: Output, table: Table) -> None:
        super().__init__(output, table)
        compressor = zstandard.ZstdCompressor(_ZSTD_LEVEL, write_checksum=True)
        self._frame = compressor.stream_writer(self._file, closefd=False)

    def _write(self, rows: WritableRows) -> None:
        self._frame.write(rows.lines)

    def _write_end(self) -> None:
        self._frame.close()  # type: ignore[no-untyped-call]


class ParquetFile(FileSink):
    """Parquet, compressed with zstd."""

    def __init__(self, output: Output, table: Table) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra, and slow to import

        super().__init__(output, table)
        self._pending: list[Any] = []
        self._pending_rows = 0
        repeated = [name for name in table.schema.names if name not in _DISTINCT]
        self._writer = pq.ParquetWriter(
            self._file, table.schema, compression="zstd", use_dictionary=repeated
        )

    def _write(self, rows: WritableRows) -> None:
        self._pending.append(rows.batch)
        self._pending_rows += rows.batch.num_rows
        if self._pending_rows >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - as above

        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
            self._pending, self._pending_rows = [], 0

    def _write_end(self) -> None:
        self._write_group()
        self._writer.close()

    def _abandon_writer(self) -> None:
        try:
            self._writer.close()
        finally:
            # Otherwise the writer tries to close again when it is collected, and prints an error.
            self._writer.is_open = False


class CsvFile(FileSink):
    """CSV that a spreadsheet can open without running any cell as a formula.

    Args:
        output: The file under way.
        table: The table of the rows.
        bom: True to begin with a byte-order mark, by which Excel knows that the text is UTF-8.
    """

    def __init__(self, output: Output, table: Table, *, bom: bool = False) -> None:
        from pyarrow import csv  # noqa: PLC0415 - an extra, and slow to import

        from .csv_safety import csv_schema, spreadsheet_batch  # noqa: PLC0415 - as above

        super().__init__(output, table)
        self._spreadsheet_batch = spreadsheet_batch
        if bom:
            self._file.write(codecs.BOM_UTF8)
        self._writer = csv.CSVWriter(self._file, csv_schema(table.schema))

    def _write(self, rows: WritableRows) -> None:
        self._writer.write_batch(self._spreadsheet_batch(rows.batch))

    def _write_end(self) -> None:
        self._writer.close()


class StandardOutput:
    """JSON lines to standard output. Written rows cannot be taken back.

    On a terminal, characters that it would obey are escaped, which keeps the JSON's meaning.
    """

    to = "-"

    def __init__(self) -> None:
        self._descriptor = sys.stdout.fileno()
        self._is_terminal = sys.stdout.isatty()
        self._rows = 0

    def write(self, rows: WritableRows) -> None:
        """Write rows.

        Raises:
            BrokenPipeError: The reader has closed the pipe.
        """
        lines = escape_json_controls(rows.lines) if self._is_terminal else rows.lines
        unwritten = memoryview(lines)
        while unwritten:
            unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        self._rows += rows.count

    def commit(self) -> DestinationResult:
        """Return the result; every row is written by now."""
        return DestinationResult(to=self.to, rows=self._rows)

    def abort(self) -> None:
        """Do nothing: written rows cannot be taken back."""


FILES: dict[str, type[FileSink]] = {
    ".jsonl.zst": JsonLinesZstdFile,
    ".jsonl": JsonLinesFile,
    ".parquet": ParquetFile,
    ".csv": CsvFile,
}
"""File name ending -> class of the destination."""
