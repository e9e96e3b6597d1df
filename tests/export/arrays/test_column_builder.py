"""Columns that grow piece by piece."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmapi_async.api.columns import READERS, Column, Kind, text_says_more
from tmapi_async.export.arrays.column_builder import ColumnBuilder
from tmapi_async.export.arrays.number_arrays import COLUMN_TYPES, exact_value
from tmapi_async.export.conversions import Conversions

TEXTS = ["", "null", "12.50", "7", "0.79", "1e5", "100000+", "29.2%", ".5", "?", None]
NUMBERS = [*TEXTS, 3, -1, 2.0, 0.3, 10**30]
SENT: dict[Kind, list[Any]] = {
    "text": [*TEXTS, 42, 4.5],
    "picture": ["https://a.example/1", "https:////a.example/1", "//a.example/1", "null", "", None],
    "money": NUMBERS,
    "count": NUMBERS,
    "percent": NUMBERS,
    "number": NUMBERS,
    "flag": [True, False, None, "true", "0", "", "?"],
    "json": [None, "null", [1, "x"], {"a": None}, "text"],
}


def pieces(pool: list[Any]) -> st.SearchStrategy[list[list[Any]]]:
    """Return lists of pieces, of which many have values of one type only."""
    one_type = [
        [value for value in pool if type(value) in (kind, type(None))]
        for kind in {*map(type, pool)}
    ]
    lists = st.sampled_from([pool, *one_type]).flatmap(
        lambda values: st.lists(st.sampled_from(values), max_size=4)
    )
    return st.lists(lists, max_size=5)


@pytest.mark.parametrize("kind", list(SENT))
@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_column_has_the_values_of_the_readers(kind: Kind, data: st.DataObject) -> None:
    """However the values are cut into pieces, each is read and counted as if it were alone."""
    has_text = kind not in ("text", "picture", "json")
    column = Column("x", ("x",), kind, 0, "x_text" if has_text else None)
    sent = data.draw(pieces(SENT[kind]))
    conversions = Conversions({}, {})
    builder = ColumnBuilder(column, conversions)
    for piece in sent:
        builder.add(piece)
    part = builder.finish()
    values, texts = [], []
    for value in (value for piece in sent for value in piece):
        read = None if value is None else READERS[kind](value)
        if has_text:
            read = exact_value(read, COLUMN_TYPES[kind])
            texts.append(str(value) if text_says_more(kind, value, read) else None)
        elif kind == "picture":
            texts.append(value if read != value and read is not None else None)
        values.append(read)
    expected = pa.array(values, COLUMN_TYPES[kind]) if kind != "json" else None
    if expected is None:
        assert [text is None for text in part.values.to_pylist()] == [v is None for v in values]
    else:
        assert part.values.equals(expected)
    if not any(texts):
        assert part.texts is None or part.texts.null_count == len(values)
    else:
        assert part.texts is not None
        assert part.texts.to_pylist() == texts
    counted = sum(conversions.unread.values()) + sum(conversions.bounds.values())
    assert counted == (len([text for text in texts if text is not None]) if has_text else 0)


def test_a_builder_begins_again_after_a_column() -> None:
    """A second column does not hold the values of the first one."""
    builder = ColumnBuilder(Column("x", ("x",), "text", 0), Conversions({}, {}))
    builder.add(["a"])
    assert builder.finish().values.to_pylist() == ["a"]
    builder.add(["b"])
    assert builder.finish().values.to_pylist() == ["b"]
    assert len(builder.finish().values) == 0
