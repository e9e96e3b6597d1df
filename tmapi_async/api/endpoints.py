"""Endpoints of the API as data. A new one needs a description here and a struct for its rows.

CONTRIBUTING lists what else to change. Source: the API document of each path. Known differences
from the document are in the docs ("Drift").
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from .details import (
    Category,
    ItemDescription,
    ItemDetail,
    ItemRating,
    ItemSales,
    ItemShipping,
)
from .items import CategoryItemV2, GlobalSearchItem, Item, SearchItem, ShopItem, ShopItemV2

Kind: TypeAlias = Literal["id", "whole", "text", "flag", "price", "weight", "member", "address"]
"""Type of a parameter: a positive 64-bit ID, a whole number from 1, text, a bool, yuan, kg, the
address or the member ID of a shop."""

Paging: TypeAlias = Literal["has_next_page", "total_count", "both", "rows", "none"]
"""Fields that say if there is a next page; with both, `has_next_page` decides if it is sent.

With "rows" no field says so: a page with rows is followed by another one, and an empty page is the
end. A page with fewer rows than usual proves nothing.
"""


class Parameter(msgspec.Struct, frozen=True):
    """One query parameter.

    Attributes:
        name: Name as sent.
        kind: Type of its values.
        choices: Allowed values; empty if all values are allowed.
        maximum: Largest number allowed, or None.
        default: Value that the server assumes if the parameter is absent. The client does not send
            it, so that the same query is always the same listing.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    maximum: int | None = None
    default: str | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint of the API.

    Attributes:
        name: Short name, used in identities and messages (`"category/items"`).
        short: Name on the command line (`"category-v1"`).
        path: Path below the base URL, with the leading slash.
        item: Struct of its rows; of the one object in its reply, if it is not paged.
        params: Parameters, without page and token.
        required: Parameters of which at least one is needed.
        needed: Parameters that are needed in addition.
        paging: Fields that say if there is a next page.
        ceiling: True if its results come from the site's search, which ends after some rows.
        rows: Field of `data` with the rows of a page.
    """

    name: str
    short: str
    path: str
    item: type[Any]
    params: tuple[Parameter, ...]
    required: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    paging: Paging = "has_next_page"
    ceiling: bool = False
    rows: Literal["items", "list"] = "items"

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the boolean filters."""
        return tuple(param.name for param in self.params if param.kind == "flag")

    @property
    def paged(self) -> bool:
        """True if the endpoint has pages; otherwise one request gets everything."""
        return self.paging != "none"

    @property
    def of_item(self) -> bool:
        """True if the endpoint is asked about one product, by its ID."""
        return "item_id" in self.required

    @property
    def lists_products(self) -> bool:
        """True if the endpoint has pages of products, and not pages about one product."""
        return self.paged and not self.of_item

    def param(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return next((param for param in self.params if param.name == name), None)


def _flags(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, "flag") for name in names)


def _sort(*extra: str) -> Parameter:
    choices = ("default", "sales", "price_up", "price_down", *extra)
    return Parameter("sort", "text", choices, default="default")


_LANGUAGES = ("en", "zh", "ru", "vi", "ja", "ko")
_PAGE_SIZE = Parameter("page_size", "whole", maximum=20, default="20")
_PRICES = (Parameter("price_start", "price"), Parameter("price_end", "price"))
_CAT = Parameter("cat_id", "id")
_SEARCH_FLAGS = _flags("new_arrival", "support_dropshipping", "free_shipping", "is_super_factory")
_BY_TIME = _sort("time_up", "time_down")

CATEGORY_ITEMS = Endpoint(
    name="category/items",
    short="category-v1",
    path="/1688/category/items",
    item=Item,
    params=(_CAT, *_flags("super_factory", "support_dropshipping", "free_shipping")),
    required=("cat_id",),
    ceiling=True,
)
"""Products of a category, version 1: no price filter, no sort order, no total."""

CATEGORY_ITEMS_V2 = Endpoint(
    name="category/items/v2",
    short="category-v2",
    path="/1688/category/items/v2",
    item=CategoryItemV2,
    params=(
        _CAT,
        Parameter("language", "text", _LANGUAGES),
        _PAGE_SIZE,
        _sort(),
        *_PRICES,
        *_SEARCH_FLAGS,
    ),
    required=("cat_id",),
    paging="both",
    ceiling=True,
)
"""Products of a category, version 2."""

