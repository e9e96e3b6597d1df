"""Replies about one product beside its details: description, shipping, sales, ratings.

All of them are pure functions of the product and of the parameters of the request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tmapi_async.sandbox.catalogue.products import CatalogueProduct
from tmapi_async.sandbox.catalogue.traits import item_hash

from .detail_row import detail
from .product_rows import RowContext, created_time, images, money
from .routes import ITEM_DESCRIPTION, ITEM_DETAIL, ITEM_RATINGS, ITEM_SALES, ITEM_SHIPPING

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


RATINGS_PAGE = 10
"""Ratings on a page."""

_MOST_RATINGS = 34
_FIRST_RATING = 20_000_000_000
_STARS = (5, 5, 5, 5, 4, 5, 3, 1)
_FEEDBACK = (
    *("不错", "满意!", "质量很好,发货快", "尺码偏小", "和图片一样"),
    "评价方未及时做出评价,系统默认好评!",
)


def ratings_of(item_id: int, order: str) -> list[Reply]:
    """Return all ratings of a product, of which one product in seven has none.

    Args:
        item_id: Product ID.
        order: `default`, or `latest` for the newest one first.
    """
    number = item_hash(item_id)
    count = 0 if number % 7 == 0 else 1 + (number >> 8) % _MOST_RATINGS
    ratings = [_rating(item_id, index) for index in range(count)]
    if order == "latest":
        ratings.sort(key=lambda rating: rating["feedback_date"], reverse=True)
    return ratings


def _rating(item_id: int, index: int) -> Reply:
    number = item_hash(item_id * 64 + index)
    written = datetime.combine(_LAST_DAY, datetime.min.time()) - timedelta(minutes=number % 10**6)
    variants = ("颜色:白色;尺码:XL", "颜色:黑色;尺码:L")[: 1 + (number >> 20) % 2]
    return {
        "id": _FIRST_RATING + item_id % 10**9 * 64 + index,
        "feedback": _FEEDBACK[(number >> 24) % len(_FEEDBACK)],
        "feedback_date": f"{written:%Y-%m-%dT%H:%M:%S}.000+00:00",
        "rate_star": _STARS[(number >> 32) % len(_STARS)],
        "sku_map": "#7C".join(variants),
        "user_nick": f"t**{number % 10}",
    }


def _detail(product: CatalogueProduct, context: RowContext, _: Params) -> Reply:
    return detail(product, context)


REPLIES: Mapping[str, Callable[[CatalogueProduct, RowContext, Params], Reply]] = {
    ITEM_DETAIL.path: _detail,
    ITEM_DESCRIPTION.path: _description,
    ITEM_SHIPPING.path: _shipping,
    ITEM_SALES.path: _sales,
}
"""Path of an endpoint of one product -> function that returns the `data` of its reply."""

PATHS_OF_ITEMS = frozenset((*REPLIES, ITEM_RATINGS.path))
"""Paths of all endpoints of one product, with pages or without."""
