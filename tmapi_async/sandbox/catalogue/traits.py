"""Product traits that the endpoints show, derived from IDs and stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from .hashing import mix
from .products import SHOPS, Shop, shop

_MASK = (1 << 64) - 1
_YEARS = 3 * 365 * 24 * 60  # over which items were put on sale, in minutes
_NEW = _YEARS // 8
_SHOP_CATEGORIES = 6
_FIRST_SHOP_CATEGORY = 178655220
EPOCH = (2022, 1, 1)
"""Day of which `created` counts the minutes."""

_PROVINCES: Mapping[str, str] = {
    **dict.fromkeys(("广州", "深圳", "汕头", "东莞", "佛山", "揭阳", "中山"), "广东"),
    **dict.fromkeys(("义乌", "杭州", "温州", "台州", "宁波", "金华"), "浙江"),
    "泉州": "福建",
    "青岛": "山东",
    "苏州": "江苏",
}
_SCORES = ("2.0", "3.0", "3.33", "3.43", "4.0", "4.5", "4.67", "5.0")
_TYPES = ("生产加工", "经销批发", "招商代理", "商业服务")


def stamp(item_id: int) -> int:
    """A 64-bit number of an item's own; the finalizer of splitmix64, so no two items share one."""
    value = (item_id + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def created(item_id: int) -> int:
    """When an item was put on sale, in minutes since the first day of 2022."""
    return (stamp(item_id) >> 8) % _YEARS


def is_new(item_id: int) -> bool:
    """Whether an item counts as a new arrival: one in eight, those put on sale last."""
    return created(item_id) >= _YEARS - _NEW


def shop_category(item_id: int) -> str:
    """The shop's own category that an item is in."""
    return str(_FIRST_SHOP_CATEGORY + (stamp(item_id) >> 40) % _SHOP_CATEGORIES)


class Seller(NamedTuple):
    """What is known of a shop beyond v1.

    Attributes:
        member_id: Names the shop in `shop/items`.
        user_id: 13 digits.
        place: Province and town.
        years: Years on the site.
        factory: Whether it makes what it sells.
        trade: Kind of business.
        scores: Five scores out of 5, as text.
    """

    member_id: str
    user_id: str
    place: tuple[str, str]
    years: int
    factory: bool
    trade: str
    scores: tuple[str, ...]


@lru_cache(maxsize=SHOPS)
def seller(shop: Shop) -> Seller:
    """What is known of a shop beyond v1; follows from its address."""
    chosen = mix(0, "seller", shop.url)
    user = str(2_200_000_000_000 + (chosen & 0x3FFFFFFFF))
    town = shop.company[:2]
    trade = _TYPES[0] if shop.super_factory else _TYPES[chosen >> 44 & 3]
    return Seller(
        member_id=f"b2b-{user}{chosen >> 34 & 0xFFFFF:05x}",
        user_id=user,
        place=(_PROVINCES.get(town, "广东"), f"{town}市"),
        years=1 + (chosen >> 46) % 15,
        factory=trade == _TYPES[0],
        trade=trade,
        scores=tuple(_SCORES[chosen >> 48 + 3 * n & 7] for n in range(5)),
    )


def shop_of(seed: int, text: str) -> str:
    """One name for a shop, however it is spoken of: by member ID, or by an address.

    A member ID that no shop has, and an address, stand for themselves: the address without
    scheme and trailing slash, since both are seen in replies.
    """
    host = text.partition("://")[2] or text
    return _hosts(seed).get(text, host.rstrip("/"))


@lru_cache(maxsize=4)
def _hosts(seed: int) -> Mapping[str, str]:
    shops = [shop(seed, number) for number in range(SHOPS)]
    return {seller(one).member_id: one.url.partition("://")[2] for one in shops}
