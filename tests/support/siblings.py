"""The endpoints other than v1, each with a query for the items of category 7."""

from __future__ import annotations

import pytest

ITEMS = "/1688/category/items"
V2 = f"{ITEMS}/v2"
SEARCH = "/1688/search/items"
SHOP = "/1688/shop/items"
SHOP_V2 = f"{SHOP}/v2"
GLOBAL = "/1688/global/search/items"
INFO = "/1688/category/info"
DETAIL = "/1688/item_detail"
DESCRIPTION = "/1688/item_desc"
SHIPPING = "/1688/item/shipping"
SALES = "/1688/item/statistics/sales"
RATINGS = "/1688/item/rating"
OF_ITEM = {DETAIL: {}, DESCRIPTION: {}, SHIPPING: {"province": "广东"}, SALES: {}}
"""Path of an endpoint of one product -> parameters beside the product ID."""

# Path -> query for the items of category 7, in a sandbox with `WORDS` and `SHOPS`.
WORDS, SHOPS = {"T恤": 7}, {"b2b-7": 7, "https://shop7.1688.com": 7}
SIBLINGS = {
    V2: {"cat_id": 7},
    SEARCH: {"keyword": "T恤"},
    SHOP: {"member_id": "b2b-7"},
    SHOP_V2: {"shop_url": "http://shop7.1688.com/"},
    GLOBAL: {"keyword": "T恤"},
}
SEARCHED = (V2, SEARCH, GLOBAL)
siblings = pytest.mark.parametrize("path", SIBLINGS)


async def seven(tmapi_sandboxes, size=95, **options):
    """Start a sandbox in which the queries of `SIBLINGS` show the items of category 7."""
    config = {"categories": {7: size}, "words": WORDS, "shops": SHOPS, **options}
    return await tmapi_sandboxes(**config)
