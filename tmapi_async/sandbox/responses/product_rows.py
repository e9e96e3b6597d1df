"""Rows of the sibling endpoints: one function for each, with the fields of its documented sample.

All show the same products under the same IDs, each with the types and the scale of money that its
endpoint uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tmapi_async.sandbox.catalogue.products import CatalogueProduct
from tmapi_async.sandbox.catalogue.traits import (
    EPOCH,
    created,
    is_new,
    seller,
    shop_category,
    stamp,
)

Row = dict[str, Any]
_IMAGES = "https://cbu01.alicdn.com/img/ibank/"
_ABROAD = "https://cbu01-overseas.1688.com/img/ibank/"
_SCORES = ("composite", "consultation", "dispute", "logistics", "return")
_LONG = 10  # years on the site that make a seller a powerful one
_MANY = 100_000
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


class RowPosition(NamedTuple):
    """Where and how a row is shown.

    Attributes:
        path: IDs of the categories from the first level down to the item's, as text.
        category: Name of the item's category.
        language: Language of the title; any but `zh` gets English.
    """

    path: tuple[str, ...]
    category: str
    language: str = "zh"


def row_v2(product: CatalogueProduct, place: RowPosition) -> Row:
    """A row of `GET /1688/category/items/v2`."""
    own, price, least = stamp(product.item_id), money(product.sale_price), product.quantity_begin
    sells, in_48h = seller(product.shop), own & 3 == 0
    return {
        "item_id": product.item_id,
        "product_url": url(product),
        "title": title(product, place.language),
        "img": _IMAGES + product.image,
        "category_path": list(place.path),
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
            "area_from": list(sells.place),
            "free_shipping": product.free_shipping,
            "ship_in_48h": in_48h,
        },
        "shop_info": {
            "company_name": product.shop.company,
            "is_powerful_seller": sells.years > _LONG,
            "is_super_factory": product.shop.super_factory,
            "shop_years": sells.years,
            "score_info": {"composite_score": sells.scores[0]},
        },
        "item_repurchase_rate": f"{(own >> 16) % 100}%",
        "low_refund_rate": own >> 24 & 3 == 0,
        "ship_in_48h": in_48h,
        "one_piece_min_order": least == 1 and own >> 26 & 1 == 1,
    }


def row_search(product: CatalogueProduct, place: RowPosition) -> Row:
    """A row of `GET /1688/search/items`."""
    own, sells, price = stamp(product.item_id), seller(product.shop), trimmed(product.sale_price)
    tiered = own & 7 != 0
    text, count = _sold(product.sales)
    return {
        "item_id": product.item_id,
        "product_url": url(product),
        "title": product.title,
        "img": _IMAGES + product.image,
        "category_path": list(place.path),
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
        "delivery_info": {"area_from": list(sells.place)},
        "item_repurchase_rate": f"{(own >> 16) % 100}%",
        "rating_star": _STARS[own >> 28 & 7],
        "shop_info": _shop_searched(product),
        "is_ad": False,
    }


def _shop_searched(product: CatalogueProduct) -> Row:
    sold_by, sells = product.shop, seller(product.shop)
    return {
        "login_id": sold_by.login_id,
        "member_id": sells.member_id,
        "company_name": sold_by.company,
        "shop_url": sold_by.url.replace("https://", "http://"),
        "biz_type": sells.trade,
        "is_factory": sells.factory,
        "is_super_factory": sold_by.super_factory,
        "location": list(sells.place),
        "service_tags": ["深度验厂"] if sells.factory else [],
        "shop_years": sells.years,
        "factory_inspection": sells.factory,
        "score_info": {
            f"{name}_score": score for name, score in zip(_SCORES, sells.scores, strict=True)
        },
    }


def row_shop(product: CatalogueProduct, place: RowPosition) -> Row:
    """A row of `GET /1688/shop/items`."""
    own, price, month = stamp(product.item_id), money(product.sale_price), product.sales // 4
    return {
        "item_id": str(product.item_id),
        "title": product.title,
        "img": _IMAGES + product.image,
        "main_imgs": images(product, 3),
        "video_id": str(own >> 24) if own & 1 else "",
        "category_path": [shop_category(product.item_id), *place.path],
        "category_name": place.category,
        "price": price,
        "price_info": {
            "drop_ship_price": money(product.sale_price + 400 * (own >> 1 & 1)),
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


def row_shop_v2(product: CatalogueProduct, _: RowPosition) -> Row:
    """A row of `GET /1688/shop/items/v2`."""
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


def row_global(product: CatalogueProduct, place: RowPosition) -> Row:
    """A row of `GET /1688/global/search/items`."""
    own, price = stamp(product.item_id), pointed(product.sale_price)
    return {
        "item_id": str(product.item_id),
        "product_url": url(product),
        "title": title(product, place.language),
        "title_origin": product.title,
        "img": _ABROAD + product.image,
        "price": price,
        "price_info": {"price": price, "price_min": price, "price_max": price},
        "currency": "CNY",
        "quantity_begin": str(product.quantity_begin),
        "sale_info": {"sale_quantity_90days": str(product.sales)},
        "goods_score": f"{4 + (own >> 30) % 11 / 10:.1f}",
        "shop_info": {
            "is_gold_manufacturer": product.shop.super_factory,
            "is_verified": seller(product.shop).factory,
        },
        "is_free_shipping": product.free_shipping,
        "is_new_item": is_new(product.item_id),
        "is_hot_item": product.sales >= _MANY,
    }


ROWS: Mapping[str, Callable[[CatalogueProduct, RowPosition], Row]] = {
    "/1688/category/items/v2": row_v2,
    "/1688/search/items": row_search,
    "/1688/shop/items": row_shop,
    "/1688/shop/items/v2": row_shop_v2,
    "/1688/global/search/items": row_global,
}
"""Path -> how a product is shown there. `GET /1688/category/items` is in `products`, as text."""


def money(fen: int) -> str:
    """Yuan with two decimals: `"0.60"`, `"298.00"`."""
    return f"{fen // 100}.{fen % 100:02}"


def trimmed(fen: int) -> str:
    """Yuan with as few decimals as it takes: `"56"`, `"8.9"`."""
    return money(fen).rstrip("0").rstrip(".")


def pointed(fen: int) -> str:
    """Yuan with at least one decimal: `"35.0"`, `"8.95"`."""
    return money(fen).removesuffix("0")


def url(product: CatalogueProduct) -> str:
    """The product's page."""
    return f"https://detail.1688.com/offer/{product.item_id}.html"