SEARCH_ITEMS = Endpoint(
    name="search/items",
    short="search",
    path="/1688/search/items",
    item=SearchItem,
    params=(
        Parameter("keyword", "text"),
        _PAGE_SIZE,
        _sort(),
        Parameter("moq", "whole"),
        *_PRICES,
        *_SEARCH_FLAGS,
    ),
    required=("keyword",),
    paging="both",
    ceiling=True,
)
"""Products found by a keyword."""

SHOP_ITEMS = Endpoint(
    name="shop/items",
    short="shop",
    path="/1688/shop/items",
    item=ShopItem,
    params=(
        Parameter("member_id", "member"),
        _PAGE_SIZE,
        _BY_TIME,
        Parameter("shop_cat_id", "text"),
        *_PRICES,
    ),
    required=("member_id",),
    paging="total_count",
)
"""Products of a shop, by its member ID."""

SHOP_ITEMS_V2 = Endpoint(
    name="shop/items/v2",
    short="shop-v2",
    path="/1688/shop/items/v2",
    item=ShopItemV2,
    params=(
        Parameter("shop_url", "address"),
        _PAGE_SIZE,
        _BY_TIME,
        Parameter("cat", "text"),
        Parameter("cat_type", "text", ("0", "1")),
    ),
    required=("shop_url",),
    paging="total_count",
)
"""Products of a shop, by its address."""

GLOBAL_SEARCH_ITEMS = Endpoint(
    name="global/search/items",
    short="global-search",
    path="/1688/global/search/items",
    item=GlobalSearchItem,
    params=(
        Parameter("keyword", "text"),
        _CAT,
        _PAGE_SIZE,
        Parameter("language", "text", _LANGUAGES),
        _sort(),
        *_PRICES,
        *_SEARCH_FLAGS,
    ),
    required=("keyword", "cat_id"),
    ceiling=True,
)
"""Products of the international site, by keyword, category or both."""

CATEGORY_INFO = Endpoint(
    name="category/info",
    short="category-info",
    path="/1688/category/info",
    item=Category,
    params=(_CAT,),
    paging="none",
)
"""A category and its child categories; without `cat_id` the categories of the first level."""

ITEM_DETAIL = Endpoint(
    name="item_detail",
    short="item-detail",
    path="/1688/item_detail",
    item=ItemDetail,
    params=(Parameter("item_id", "id"), Parameter("language", "text", default="zh")),
    required=("item_id",),
    paging="none",
)
"""One product in detail."""

ITEM_DESCRIPTION = Endpoint(
    name="item_desc",
    short="item-description",
    path="/1688/item_desc",
    item=ItemDescription,
    params=(Parameter("item_id", "id"),),
    required=("item_id",),
    paging="none",
)
"""The description of one product: its pictures, and HTML."""

ITEM_SHIPPING = Endpoint(
    name="item/shipping",
    short="item-shipping",
    path="/1688/item/shipping",
    item=ItemShipping,
    params=(
        Parameter("item_id", "id"),
        Parameter("province", "text"),
        Parameter("total_quantity", "whole"),
        Parameter("total_weight", "weight"),
    ),
    required=("item_id",),
    needed=("province",),
    paging="none",
)
"""The cost of shipping one product to a province."""

ITEM_SALES = Endpoint(
    name="item/statistics/sales",
    short="item-sales",
    path="/1688/item/statistics/sales",
    item=ItemSales,
    params=(Parameter("item_id", "id"), Parameter("spec_id", "text")),
    required=("item_id",),
    paging="none",
)
"""Sales and prices of one product over time."""

ITEM_RATINGS = Endpoint(
    name="item/rating",
    short="item-ratings",
    path="/1688/item/rating",
    item=ItemRating,
    params=(
        Parameter("item_id", "id"),
        Parameter("sort_type", "text", ("default", "latest"), default="default"),
    ),
    required=("item_id",),
    paging="rows",
    rows="list",
)
"""The ratings (reviews) of one product, in pages without a total and without `has_next_page`."""

ENDPOINTS = {
    value.name: value for value in tuple(globals().values()) if isinstance(value, Endpoint)
}
"""Every endpoint this client knows, by name."""

BY_SHORT_NAME = {endpoint.short: endpoint for endpoint in ENDPOINTS.values() if endpoint.required}
"""The endpoints that show products by their names on the command line: all but the categories."""

ITEM_ENDPOINTS = {name: endpoint for name, endpoint in BY_SHORT_NAME.items() if endpoint.of_item}
"""The endpoints that are asked about one product, by their names on the command line."""
