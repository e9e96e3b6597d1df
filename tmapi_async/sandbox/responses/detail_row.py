"""The full data of one product, as in `GET /1688/item_detail`."""

from __future__ import annotations

from typing import Any

from tmapi_async.sandbox.catalogue.products import CatalogueProduct
from tmapi_async.sandbox.catalogue.traits import item_hash, seller

from .product_rows import RowContext, images, money, tiers, title, unit, url

Row = dict[str, Any]
_COLOURS = ("黄色豹纹", "白色", "黑色", "酒红色", "藏青色", "卡其色")
_SIZES = ("S", "M", "L", "XL")
_ANY_NUMBER = 2**31 - 1
_FIRST_SKU = 5_000_000_000_000


def detail(product: CatalogueProduct, context: RowContext) -> Row:
    """Return the `data` of a reply about one product.

    The rows of listings show the price for the minimum order, which is the highest price here;
    `price` is the lowest one, as in the documented example.
    """
    skus = _skus(product)
    stock = sum(sku["stock"] for sku in skus)
    prices = _price_info(product)
    return {
        "item_id": product.item_id,
        "product_url": url(product),
        "title": title(product, context.language),
        "category_id": int(context.path[-1]),
        "root_category_id": int(context.path[0]),
        "currency": "CNY",
        "offer_unit": unit(product),
        "product_props": _props(product, context),
        "main_imgs": images(product, 8),
        "video_url": "https://cloud.video.taobao.com/play/u/0/p/2/e/6/t/1/0.mp4",
        "detail_url": f"https://itemcdn.tmall.com/1688offer/icoss{item_hash(product.item_id):020x}",
        "sale_count": str(product.sales),
        "sale_info": {"sale_quantity_90days": product.sales},
        "price_info": prices,
        "tiered_price_info": {"begin_num": product.quantity_begin, "prices": _tiered(product)},
        "mixed_batch": {
            "mix_amount": 10000,
            "mix_begin": 0,
            "mix_num": 1000,
            "shop_mix_num": _ANY_NUMBER,
        },
        "shop_info": _shop_info(product),
        "delivery_info": _delivery_info(product),
        "service_tags": ["7天无理由退货", "晚发必赔"],
        "sku_price_scale": f"{prices['price_min']}-{prices['price_max']}",
        "sku_price_scale_original": "null",
        "sku_price_range": _range(product, stock),
        "sku_props": _sku_props(product),
        "skus": skus,
        "is_sold_out": stock == 0,
        "stock": stock,
        "promotions": [],
    }


def _price_info(product: CatalogueProduct) -> Row:
    low = money(tiers(product)[-1][2])
    return {
        "price": low,
        "price_min": low,
        "price_max": money(product.sale_price),
        "origin_price_min": None,
        "origin_price_max": None,
        "discount_price": "",
    }


def _shop_info(product: CatalogueProduct) -> Row:
    seller_info = seller(product.shop)
    return {
        "shop_name": product.shop.company,
        "shop_url": f"https://winport.m.1688.com/page/index.html?memberId={seller_info.member_id}",
        "seller_login_id": product.shop.login_id,
        "seller_user_id": seller_info.user_id,
        "seller_member_id": seller_info.member_id,
    }


def _delivery_info(product: CatalogueProduct) -> Row:
    province, town = seller(product.shop).location
    return {
        "location": f"{province}省{town}",
        "location_code": str(item_hash(product.item_id) % 10**8),
        "delivery_fee": 0 if product.free_shipping else 4,
        "unit_weight": 0,
        "template_id": str(item_hash(product.item_id) >> 40),
    }


def _props(product: CatalogueProduct, context: RowContext) -> list[Row]:
    pairs = {
        "产品类别": context.category,
        "颜色": ",".join(_colours(product)),
        "尺码": ",".join(_sizes(product)),
        "产地": seller(product.shop).location[1],
        "货号": f"Y{product.item_id % 10_000}",
        "是否跨境出口专供货源": "是" if product.dropshipping else "否",
    }
    return [{name: value} for name, value in pairs.items()]


def _tiered(product: CatalogueProduct) -> list[Row]:
    return [
        {"beginAmount": str(begin), "price": money(price)} for begin, _, price in tiers(product)
    ]


def _range(product: CatalogueProduct, stock: int) -> Row:
    return {
        "begin_num": product.quantity_begin,
        "stock": stock,
        "sku_param": _tiered(product),
        "mix_param": {
            "mixNum": 1000,
            "mixAmount": 10000,
            "shopMixNum": _ANY_NUMBER,
            "mixBegin": 0,
            "supportMix": True,
        },
    }


def _colours(product: CatalogueProduct) -> tuple[str, ...]:
    first = item_hash(product.item_id) % 3
    return _COLOURS[first : first + 3]


def _sizes(product: CatalogueProduct) -> tuple[str, ...]:
    return _SIZES[: 2 + (item_hash(product.item_id) >> 8) % 3]


def _sku_props(product: CatalogueProduct) -> list[Row]:
    pictures = images(product, 8)
    colours = [
        {"vid": str(index), "name": name, "imageUrl": pictures[index]}
        for index, name in enumerate(_colours(product))
    ]
    sizes = [
        {"vid": str(index), "name": name, "imageUrl": ""}
        for index, name in enumerate(_sizes(product))
    ]
    return [
        {"pid": "0", "prop_name": "颜色", "values": colours},
        {"pid": "1", "prop_name": "尺码", "values": sizes},
    ]


def _skus(product: CatalogueProduct) -> list[Row]:
    number = item_hash(product.item_id)
    pairs = [
        (f"0:{colour_id};1:{size_id}", f"颜色:{colour};尺码:{size}")
        for colour_id, colour in enumerate(_colours(product))
        for size_id, size in enumerate(_sizes(product))
    ]
    return [
        {
            "skuid": str(_FIRST_SKU + number % 10**12 + index),
            "specid": f"{item_hash(number + index):016x}{item_hash(number - index):016x}",
            "sale_price": money(product.sale_price),
            "origin_price": None,
            "stock": item_hash(number + index) % 5000,
            "props_ids": props_ids,
            "props_names": props_names,
            "sale_count": 0,
            "package_info": {"weight": 0.12, "length": 0, "width": 0, "height": 0, "volume": 0},
        }
        for index, (props_ids, props_names) in enumerate(pairs)
    ]
