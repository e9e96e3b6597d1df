"""Columns with the same meaning in every endpoint: price, pieces sold, smallest order, shop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Meaning: TypeAlias = Literal[
    "price", "sold", "rate", "min_order", "company", "shop_url", "title", "img", "product_url"
]

SOURCE_COLUMNS: dict[Meaning, Sequence[str]] = {
    "price": (
        "price_info_sale_price",
        "price_info_price",
        "price_info_wholesale_price",
        "price_info_price_min",
        "price",
    ),
    "sold": (
        "sales_count",
        "sale_count",
        "sale_info_sale_quantity_int",
        "sale_info_sale_quantity",
        "sale_info_sale_quantity_90days",
    ),
    "rate": ("item_repurchase_rate", "shop_info_shop_repurchase_rate"),
    "min_order": ("quantity_begin", "moq"),
    "company": ("shop_info_company_name", "shop_info_shop_name"),
    "shop_url": ("shop_info_shop_url",),
    "title": ("title",),
    "img": ("img", "main_imgs"),
    "product_url": ("product_url",),
}
"""Columns to read for each meaning; the first one with a value counts.

The columns of `price` and `sold` have the same order as in `Product.sale_price` and `Product.sold`
(a test compares them). `img` is the address of a picture, or a JSON list of addresses.
"""

_TYPES: dict[Meaning, pa.DataType] = {
    "price": pa.decimal128(20, 4),
    "sold": pa.int64(),
    "rate": pa.decimal128(18, 6),
    "min_order": pa.int64(),
}


_WHOLE = r"^[1-9]\d{0,17}$"


def category_column(batch: pa.RecordBatch) -> pa.Array:
    """Return the category of each row: that of its listing, else the one that a detail names."""
    categories = batch["cat_id"]
    if "category_id" not in batch.schema.names:
        return categories
    texts = batch["category_id"]
    whole = pc.if_else(pc.match_substring_regex(texts, _WHOLE), texts, pa.scalar(None, pa.string()))
    return pc.coalesce(categories, pc.cast(whole, pa.int64()))


class Columns(Protocol):
    """Columns of the items of an endpoint, such as a record batch or `ItemColumns`."""

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""

    @property
    def num_rows(self) -> int:
        """Number of items."""

    def __getitem__(self, name: str) -> pa.Array:
        """Return a column."""


def semantic_column(columns: Columns, meaning: Meaning) -> pa.Array:
    """Return the values with this meaning from columns of any endpoint; null if there is none."""
    values: pa.Array | None = None
    for name in SOURCE_COLUMNS[meaning]:
        if name in columns.column_names:
            values = columns[name] if values is None else pc.coalesce(values, columns[name])
            if not values.null_count:
                break  # later columns say nothing more
    if values is None:
        return pa.nulls(columns.num_rows, _TYPES.get(meaning, pa.string()))
    return values
