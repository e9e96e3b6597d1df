"""Values of items that a comparison reads, as Arrow columns. No I/O."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.export.arrays.number_arrays import MONEY
from tmapi_async.export.arrow import ItemColumns
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.semantics import SOURCE_COLUMNS, Meaning

from .sightings import ItemPairs

_FIGURES: tuple[Meaning, ...] = ("price", "sold")

COMPARED = frozenset(
    ("item_id", *(name for meaning in ("title", *_FIGURES) for name in SOURCE_COLUMNS[meaning]))
)
"""Columns of items that a comparison reads."""

PAIR = pa.schema(
    [
        pa.field("visit", pa.string()),
        pa.field("listing", pa.string(), nullable=False),
        pa.field("cat_id", pa.int64()),
        pa.field("item_id", pa.int64(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("price_before", MONEY),
        pa.field("price_after", MONEY),
        pa.field("sold_before", pa.int64()),
        pa.field("sold_after", pa.int64()),
    ]
)
"""One row for each item that may have changed; `visit` is `new` or `gone` if one visit has it."""


def read_values(pairs: ItemPairs, endpoint: Endpoint) -> pa.Table:
    """Return the values of items that may have changed (`PAIR`).

    Args:
        pairs: The items.
        endpoint: The endpoint of all items.
    """
    both, new, gone = pairs.both, pairs.new, pairs.gone
    before, after = [*both.before, *gone.before], [*both.after, *new.after]
    values: dict[str, pa.Array] = {}
    for name in _FIGURES:
        earlier = semantic_values(before, name, endpoint)
        values[f"{name}_before"] = _with_nulls(earlier, len(both), len(new))
        later = semantic_values(after, name, endpoint)
        values[f"{name}_after"] = _with_nulls(later, len(after), len(gone))
    rows = {
        "visit": pa.concat_arrays(
            [
                pa.nulls(len(both), pa.string()),
                _repeated("new", len(new)),
                _repeated("gone", len(gone)),
            ]
        ),
        "listing": pa.array([*both.listings, *new.listings, *gone.listings], pa.string()),
        "cat_id": pa.array([*both.cat_ids, *new.cat_ids, *gone.cat_ids], pa.int64()),
        "item_id": pa.array([*both.item_ids, *new.item_ids, *gone.item_ids], pa.int64()),
        "title": _titles(pairs, endpoint),
        **values,
    }
    return pa.table(rows, schema=PAIR)


def semantic_values(items: list[Any], meaning: Meaning, endpoint: Endpoint) -> pa.Array:
    """Return the values with this meaning of decoded items; null where there is none.

    They are those of `semantic_column`. A further column is converted only for the items without a
    value in the columns before it: usually they are few.

    Args:
        items: The items.
        meaning: A meaning that the items were decoded for.
        endpoint: The endpoint of all items.
    """
    columns = ItemColumns(items, endpoint, Conversions())
    first, *others = [name for name in SOURCE_COLUMNS[meaning] if name in columns.column_names]
    values = columns[first]
    for name in others:
        values = _filled(values, items, name, endpoint)
    return values


def _filled(values: pa.Array, items: list[Any], name: str, endpoint: Endpoint) -> pa.Array:
    """Return values, with a column of the items in place of nulls."""
    if not values.null_count:
        return values
    missing = values.is_null()
    rest = [items[index] for index in pc.indices_nonzero(missing).to_pylist()]
    column = ItemColumns(rest, endpoint, Conversions())[name]
    return pc.replace_with_mask(values, missing, column)


def _titles(pairs: ItemPairs, endpoint: Endpoint) -> pa.Array:
    """Return the title of each item, the later one if both visits have one."""
    both, new, gone = pairs.both, pairs.new, pairs.gone
    titles = semantic_values([*both.after, *new.after, *gone.before], "title", endpoint)
    return _filled(titles, [*both.before, *new.after, *gone.before], "title", endpoint)


def _repeated(value: str, number: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), number)


def _with_nulls(values: pa.Array, index: int, number: int) -> pa.Array:
    """Insert a number of nulls at an index."""
    nulls = pa.nulls(number, values.type)
    return pa.concat_arrays([values.slice(0, index), nulls, values.slice(index)])
