"""Changes for a workbook: with names of categories and links, for people. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from .diff import CHANGE

_CATEGORY = pa.field("category", pa.string())
_PAGE = pa.field("product_url", pa.string())
_PRODUCT_PAGES = "https://detail.1688.com/offer/"

WORKBOOK_CHANGE = pa.schema(
    [
        column
        for field in CHANGE
        for column in {"cat_id": (field, _CATEGORY), "title": (field, _PAGE)}.get(
            field.name, (field,)
        )
    ]
)
"""Columns of `CHANGE`, with the name of the category beside its number, and the product's page."""


def for_workbook(changes: pa.RecordBatch, names: Mapping[int, str]) -> pa.RecordBatch:
    """Return changes with the columns of a workbook (`WORKBOOK_CHANGE`).

    Args:
        changes: Changes (`CHANGE`).
        names: Names of categories, as far as they are known.
    """
    categories = [names.get(cat_id) for cat_id in changes["cat_id"].to_pylist()]
    numbers = pc.cast(changes["item_id"], pa.string())
    added = {
        _CATEGORY.name: pa.array(categories, pa.string()),
        _PAGE.name: pc.binary_join_element_wise(_PRODUCT_PAGES, numbers, ".html", ""),
    }
    columns = [added[name] if name in added else changes[name] for name in WORKBOOK_CHANGE.names]
    return pa.RecordBatch.from_arrays(columns, schema=WORKBOOK_CHANGE)
