"""Widths of the columns of a sheet: Excel shows `####` for a number that is cut. No I/O."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

ADDRESS = re.compile(r"(?:.*_)?(?:url|img)")
"""Names of columns that hold addresses."""

_ID = re.compile(r"(?:.*_)?(?:id|skuid)")
_LONG_TEXTS = ("title", "listing")
_ID_CHARACTERS = 16
_LONG_TEXT_CHARACTERS = 40
_MOST_ADDRESS_CHARACTERS = 50
_MOST_TEXT_CHARACTERS = 30
_MOST_HEADER_CHARACTERS = 18
_LEAST_CHARACTERS = 9
_BUTTON = 3  # the filter button of a header
_MARGIN = 2  # other fonts have wider digits
_TIME = "yyyy-mm-dd hh:mm:ss"
_FLAG = "FALSE"


class ColumnWidths:
    """Widths that show the values of a table, in characters.

    Numbers and times have room for every value, texts and addresses up to a maximum.

    Args:
        schema: Columns of the table.

    Attributes:
        characters: Width of each column.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.characters = [_least(field) for field in schema]
        self._schema = schema

    def widen(self, batch: pa.RecordBatch) -> None:
        """Make room for the values of a batch."""
        for index, (field, column) in enumerate(zip(self._schema, batch.columns, strict=True)):
            if column.null_count < len(column):
                needed = _shown(field, column) + _MARGIN
                self.characters[index] = max(self.characters[index], needed)


def _least(field: pa.Field) -> int:
    """Return the width of a column without values."""
    if field.name in _LONG_TEXTS:
        return _LONG_TEXT_CHARACTERS
    least = max(_LEAST_CHARACTERS, min(len(field.name) + _BUTTON, _MOST_HEADER_CHARACTERS))
    return max(least, _ID_CHARACTERS) if _ID.fullmatch(field.name) else least


def _shown(field: pa.Field, column: pa.Array) -> int:
    """Return the characters of the longest value as Excel shows it, or more."""
    kind = field.type
    if pa.types.is_string(kind):
        most = _MOST_ADDRESS_CHARACTERS if ADDRESS.fullmatch(field.name) else _MOST_TEXT_CHARACTERS
        return min(_text_characters(column), most - _MARGIN)
    if pa.types.is_timestamp(kind):
        return len(_TIME)
    if pa.types.is_boolean(kind):
        return len(_FLAG)
    # The longest number is the least or the greatest: all have the decimals of the column.
    ends = pc.min_max(column).as_py().values()
    return max(len(f"{value:d}" if isinstance(value, int) else f"{value:f}") for value in ends)


def _text_characters(column: pa.Array) -> int:
    """Return the width of the longest text. A Chinese character has three bytes and two widths."""
    twice = pc.add(pc.utf8_length(column), pc.binary_length(column))
    return (int(pc.max(twice).as_py()) + 1) // 2
