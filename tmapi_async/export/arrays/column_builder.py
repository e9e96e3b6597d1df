"""A column of items, which grows piece by piece and is converted as a whole.

A piece is made of a few hundred items while they are in the cache of the processor, and it holds no
Python object. Conversion has a fixed cost, so that it takes many pieces at once.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.columns import READERS, Column
from tmapi_async.export.conversions import Conversions

from .number_arrays import (
    COLUMN_TYPES,
    convert_each,
    has_any,
    number_arrays,
    text_numbers,
    whole_numbers,
)

_NULL = pa.scalar(None, pa.string())
_SCHEME = "https://"
_WRONG_STARTS = ("https:///", "https://\\")


class ColumnPart(msgspec.Struct, frozen=True):
    """Converted values of some items.

    Attributes:
        values: The values in the type of the column.
        texts: For numbers and flags, the texts that say more than their value, and null for all
            other values. For pictures, the addresses that were mended, as they were sent. None if
            there is no such text.
    """

    values: pa.Array
    texts: pa.Array | None = None


class ColumnBuilder:
    """A column under way.

    Args:
        column: The column.
        conversions: Counts of inexact conversions, which this object adds to.
    """

    def __init__(self, column: Column, conversions: Conversions) -> None:
        self.column = column
        self._conversions = conversions
        # Arrays are texts as they were sent. Values of other types are converted when they come.
        self._pieces: list[pa.Array | ColumnPart] = []

    def add(self, inputs: Sequence[Any]) -> None:
        """Add the values of more items, as they were sent."""
        self._pieces.append(self._piece(inputs))

    def finish(self) -> ColumnPart:
        """Return the column of all values since the last call."""
        pieces, self._pieces = self._pieces, []
        parts: list[ColumnPart] = []
        for is_part, group in groupby(pieces, lambda piece: isinstance(piece, ColumnPart)):
            neighbours = list(group)
            parts += neighbours if is_part else [self._read_texts(_joined(neighbours))]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return ColumnPart(pa.array([], COLUMN_TYPES[self.column.kind]))
        return ColumnPart(_joined([part.values for part in parts]), _joined_texts(parts))

    def _piece(self, inputs: Sequence[Any]) -> pa.Array | ColumnPart:
        """Return the values as texts if each of them is a text or null, else convert them."""
        kind = self.column.kind
        if kind == "json":
            return ColumnPart(_json(inputs))
        if kind == "flag":
            return self._flags(inputs)
        if kind in ("id", "count"):
            with suppress(TypeError, OverflowError):  # null, text, and numbers of any other kind
                return ColumnPart(whole_numbers(inputs))
        try:
            return pa.array(inputs, pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return self._mixed(inputs)

    def _flags(self, inputs: Sequence[Any]) -> ColumnPart:
        if set(map(type, inputs)) <= {bool, types.NoneType}:
            return ColumnPart(pa.array(inputs, pa.bool_()))
        return ColumnPart(*convert_each(self.column, inputs, self._conversions))

    def _mixed(self, inputs: Sequence[Any]) -> pa.Array | ColumnPart:
        """Convert values that are no texts, or not all of them."""
        kind = self.column.kind
        if kind in ("text", "picture"):
            return pa.array([READERS["text"](value) for value in inputs], pa.string())
        # Arrow would accept a float for a whole number, although its text may be another number.
        if kind == "count" and set(map(type, inputs)) <= {int, types.NoneType}:
            with suppress(pa.ArrowInvalid, OverflowError):
                return ColumnPart(pa.array(inputs, pa.int64()))
        return ColumnPart(*number_arrays(self.column, inputs, self._conversions))

    def _read_texts(self, texts: pa.Array) -> ColumnPart:
        if self.column.kind == "text":
            return ColumnPart(_without_null_texts(texts))
        if self.column.kind == "picture":
            return _pictures(_without_null_texts(texts))
        return ColumnPart(*text_numbers(self.column, texts, self._conversions))


def _joined(arrays: list[pa.Array]) -> pa.Array:
    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def _joined_texts(parts: list[ColumnPart]) -> pa.Array | None:
    if all(part.texts is None for part in parts):
        return None
    return _joined(
        [
            pa.nulls(len(part.values), pa.string()) if part.texts is None else part.texts
            for part in parts
        ]
    )


def _without_null_texts(texts: pa.Array) -> pa.Array:
    """Return the texts, with null in place of the literal `null`, which the API sends for it."""
    literal = pc.equal(texts, "null")
    return pc.if_else(literal, _NULL, texts) if has_any(literal) else texts


def _pictures(texts: pa.Array) -> ColumnPart:
    if _are_well_spelt(texts):
        return ColumnPart(texts)
    read = READERS["picture"]
    values = pa.array([read(text) for text in texts.to_pylist()], pa.string())
    mended = pc.fill_null(pc.not_equal(values, texts), False)
    return ColumnPart(values, pc.if_else(mended, texts, _NULL))


def _are_well_spelt(addresses: pa.Array) -> bool:
    """Return True if each address begins with `https://` and a host, without a regex."""
    if any(has_any(pc.starts_with(addresses, wrong)) for wrong in _WRONG_STARTS):
        return False
    return pc.all(pc.starts_with(addresses, _SCHEME)).as_py() is not False


def _json(inputs: Sequence[Any]) -> pa.Array:
    read = READERS["json"]
    values = [None if value is None else read(value) for value in inputs]
    return pa.array(
        [None if v is None else msgspec.json.encode(v).decode() for v in values], pa.string()
    )
