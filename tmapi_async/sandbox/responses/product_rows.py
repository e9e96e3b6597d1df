"""Rows of the other endpoints: one function each, with the fields of the documented sample.

All endpoints show the same products under the same IDs, with their own types and number formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tmapi_async.sandbox.catalogue.products import CatalogueProduct
from tmapi_async.sandbox.catalogue.traits import (
    EPOCH,
    is_new,
    item_hash,
    minutes_on_sale,
    seller,
    shop_category,
)

Row = dict[str, Any]
_IMAGES = "https://cbu01.alicdn.com/img/ibank/"
_GLOBAL_IMAGES = "https://cbu01-overseas.1688.com/img/ibank/"
_SCORES = ("composite", "consultation", "dispute", "logistics", "return")
_POWERFUL_YEARS = 10  # a seller with more years on the site is a powerful seller
_HUNDRED_THOUSAND = 100_000
_TEN_THOUSAND = 10_000
_UNITS = ("件", "条", "PCS", "套", "个", "双")
_STARS = ("2.33", "2.67", "3.0", "3.5", "4.0", "4.33", "4.67", "5.0")

_ENGLISH = tuple(
    tuple(group.split("|"))
    for group in (
        "Cross Border|New Summer|European Style|Korean Style|French Retro|Casual|Vacation|Street",
        "Floral|Plain|Striped|Plaid|Printed|Lace|Denim|Knitted",
        "Large Capacity|Loose|Slim|Long|Short|High Waist|Round Neck|V-Neck",
        "Dress|T-Shirt|Shirt|Skirt|Tote Bag|Necklace|Sunglasses|Storage Box",
        "Wholesale|Factory Direct|In Stock|Custom|Dropshipping|Best Seller|Commuter|Gift",
    )
)


class RowContext(NamedTuple):
    """Context in which a row is shown.

    Attributes:
        path: IDs of the categories, from the first level down to the category of the item, as text.
        category: Name of the category of the item.
        language: Language of the title; English for every language except `zh`.
    """

    path: tuple[str, ...]
    category: str
    language: str = "zh"


def row_v2(product: CatalogueProduct, context: RowContext) -> Row:
    """Return a row of `GET /1688/category/items/v2`."""
    number, price, least = (
        item_hash(product.item_id),
        money(product.sale_price),
        product.quantity_begin,
    )
    seller_info, in_48h = seller(product.shop), number & 3 == 0
    return {
        "item_id": product.item_id,
        "product_url": url(product),
        "title": title(product, context.language),
        "img": _IMAGES + product.image,
        "category_path": list(context.path),
        "price": price,
        "price_info": {
            "price": price,
            "sale_price": price,
            "origin_price": ""
            if product.origin_price == product.sale_price
            else money(product.origin_price),
        },
        "currency": "CNY",
        "moq": str(least),
        "quantity_begin": str(least),
        "sale_info": {"sale_quantity_90days": _rounded(product.sales)},
        "delivery_info": {
            "area_from": list(seller_info.location),
            "free_shipping": product.free_shipping,
            "ship_in_48h": in_48h,
        },
        "shop_info": {
            "company_name": product.shop.company,
            "is_powerful_seller": seller_info.years > _POWERFUL_YEARS,
            "is_super_factory": product.shop.super_factory,
            "shop_years": seller_info.years,
            "score_info": {"composite_score": seller_info.scores[0]},
        },
        "item_repurchase_rate": f"{(number >> 16) % 100}%",
        "low_refund_rate": number >> 24 & 3 == 0,
        "ship_in_48h": in_48h,
        "one_piece_min_order": least == 1 and number >> 26 & 1 == 1,
    }


def row_search(product: CatalogueProduct, context: RowContext) -> Row:
    """Return a row of `GET /1688/search/items`."""
    number, seller_info, price = (
        item_hash(product.item_id),
        seller(product.shop),
        trimmed(product.sale_price),
    )
    tiered = number & 7 != 0
    text, count = _sold(product.sales)
    return {
        "item_id": product.item_id,
        "product_url": url(product),
        "title": product.title,
        "img": _IMAGES + product.image,
        "category_path": list(context.path),
        "price": price,
        "price_info": {
            "sale_price": price,
            "origin_price": None
            if product.origin_price == product.sale_price
            else trimmed(product.origin_price),
        },
        "moq": product.quantity_begin if tiered else None,
        "quantity_prices": _quantity_prices(product) if tiered else [],
        "sale_info": {
            "sale_quantity": text,
            "sale_quantity_int": count,
            "orders_count": min(product.buyers, count),
        },
        "delivery_info": {"area_from": list(seller_info.location)},
        "item_repurchase_rate": f"{(number >> 16) % 100}%",
        "rating_star": _STARS[number >> 28 & 7],
        "shop_info": _shop_searched(product),
        "is_ad": False,
    }


def _shop_searched(product: CatalogueProduct) -> Row:
    shop, seller_info = product.shop, seller(product.shop)
    return {
        "login_id": shop.login_id,
        "member_id": seller_info.member_id,
        "company_name": shop.company,
        "shop_url": shop.url.replace("https://", "http://"),
        "biz_type": seller_info.trade,
        "is_factory": seller_info.factory,
        "is_super_factory": shop.super_factory,
        "location": list(seller_info.location),
        "service_tags": ["深度验厂"] if seller_info.factory else [],
        "shop_years": seller_info.years,
        "factory_inspection": seller_info.factory,
        "score_info": {
            f"{name}_score": score for name, score in zip(_SCORES, seller_info.scores, strict=True)
        },
    }


def row_shop(product: CatalogueProduct, context: RowContext) -> Row:
    """Return a row of `GET /1688/shop/items`."""
    number, price, month = item_hash(product.item_id), money(product.sale_price), product.sales // 4
    return {
        "item_id": str(product.item_id),
        "title": product.title,
        "img": _IMAGES + product.image,
        "main_imgs": images(product, 3),
        "video_id": str(number >> 24) if number & 1 else "",
        "category_path": [shop_category(product.item_id), *context.path],
        "category_name": context.category,
        "price": price,
        "price_info": {
            "drop_ship_price": money(product.sale_price + 400 * (number >> 1 & 1)),
            "wholesale_price": price,
            "origin_price": trimmed(product.origin_price),
            "agent_price": trimmed(product.sale_price),
        },
        "quantity_begin": str(product.quantity_begin),
        "new_product": is_new(product.item_id),
        "sale_info": {
            "gmv_30days": trimmed(month * product.sale_price),
            "gmv_90days": trimmed(product.sales * product.sale_price),
            "sale_quantity_30days": str(month),
            "sale_quantity_90days": str(product.sales),
            "orders_count_30days": str(product.buyers // 4),
        },
        "primary_rank_score": "0",
        "type": "SALE",
        "unit": unit(product),
        "created_time": created_time(product),
        "status": "published",
    }


def row_shop_v2(product: CatalogueProduct, _: RowContext) -> Row:
    """Return a row of `GET /1688/shop/items/v2`."""
    return {
        "item_id": str(product.item_id),
        "title": product.title,
        "img": _IMAGES.replace("https://", "https:////") + product.image,
        "category_path": [],
        "category_name": "",
        "price": money(product.sale_price),
        "quantity": None,
        "sale_info": {"sale_quantity": product.sales, "sale_amount": 0},
    }


def row_global(product: CatalogueProduct, context: RowContext) -> Row:
    """Return a row of `GET /1688/global/search/items`."""
    number, price = item_hash(product.item_id), pointed(product.sale_price)
    return {
        "item_id": str(product.item_id),
        "product_url": url(product),
        "title": title(product, context.language),
        "title_origin": product.title,
        "img": _GLOBAL_IMAGES + product.image,
        "price": price,
        "price_info": {"price": price, "price_min": price, "price_max": price},
        "currency": "CNY",
        "quantity_begin": str(product.quantity_begin),
        "sale_info": {"sale_quantity_90days": str(product.sales)},
        "goods_score": f"{4 + (number >> 30) % 11 / 10:.1f}",
        "shop_info": {
            "is_gold_manufacturer": product.shop.super_factory,
            "is_verified": seller(product.shop).factory,
        },
        "is_free_shipping": product.free_shipping,
        "is_new_item": is_new(product.item_id),
        "is_hot_item": product.sales >= _HUNDRED_THOUSAND,
    }


ROWS: Mapping[str, Callable[[CatalogueProduct, RowContext], Row]] = {
    "/1688/category/items/v2": row_v2,
    "/1688/search/items": row_search,
    "/1688/shop/items": row_shop,
    "/1688/shop/items/v2": row_shop_v2,
    "/1688/global/search/items": row_global,
}
"""Path -> function that returns the row of a product. See `products.row_v1` for v1."""


def money(fen: int) -> str:
    """Return yuan with two decimals: `"0.60"`, `"298.00"`."""
    return f"{fen // 100}.{fen % 100:02}"


def trimmed(fen: int) -> str:
    """Return yuan without trailing zeros: `"56"`, `"8.9"`."""
    return money(fen).rstrip("0").rstrip(".")


def pointed(fen: int) -> str:
    """Return yuan with at least one decimal: `"35.0"`, `"8.95"`."""
    return money(fen).removesuffix("0")


def url(product: CatalogueProduct) -> str:
    """Return the address of the product page."""
    return f"https://detail.1688.com/offer/{product.item_id}.html"


def images(product: CatalogueProduct, count: int) -> list[str]:
    """Return the addresses of the pictures of a product; the picture of its rows is first."""
    first = _IMAGES + product.image
    return [first, *(first.replace("-0-cib", f"-{n}-cib") for n in range(1, count))]


def unit(product: CatalogueProduct) -> str:
    """Return the unit of a product."""
    return _UNITS[item_hash(product.item_id) % len(_UNITS)]


def created_time(product: CatalogueProduct) -> str:
    """Return the time when a product was put on sale, in the format of `shop/items`."""
    when = datetime(*EPOCH, tzinfo=UTC) + timedelta(minutes=minutes_on_sale(product.item_id))
    return f"{when:%Y-%m-%dT%H:%M:%S}+0800"


def title(product: CatalogueProduct, language: str) -> str:
    """Return the title; English words represent a translation into any other language."""
    if language == "zh":
        return product.title
    number = item_hash(product.item_id)
    words = (_ENGLISH[n][number >> 6 * n & 7] for n in range(len(_ENGLISH)))
    return f"{' '.join(words)} {product.item_id % 10_000:04}"


def _rounded(count: int) -> str:
    """Return pieces sold in the format of v2: exact up to 99, then the first digit and `+`."""
    if count >= _HUNDRED_THOUSAND:
        return f"{_HUNDRED_THOUSAND}+"
    text = str(count)
    return text if len(text) < 3 else f"{text[0]}{'0' * (len(text) - 1)}+"  # noqa: PLR2004


def _sold(count: int) -> tuple[str, int]:
    """Return pieces sold in the format of the search, and the number that the text means."""
    if count >= _TEN_THOUSAND:
        thousands = count // 1000
        return f"全网{thousands / 10:g}万+件", thousands * 1000
    step = 100 if count >= 100 else 1  # noqa: PLR2004 - rounded down to hundreds
    rounded = count // step * step
    return f"已售{rounded}{'+' if step > 1 else ''}件", rounded


def _quantity_prices(product: CatalogueProduct) -> list[Row]:
    return [
        {"begin_num": begin, "end_num": end, "price": money(price)}
        for begin, end, price in tiers(product)
    ]


def tiers(product: CatalogueProduct) -> list[tuple[int, int | None, int]]:
    """Return `(from, to, price in fen)` of each tier; the first price is the price of the rows."""
    begin, price = product.quantity_begin, product.sale_price
    second, third = begin * 100, begin * 300
    return [
        (begin, second - 1, price),
        (second, third - 1, max(1, price * 98 // 100)),
        (third, None, max(1, price * 95 // 100)),
    ]
