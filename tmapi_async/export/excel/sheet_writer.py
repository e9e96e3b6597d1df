"""One sheet of a workbook: typed cells, links, and text that never becomes a formula."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from tmapi_async.export.arrays.number_arrays import nearest_floats
from tmapi_async.export.csv_safety import looks_like_formula, replace_nul

from .column_widths import ADDRESS, ColumnWidths

MOST_ROWS = 1_048_576
"""Rows of a sheet, the header included."""

MOST_LINKS = 65_530
"""Links of a sheet. Excel repairs, and so damages, a file with more."""

OTHER_LINKS = 32_765
"""Links of a sheet after which only pages of products become links. So a small sheet has all its
addresses as links, and a large one has the pages of as many products as possible."""

MOST_CHARACTERS = 32_767
"""UTF-16 units of a cell."""

_PRODUCT_PAGE = "product_url"
_LINK = r"^https?://[^\s\"<>\\]+$"
_MOST_LINK_CHARACTERS = 2000
_NOT_IN_XML = "[\ufffe\uffff]"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_RICH = ("<r>", "</r>")

_Write: TypeAlias = Callable[[int, int, Any], Any]


class SheetCounts(msgspec.Struct):
    """Cells of a sheet that are not as they were sent.

    Attributes:
        links: Number of addresses that are links.
        plain_addresses: Number of addresses that are text, because a sheet has no room for links.
        cut: Number of texts that were cut, because a cell has no room for them.
    """

    links: int = 0
    plain_addresses: int = 0
    cut: int = 0


class Formats:
    """Cell formats of a workbook.

    Args:
        workbook: The workbook.
    """

    def __init__(self, workbook: Workbook) -> None:
        self.header: Format = workbook.add_format({"bold": True, "bottom": 1})
        self.whole: Format = workbook.add_format({"num_format": "0"})
        self.decimal: Format = workbook.add_format({"num_format": "0.00####"})
        self.time: Format = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.link: Format = workbook.get_default_url_format()
        # Otherwise Excel reads such a text as a formula when somebody edits the cell.
        self.quoted: Format = workbook.add_format({"quote_prefix": True})


class SheetWriter:
    """Writes the rows of one table to one sheet, in their order.

    Args:
        sheet: An empty sheet.
        schema: Columns of the table.
        formats: Formats of the workbook.

    Attributes:
        counts: Cells that are not as they were sent.
    """

    def __init__(self, sheet: Worksheet, schema: pa.Schema, formats: Formats) -> None:
        self.counts = SheetCounts()
        self._sheet, self._schema, self._formats = sheet, schema, formats
        self._widths = ColumnWidths(schema)
        self._row = 1
        sheet.freeze_panes(1, 0)
        for column, field in enumerate(schema):
            sheet.write_string(0, column, field.name, formats.header)

    @property
    def room(self) -> int:
        """Number of rows that the sheet still has room for."""
        return MOST_ROWS - self._row

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows, for which there must be room."""
        self._widths.widen(batch)
        writers: list[tuple[int, _Write, list[Any]]] = []
        for index, (field, column) in enumerate(zip(self._schema, batch.columns, strict=True)):
            if column.null_count < len(column):
                write, values = self._cells(field, column)
                writers.append((index, write, values))
        for offset in range(batch.num_rows):
            row = self._row + offset
            for index, write, values in writers:
                value = values[offset]
                if value is not None:
                    write(row, index, value)
        self._row += batch.num_rows

    def close(self) -> None:
        """Add the filter over all rows, and the widths of the columns."""
        for column, characters in enumerate(self._widths.characters):
            self._sheet.set_column(column, column, characters)
        self._sheet.autofilter(0, 0, self._row - 1, len(self._schema) - 1)

    def _cells(self, field: pa.Field, column: pa.Array) -> tuple[_Write, list[Any]]:
        """Return the function that writes a cell of a column, and the values."""
        kind, sheet = field.type, self._sheet
        if pa.types.is_string(kind):
            return self._text_cells(field.name, _clean(column))
        if pa.types.is_boolean(kind):
            return sheet.write_boolean, column.to_pylist()
        if pa.types.is_timestamp(kind):
            # Excel knows no time zones: the times are UTC.
            return self._time, list(map(_naive, column.to_pylist()))
        return self._whole if pa.types.is_integer(kind) else self._decimal, _numbers(column)

    def _text_cells(self, name: str, column: pa.Array) -> tuple[_Write, list[Any]]:
        if ADDRESS.fullmatch(name):
            write = self._product_page if name == _PRODUCT_PAGE else self._address
            return write, _marked(column, pc.match_substring_regex(column, _LINK))
        formula = looks_like_formula(column)
        if pc.any(formula).as_py():
            return self._suspicious_text, _marked(column, formula)
        return self._text, column.to_pylist()

    def _time(self, row: int, column: int, value: datetime) -> None:
        self._sheet.write_datetime(row, column, value, self._formats.time)

    def _whole(self, row: int, column: int, value: float | str) -> None:
        self._number(row, column, value, self._formats.whole)

    def _decimal(self, row: int, column: int, value: float | str) -> None:
        self._number(row, column, value, self._formats.decimal)

    def _number(self, row: int, column: int, value: float | str, cell_format: Format) -> None:
        if isinstance(value, str):
            self._sheet.write_string(row, column, value)
        else:
            self._sheet.write_number(row, column, value, cell_format)

    def _text(self, row: int, column: int, text: str, cell_format: Format | None = None) -> None:
        if len(text) > MOST_CHARACTERS // 2 and _units(text) > MOST_CHARACTERS:
            self.counts.cut += 1
            text = _cut(text)
        if text.startswith(_RICH[0]) and text.endswith(_RICH[1]):
            text += " "  # XlsxWriter takes such a text for its own formatted text, and not for text
        self._sheet.write_string(row, column, text, cell_format)

    def _suspicious_text(self, row: int, column: int, value: tuple[str, bool]) -> None:
        text, is_formula = value
        self._text(row, column, text, self._formats.quoted if is_formula else None)

    def _product_page(self, row: int, column: int, value: tuple[str, bool]) -> None:
        self._link(row, column, value, MOST_LINKS)

    def _address(self, row: int, column: int, value: tuple[str, bool]) -> None:
        self._link(row, column, value, OTHER_LINKS)

    def _link(self, row: int, column: int, value: tuple[str, bool], most: int) -> None:
        text, is_link = value
        is_link = is_link and len(text) <= _MOST_LINK_CHARACTERS
        if is_link and self.counts.links < most:
            self.counts.links += 1
            self._sheet.write_url(row, column, text, self._formats.link, text)
            return
        self.counts.plain_addresses += is_link
        self._text(row, column, text, None if is_link else self._formats.quoted)


def _naive(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=None)


def _numbers(column: pa.Array) -> list[float | str | None]:
    """Return numbers as floats, and as text those with more digits than Excel keeps."""
    floats, inexact = nearest_floats(column)
    values: list[float | str | None] = floats.to_pylist()
    texts = column.cast(pa.string())
    for index in pc.indices_nonzero(inexact).to_pylist():
        values[index] = texts[index].as_py()
    return values


def _clean(column: pa.Array) -> pa.Array:
    """Replace characters that XML cannot hold; other controls are escaped as Excel does."""
    return pc.replace_substring_regex(replace_nul(column), _NOT_IN_XML, _REPLACEMENT)


def _marked(column: pa.Array, marks: pa.Array) -> list[tuple[str, bool] | None]:
    pairs = zip(column.to_pylist(), marks.to_pylist(), strict=True)
    return [None if text is None else (text, mark) for text, mark in pairs]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str) -> str:
    """Return as much of a text as a cell has room for, without half a character at the end."""
    return text.encode("utf-16-le")[: 2 * MOST_CHARACTERS].decode("utf-16-le", "ignore")
