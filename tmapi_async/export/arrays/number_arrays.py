"""Numbers and flags as Arrow arrays: exact, and in bulk where the text is plain."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.columns import READERS, Column, Kind, text_says_more
from tmapi_async.export.conversions import Conversions

MONEY = pa.decimal128(20, 4)
"""Type of amounts in yuan. Stores every value of decimal128(18, 2), and two more decimals.

Prices have been seen with two decimals, but small parts are quoted in fractions of a cent; four
decimals from the beginning keep the schema of files the same.
"""

PERCENT = pa.decimal128(18, 6)

COLUMN_TYPES: dict[Kind, pa.DataType] = {
    "id": pa.int64(),
    "text": pa.string(),
    "picture": pa.string(),
    "money": MONEY,
    "count": pa.int64(),
    "percent": PERCENT,
    "number": PERCENT,
    "flag": pa.bool_(),
    "json": pa.string(),
}
# Digits that certainly fit the type; all other values are read one by one. A rate below 1 may be a
# fraction, so rates below 1 are not plain.
_PLAIN = {
    "money": r"^-?\d{1,16}(\.\d{1,4})?$",
    "percent": r"^[1-9]\d{0,9}(\.\d{1,6})?$",
    "number": r"^-?\d{1,12}(\.\d{1,6})?$",
}

_COUNT_DIGITS = 18

_NULL = pa.scalar(None, pa.string())
_ONE, _ZERO = pa.scalar(Decimal(1), PERCENT), pa.scalar(Decimal(0), PERCENT)
_NUMBER_BYTES = {"money": b"0123456789.", "count": b"0123456789", "percent": b"0123456789."}


def whole_numbers(numbers: Iterable[int]) -> pa.Array:
    """Return whole numbers as an array, in two thirds of the time that Arrow itself takes.

    Raises:
        OverflowError: A number does not fit 64 bits.
        TypeError: A value is no whole number.
    """
    return of_array(array("q", numbers), pa.int64())


def of_array(numbers: array[int], kind: pa.DataType) -> pa.Array:
    """Return the numbers of an array of Python, which keeps them, as an array of Arrow."""
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def text_numbers(
    column: Column, texts: pa.Array, numbers: Mapping[int, Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """Convert plain decimal numbers all at once, and only the other values one by one.

    Args:
        column: The column.
        texts: The values as texts.
        numbers: Index -> value, for values that were not sent as text.
        conversions: Counts of inexact conversions, which this function adds to.

    Returns:
        The numbers; and the texts that say more than their number, or None if there are none.
    """
    all_plain = _all_plain(texts, column.kind)
    if all_plain is not None:
        return all_plain, _rates_below_1(column, all_plain, texts, conversions)
    plain = _are_plain(texts, column.kind)
    values = pc.cast(pc.if_else(plain, texts, _NULL), COLUMN_TYPES[column.kind])
    unusual = pc.fill_null(pc.and_(pc.invert(plain), pc.not_equal(texts, "")), False)
    indices = pc.indices_nonzero(unusual)
    if not len(indices):
        return values, None
    unusual_texts = texts.take(indices).to_pylist()
    sent = [*map(numbers.get, indices.to_pylist(), unusual_texts)]
    converted, inexact = convert_each(column, sent, conversions)
    return (
        pc.replace_with_mask(values, unusual, converted),
        pc.replace_with_mask(pa.nulls(len(texts), pa.string()), unusual, inexact),
    )


def _are_plain(texts: pa.Array, kind: Kind) -> pa.Array:
    """Return for each text whether it is a plain number, null for null."""
    if kind == "count":  # in a quarter of the time of a regex
        short = pc.less_equal(pc.binary_length(texts), _COUNT_DIGITS)
        return pc.and_(pc.ascii_is_decimal(texts), short)
    return pc.match_substring_regex(texts, _PLAIN[kind])


def _all_plain(texts: pa.Array, kind: Kind) -> pa.Array | None:
    """Return the numbers if each text is a plain one, else None: the usual case, without a regex.

    Digits that Arrow casts are a plain number, but for `.5` and `5.`; see `_PLAIN`.
    """
    characters = _bytes_of(texts)
    if not characters:
        return pa.nulls(len(texts), COLUMN_TYPES[kind])  # each text is empty or null
    others = characters.translate(None, _NUMBER_BYTES.get(kind, b""))
    if others:
        if others.replace(b"null", b""):
            return None
        texts = pc.if_else(pc.equal(texts, "null"), _NULL, texts)
    if b"." in characters and (
        has_any(pc.starts_with(texts, ".")) or has_any(pc.ends_with(texts, "."))
    ):
        return None
    empty = pc.equal(pc.binary_length(texts), 0)
    if has_any(empty):
        # Before the cast: Arrow makes a message for each text that is no number.
        texts = pc.if_else(empty, _NULL, texts)
    with suppress(pa.ArrowInvalid):
        return texts.cast(COLUMN_TYPES[kind])
    return None


def _rates_below_1(
    column: Column, values: pa.Array, texts: pa.Array, conversions: Conversions
) -> pa.Array | None:
    """Return the texts of rates below 1, which may be fractions; None if there are none."""
    if column.kind != "percent":
        return None
    below = pc.and_(pc.less(values, _ONE), pc.greater(values, _ZERO))
    rates = pc.sum(below).as_py()
    if not rates:
        return None
    conversions.add(column.name, unread=0, bounds=rates)
    return pc.if_else(below, texts, _NULL)


def has_any(mask: pa.Array) -> bool:
    """Return True if a value of a mask is true."""
    return bool(pc.any(mask).as_py())


def _bytes_of(texts: pa.Array) -> bytes:
    """Return the bytes of all texts of a whole array, one behind the other."""
    buffer = texts.buffers()[2]
    return b"" if buffer is None else bytes(buffer)


def convert_each(
    column: Column, inputs: Sequence[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array]:
    """Read values one by one; return them, and the texts that say more."""
    read, kind = READERS[column.kind], COLUMN_TYPES[column.kind]
    values = exact_values([None if value is None else read(value) for value in inputs], kind)
    texts = [
        str(value) if text_says_more(column.kind, value, number) else None
        for value, number in zip(inputs, values, strict=True)
    ]
    pairs = list(zip(texts, values, strict=True))
    unread = sum(text is not None and number is None for text, number in pairs)
    bounds = sum(text is not None and number is not None for text, number in pairs)
    conversions.add(column.name, unread=unread, bounds=bounds)
    return pa.array(values, kind), pa.array(texts, pa.string())


def exact_values(values: list[Any], kind: pa.DataType) -> list[Any]:
    """Return the values, with None for each that the type cannot store exactly."""
    with suppress(pa.ArrowInvalid, OverflowError):
        if pa.array(values, kind).to_pylist() == values:
            return values
    return [exact_value(value, kind) for value in values]


def exact_value(value: Any, kind: pa.DataType) -> Any:
    """Return the value, or None if the type cannot store it exactly."""
    if value is None:
        return None
    try:
        stored = pa.scalar(value, kind).as_py()
    except (pa.ArrowInvalid, OverflowError):
        return None
    # Arrow silently drops digits that are too small for the type: 1e-28 would become 0.
    return stored if stored == value else None


_FLOAT_DIGITS = 15
"""Decimal digits that every float keeps."""


def nearest_floats(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return whole or decimal numbers as the nearest floats, and a mask of those with more digits.

    A float that is not in the mask is the number itself: its shortest text is exact.
    """
    # Arrow parses text into the nearest float; its cast of a decimal may miss it by one bit.
    floats = column.cast(pa.string()).cast(pa.float64())
    scale = column.type.scale if pa.types.is_decimal(column.type) else 0
    inexact = pc.greater_equal(pc.abs(floats), 10.0 ** (_FLOAT_DIGITS - scale))
    return floats, pc.fill_null(inexact, False)
