"""Excel destination: workbooks written row by row, in memory that does not grow with the rows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportError, ExportRefusedError
from tmapi_async.export.atomic_file import AtomicFile
from tmapi_async.export.sinks import DestinationResult, ItemTable, Table, WritableRows

from .sheet_writer import Formats, SheetWriter

_MAGIC = b"PK"
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "use_zip64": True,
}


class XlsxFile:
    """A workbook with a sheet for each table, and more workbooks when a sheet is full.

    The rows after the 1,048,575th of a table go on in `NAME.2.xlsx` beside the file, and so on.
    Each file appears complete or not at all.

    Args:
        path: The first file.
        table: The table of the items.
        history: The table of the price history, which gets a sheet if it has rows.
    """

    def __init__(self, path: Path, table: Table, history: Table | None = None) -> None:
        self.to = str(path)
        self._path, self._table, self._history_table = path, table, history
        self._rows = {table.title: 0}
        self._history: int | None = None
        self._volumes = [_Volume(path)]
        try:
            self._volumes[0].sheet(table)
        except BaseException:
            self.abort()
            raise

    def write(self, rows: WritableRows) -> None:
        """Write rows of the table."""
        self._rows[self._table.title] += rows.count
        self._write(self._table, rows.batch)

    def begin_table(self, endpoint: Endpoint, name: str) -> None:  # noqa: ARG002 - sheets have titles
        """Begin another sheet, named after its endpoint."""
        self._table = ItemTable(endpoint)
        self._rows[self._table.title] = 0
        self._volumes[0].sheet(self._table)

    def write_history(self, rows: WritableRows) -> None:
        """Write rows of the price history to a sheet of their own."""
        if self._history_table is not None:
            self._history = (self._history or 0) + rows.count
            self._write(self._history_table, rows.batch)

    def _write(self, table: Table, batch: pa.RecordBatch) -> None:
        number = 0
        while batch.num_rows:
            if number == len(self._volumes):
                path = numbered_path(self._path, number + 1)
                _check_numbered(path)
                self._volumes.append(_Volume(path))
            sheet = self._volumes[number].sheet(table)
            if sheet.room:
                part = batch.slice(0, sheet.room)
                sheet.write(part)
                batch = batch.slice(part.num_rows)
            number += 1

    def commit(self) -> DestinationResult:
        """Make the files durable and move them to their final paths, the first one last."""
        try:
            for volume in self._volumes:
                volume.close()
        except XlsxWriterException as error:
            raise ExportError(f"{self.to}: {error}") from None
        size = sum(volume.commit() for volume in reversed(self._volumes))
        sheets = [sheet for volume in self._volumes for sheet in volume.sheets.values()]
        return DestinationResult(
            to=self.to,
            rows=sum(self._rows.values()),
            bytes=size,
            history=self._history,
            more_files=[str(volume.path) for volume in self._volumes[1:]],
            old_files=[str(path) for path in _old_files(self._path, len(self._volumes))],
            cut=sum(sheet.counts.cut for sheet in sheets),
            plain_addresses=sum(sheet.counts.plain_addresses for sheet in sheets),
            tables=self._rows if len(self._rows) > 1 else {},
        )

    def abort(self) -> None:
        """Discard the written rows; previous files stay as they were."""
        for volume in self._volumes:
            volume.discard()


def numbered_path(path: Path, number: int) -> Path:
    """Return the path of a further workbook: `items.2.xlsx` for `items.xlsx`."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def _old_files(path: Path, volumes: int) -> list[Path]:
    """Return the workbooks that an earlier, larger export has left."""
    old_files: list[Path] = []
    while (old := numbered_path(path, volumes + len(old_files) + 1)).exists():
        old_files.append(old)
    return old_files


class _Volume:
    """One workbook under way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sheets: dict[str, SheetWriter] = {}
        self._atomic_file = AtomicFile(path)
        temporary = self._atomic_file.temporary
        # The rows wait in files beside the workbook, which vanish with it.
        self._workbook = Workbook(str(temporary), {**_OPTIONS, "tmpdir": str(temporary.parent)})
        self._formats = Formats(self._workbook)

    def sheet(self, table: Table) -> SheetWriter:
        """Return the sheet of a table, which is made when it is first needed."""
        if table.title not in self.sheets:
            sheet: Any = self._workbook.add_worksheet(table.title)
            self.sheets[table.title] = SheetWriter(sheet, table.schema, self._formats)
        return self.sheets[table.title]

    def close(self) -> None:
        """Write the workbook from the rows of its sheets."""
        for sheet in self.sheets.values():
            sheet.close()
        self._workbook.close()

    def commit(self) -> int:
        """Move the workbook to its path and return its size."""
        return self._atomic_file.commit()

    def discard(self) -> None:
        """Remove everything that was written."""
        for sheet in self._workbook.worksheets():
            with suppress(Exception):  # a full disk fails here again
                sheet.row_data_fh.close()
        self._atomic_file.discard()


def _check_numbered(path: Path) -> None:
    """Refuse to replace a file that is no workbook: its name was not typed by anybody."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ExportRefusedError(
                    f"{path} is needed for more rows, and is no Excel file: name another file"
                )
