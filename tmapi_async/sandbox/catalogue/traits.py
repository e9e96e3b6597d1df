"""Traits of products and shops, computed from IDs and not stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from .hashing import mix
from .products import SHOPS, Shop, shop

_MASK = (1 << 64) - 1
_SALE_PERIOD = 3 * 365 * 24 * 60  # in minutes; items were put on sale within it
_NEW_PERIOD = _SALE_PERIOD // 8
_SHOP_CATEGORIES = 6
_FIRST_SHOP_CATEGORY = 178655220
EPOCH = (2022, 1, 1)
"""First day of the period; `minutes_on_sale` counts from its beginning."""

_PROVINCES: Mapping[str, str] = {
    **dict.fromkeys(("广州", "深圳", "汕头", "东莞", "佛山", "揭阳", "中山"), "广东"),
    **dict.fromkeys(("义乌", "杭州", "温州", "台州", "宁波", "金华"), "浙江"),
    "泉州": "福建",
    "青岛": "山东",
    "苏州": "江苏",
}
_SCORES = ("2.0", "3.0", "3.33", "3.43", "4.0", "4.5", "4.67", "5.0")
_TYPES = ("生产加工", "经销批发", "招商代理", "商业服务")


def item_hash(item_id: int) -> int:
    """Return a 64-bit hash, different for every ID (the finalizer of splitmix64)."""
    value = (item_id + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def minutes_on_sale(item_id: int) -> int:
    """Return the time when an item was put on sale, in minutes since the beginning of 2022."""
    return (item_hash(item_id) >> 8) % _SALE_PERIOD


def is_new(item_id: int) -> bool:
    """Return True if an item is a new arrival: one in eight, those put on sale last."""
    return minutes_on_sale(item_id) >= _SALE_PERIOD - _NEW_PERIOD


def shop_category(item_id: int) -> str:
    """Return the category of an item in its shop."""
    return str(_FIRST_SHOP_CATEGORY + (item_hash(item_id) >> 40) % _SHOP_CATEGORIES)


class Seller(NamedTuple):
    """Facts about a shop that v1 does not show.

    Attributes:
        member_id: ID of the shop in `shop/items`.
        user_id: 13 digits.
        location: Province and town.
        years: Years on the site.
        factory: True if the shop manufactures its products.
        trade: Kind of business.
        scores: Five scores out of 5, as text.
    """

    member_id: str
    user_id: str
    location: tuple[str, str]
    years: int
    factory: bool
    trade: str
    scores: tuple[str, ...]


@lru_cache(maxsize=SHOPS)
def seller(shop: Shop) -> Seller:
    """Return facts about a shop that v1 does not show; they follow from its address."""
    random_bits = mix(0, "seller", shop.url)
    user = str(2_200_000_000_000 + (random_bits & 0x3FFFFFFFF))
    town = shop.company[:2]
    trade = _TYPES[0] if shop.super_factory else _TYPES[random_bits >> 44 & 3]
    return Seller(
        member_id=f"b2b-{user}{random_bits >> 34 & 0xFFFFF:05x}",
        user_id=user,
        location=(_PROVINCES.get(town, "广东"), f"{town}市"),
        years=1 + (random_bits >> 46) % 15,
        factory=trade == _TYPES[0],
        trade=trade,
        scores=tuple(_SCORES[random_bits >> 48 + 3 * n & 7] for n in range(5)),
    )


def shop_key(seed: int, text: str) -> str:
    """Return the same key for a shop, whether it is named by member ID or by address.

    The key is the address without scheme and trailing slash, since both vary in replies. A member
    ID that no shop has is its own key.
    """
    host = text.partition("://")[2] or text
    return _hosts(seed).get(text, host.rstrip("/"))


@lru_cache(maxsize=4)
def _hosts(seed: int) -> Mapping[str, str]:
    shops = [shop(seed, number) for number in range(SHOPS)]
    return {seller(s).member_id: s.url.partition("://")[2] for s in shops}