def images(product: CatalogueProduct, count: int) -> list[str]:
    """Addresses of a product's pictures, the one of its rows first."""
    first = _IMAGES + product.image
    return [first, *(first.replace("-0-cib", f"-{n}-cib") for n in range(1, count))]


def unit(product: CatalogueProduct) -> str:
    """What a product is counted in."""
    return _UNITS[stamp(product.item_id) % len(_UNITS)]


def created_time(product: CatalogueProduct) -> str:
    """When a product was put on sale, as `shop/items` writes it."""
    when = datetime(*EPOCH, tzinfo=UTC) + timedelta(minutes=created(product.item_id))
    return f"{when:%Y-%m-%dT%H:%M:%S}+0800"


def title(product: CatalogueProduct, language: str) -> str:
    """The title; English words stand for whatever a translation into the language would say."""
    if language == "zh":
        return product.title
    own = stamp(product.item_id)
    words = (_ENGLISH[n][own >> 6 * n & 7] for n in range(len(_ENGLISH)))
    return f"{' '.join(words)} {product.item_id % 10_000:04}"


def _rounded(count: int) -> str:
    """Pieces sold as v2 says it: exactly up to 99, then the leading digit and `+`."""
    if count >= _MANY:
        return f"{_MANY}+"
    text = str(count)
    return text if len(text) < 3 else f"{text[0]}{'0' * (len(text) - 1)}+"  # noqa: PLR2004


def _sold(count: int) -> tuple[str, int]:
    """Pieces sold as the search says it, and the number that this text means."""
    if count >= _TEN_THOUSAND:
        thousands = count // 1000
        return f"全网{thousands / 10:g}万+件", thousands * 1000
    step = 100 if count >= 100 else 1  # noqa: PLR2004 - hundreds, where there are any
    shown = count // step * step
    return f"已售{shown}{'+' if step > 1 else ''}件", shown


def _quantity_prices(product: CatalogueProduct) -> list[Row]:
    return [
        {"begin_num": begin, "end_num": end, "price": money(price)}
        for begin, end, price in tiers(product)
    ]


def tiers(product: CatalogueProduct) -> list[tuple[int, int | None, int]]:
    """`(from, to, price in fen)`: the more, the cheaper, beginning at the price of the rows."""
    begin, price = product.quantity_begin, product.sale_price
    second, third = begin * 100, begin * 300
    return [
        (begin, second - 1, price),
        (second, third - 1, max(1, price * 98 // 100)),
        (third, None, max(1, price * 95 // 100)),
    ]
