"""Replies about one product beside its details: description, shipping, sales over time.

All of them are pure functions of the product and of the parameters of the request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tmapi_async.sandbox.catalogue.products import CatalogueProduct
from tmapi_async.sandbox.catalogue.traits import item_hash

from .detail_row import detail
from .product_rows import RowContext, created_time, images, money
from .routes import ITEM_DESCRIPTION, ITEM_DETAIL, ITEM_SALES, ITEM_SHIPPING

Reply = dict[str, Any]
Params = Mapping[str, str]

_LAST_DAY = date(2026, 6, 30)
_DAYS = 30
_TEN_THOUSAND = 10_000
_FIRST_FEE, _NEXT_FEE = 9, 7  # yuan for the first kg and for each further one
_USUAL_WEIGHT = Decimal("0.12")  # kg, as in the package of a variant


def _description(product: CatalogueProduct, _: RowContext, __: Params) -> Reply:
    pictures = images(product, 8)[3:]
    html = "".join(f'<img src="{address}"/>' for address in pictures)
    return {"item_id": product.item_id, "detail_imgs": pictures, "detail_html": html}


def _shipping(product: CatalogueProduct, _: RowContext, params: Params) -> Reply:
    quantity = int(params.get("total_quantity", "1"))
    weight = Decimal(params.get("total_weight", math.ceil(_USUAL_WEIGHT * quantity)))
    kilograms = max(1, math.ceil(weight))
    free = product.free_shipping
    first, further = (0, 0) if free else (_FIRST_FEE, _NEXT_FEE)
    return {
        "shipping_to": params["province"],
        "unit": "kg",
        "first_unit": 1,
        "first_unit_fee": first,
        "next_unit": 1,
        "next_unit_fee": further,
        "total_quantity": quantity,
        "total_weight": int(weight) if weight == int(weight) else float(weight),
        "total_fee": first + further * (kilograms - 1),
    }


def _sales(product: CatalogueProduct, _: RowContext, __: Params) -> Reply:
    days = [_LAST_DAY - timedelta(days=day) for day in reversed(range(_DAYS))]
    sold = [_sold_on(product, day) for day in days]
    price = money(product.sale_price)
    return {
        "publish_time": created_time(product)[:19].replace("T", " "),
        "sales_quantity_30days": sum(sold),
        "sales_quantity_total": _rounded(product.sales),
        "order_quantity_total": _rounded(product.sales // 3),
        "sales_trend": [
            {"date": str(day), "sales_quantity": pieces, "order_quantity": -(-pieces // 3)}
            for day, pieces in zip(days, sold, strict=True)
        ],
        "price_trend": [{"date": str(day), "price_min": price, "price_max": price} for day in days],
    }


def _sold_on(product: CatalogueProduct, day: date) -> int:
    return item_hash(product.item_id + day.toordinal()) % (product.sales // _DAYS + 1)


def _rounded(count: int) -> str:
    """Return a count as the endpoint writes it: `"1.5万+"`, `"3500+"`, `"88"`."""
    if count >= _TEN_THOUSAND:
        return f"{count // 1000 / 10:g}万+"
    return f"{count // 100 * 100}+" if count >= 100 else str(count)  # noqa: PLR2004 - as documented


def _detail(product: CatalogueProduct, context: RowContext, _: Params) -> Reply:
    return detail(product, context)


REPLIES: Mapping[str, Callable[[CatalogueProduct, RowContext, Params], Reply]] = {
    ITEM_DETAIL.path: _detail,
    ITEM_DESCRIPTION.path: _description,
    ITEM_SHIPPING.path: _shipping,
    ITEM_SALES.path: _sales,
}
"""Path of an endpoint of one product -> function that returns the `data` of its reply."""
