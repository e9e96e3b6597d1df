"""Which columns mean what, whichever endpoint they come from: price, pieces sold, company, rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Meaning: TypeAlias = Literal["price", "sold", "rate", "company", "title", "img", "product_url"]

COLUMNS: dict[Meaning, Sequence[str]] = {
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
    "company": ("shop_info_company_name", "shop_info_shop_name"),
    "title": ("title",),
    "img": ("img",),
    "product_url": ("product_url",),
}
"""The first of these that has a value tells; those of `price` and `sold` stand in the order in
which `Product.sale_price` and `Product.sold` look (held by a test)."""

_TYPES: dict[Meaning, pa.DataType] = {
    "price": pa.decimal128(20, 4),
    "sold": pa.int64(),
    "rate": pa.decimal128(18, 6),
}


def meant(batch: pa.RecordBatch, meaning: Meaning) -> pa.Array:
    """What a batch says of something, of whichever endpoint; null where it says nothing."""
    names = [name for name in COLUMNS[meaning] if name in batch.schema.names]
    if not names:
        return pa.nulls(batch.num_rows, _TYPES.get(meaning, pa.string()))
    return pc.coalesce(*(batch[name] for name in names))
