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


class SentTexts(msgspec.Struct, frozen=True):
    """Values of some items as texts, not converted yet.

    Attributes:
        texts: The texts; for a number that was sent as one, its text.
        numbers: Index -> value, for values that were not sent as text.
    """

    texts: pa.Array
    numbers: dict[int, Any] = {}


class ColumnBuilder:
    """A column under way.

    Args:
        column: The column.
        conversions: Counts of inexact conversions, which this object adds to.
    """

    def __init__(self, column: Column, conversions: Conversions) -> None:
        self.column = column
        self._conversions = conversions
        self._pieces: list[SentTexts | ColumnPart] = []

    def add(self, inputs: Sequence[Any]) -> None:
        """Add the values of more items, as they were sent."""
        self._pieces.append(self._piece(inputs))

    def finish(self) -> ColumnPart:
        """Return the column of all values since the last call."""
        pieces, self._pieces = self._pieces, []
        parts: list[ColumnPart] = []
        for kind, group in groupby(pieces, type):
            neighbours: list[Any] = list(group)
            is_part = kind is ColumnPart
            parts += neighbours if is_part else [self._read_texts(_joined_sent(neighbours))]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return ColumnPart(pa.array([], COLUMN_TYPES[self.column.kind]))
        return ColumnPart(_joined([part.values for part in parts]), _joined_texts(parts))

    def _piece(self, inputs: Sequence[Any]) -> SentTexts | ColumnPart:
        """Return the values as texts if some of them are, else convert them."""
        kind = self.column.kind
        if kind == "json":
            return ColumnPart(_json(inputs))
        if kind == "flag":
            return self._flags(inputs)
        if kind in ("id", "count"):
            with suppress(TypeError, OverflowError):  # null, text, and numbers of any other kind
                return ColumnPart(whole_numbers(inputs))
            if type(inputs[0]) is int:
                return self._mixed(inputs)
        try:
            return SentTexts(pa.array(inputs, pa.string()))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return self._mixed(inputs)

    def _flags(self, inputs: Sequence[Any]) -> ColumnPart:
        if set(map(type, inputs)) <= {bool, types.NoneType}:
            return ColumnPart(pa.array(inputs, pa.bool_()))
        return ColumnPart(*convert_each(self.column, inputs, self._conversions))

    def _mixed(self, inputs: Sequence[Any]) -> SentTexts | ColumnPart:
        """Convert values that are no texts, or not all of them."""
        kind = self.column.kind
        if kind in ("text", "picture"):
            texts = [READERS["text"](value) for value in inputs]
            return SentTexts(pa.array(texts, pa.string()))
        # Arrow would accept a float for a whole number, although its text may be another number.
        if kind == "count" and set(map(type, inputs)) <= {int, types.NoneType}:
            with suppress(pa.ArrowInvalid, OverflowError):
                return ColumnPart(pa.array(inputs, pa.int64()))
        numbers = {
            index: value
            for index, value in enumerate(inputs)
            if value.__class__ is not str and value is not None
        }
        texts = [
            value if value.__class__ is str or value is None else str(value) for value in inputs
        ]
        return SentTexts(pa.array(texts, pa.string()), numbers)

    def _read_texts(self, sent: SentTexts) -> ColumnPart:
        if self.column.kind == "text":
            return ColumnPart(_without_null_texts(sent.texts))
        if self.column.kind == "picture":
            return _pictures(_without_null_texts(sent.texts))
        return ColumnPart(*text_numbers(self.column, sent.texts, sent.numbers, self._conversions))


def _joined_sent(pieces: list[SentTexts]) -> SentTexts:
    numbers: dict[int, Any] = {}
    start = 0
    for piece in pieces:
        numbers |= {start + index: value for index, value in piece.numbers.items()}
        start += len(piece.texts)
    return SentTexts(_joined([piece.texts for piece in pieces]), numbers)


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
    """Mend the addresses that do not begin with `https://` and a host; these are few."""
    odd = pc.invert(pc.starts_with(texts, _SCHEME))
    for wrong in _WRONG_STARTS:
        odd = pc.or_(odd, pc.starts_with(texts, wrong))
    if not has_any(odd):
        return ColumnPart(texts)
    odd = pc.fill_null(odd, False)
    sent = texts.filter(odd)
    read = READERS["picture"]
    mended = pa.array([read(text) for text in sent.to_pylist()], pa.string())
    misspelt = pc.if_else(pc.not_equal(mended, sent), sent, _NULL)
    return ColumnPart(
        pc.replace_with_mask(texts, odd, mended),
        pc.replace_with_mask(pa.nulls(len(texts), pa.string()), odd, misspelt),
    )


def _json(inputs: Sequence[Any]) -> pa.Array:
    read = READERS["json"]
    values = [None if value is None else read(value) for value in inputs]
    return pa.array(
        [None if v is None else msgspec.json.encode(v).decode() for v in values], pa.string()
    )
