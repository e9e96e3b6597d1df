"""Endpoints of the server as data: paths, parameters and fields of the replies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from tmapi_async.sandbox.catalogue.choice import Choice, Filters, Sort

from .stats import Listing

_MAX_ID = 2**63 - 1
# Short enough for exact decimal arithmetic.
_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")

V2_SORTS: tuple[Sort, ...] = ("default", "sales", "price_up", "price_down")
SHOP_SORTS: tuple[Sort, ...] = (*V2_SORTS, "time_up", "time_down")
LANGUAGES = ("en", "zh", "ru", "vi", "ja", "ko")

Total = Literal["int", "text"]


class RefusedParameterError(Exception):
    """A parameter is missing or has a bad value. The reply is code 422 with this text."""


@dataclass(frozen=True)
class Route:
    """Parameters and replies of one path.

    Attributes:
        name: Name of the endpoint in the file names of recorded bodies.
        path: Path of the endpoint.
        required: Required parameters.
        one_of: Parameters of which at least one is required.
        optional: Optional parameters. Parameters that are not named here are ignored.
        sorts: Allowed values of `sort`.
        largest_page: Maximum `page_size`; larger ones are refused. None if a larger one is reduced
            to the server's own maximum (the reply shows the size in force).
        paged: True if the endpoint has pages.
        searched: True if rows and totals come from the search of the site, which has a ceiling.
        fields: Names of the fields of `data` on a page, in the order of the reply.
        total: Type of `total_count`, if the endpoint has this field.
    """

    name: str
    path: str
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    sorts: tuple[Sort, ...] = ()
    largest_page: int | None = None
    paged: bool = True
    searched: bool = False
    fields: tuple[str, ...] = ()
    total: Total = "int"

    def parse(self, query: Mapping[str, str]) -> tuple[Listing, int]:
        """Return the listing and the page number of a query.

        Raises:
            RefusedParameterError: A parameter is missing or has a bad value.
        """
        params = []
        for name, check, required in self._checks:
            value = query.get(name)
            if value:
                params.append((name, check(name, value)))
            elif required:
                raise RefusedParameterError(f"parameter error: {name} is required")
            elif value is not None and name not in (*_MAY_BE_EMPTY, *self.one_of):
                check(name, value)
        if self.one_of and not any(query.get(name) for name in self.one_of):
            raise RefusedParameterError(f"parameter error: {' or '.join(self.one_of)} is required")
        page = positive("page", query.get("page", "1")) if self.paged else 1
        return Listing(self.path, tuple(params)), page

    @cached_property
    def _checks(self) -> list[tuple[str, Callable[[str, str], str], bool]]:
        """`(name, check, required)` of each parameter, sorted by name as in a listing."""
        special: dict[str, Callable[[str, str], str]] = {
            "sort": self._sort,
            "page_size": self._page_size,
        }
        names = sorted({*self.required, *self.one_of, *self.optional})
        return [(n, special.get(n) or _CHECKS.get(n, _text), n in self.required) for n in names]

    def _sort(self, name: str, value: str) -> str:
        return _one_of(self.sorts)(name, value)

    def _page_size(self, name: str, value: str) -> str:
        size = positive(name, value)
        if self.largest_page is not None and size > self.largest_page:
            raise RefusedParameterError(
                f"parameter error: {name} must be at most {self.largest_page}"
            )
        return str(size)


def positive(name: str, value: str) -> int:
    """Parse a positive 64-bit integer.

    Raises:
        RefusedParameterError: The text is not such a number.
    """
    if not (value.isascii() and value.isdigit()) or not 0 < int(value[:20]) <= _MAX_ID:
        raise RefusedParameterError(f"parameter error: {name} must be a positive integer")
    return int(value)


def _text(_: str, value: str) -> str:
    return value


def _integer(name: str, value: str) -> str:
    return str(positive(name, value))


def _flag(name: str, value: str) -> str:
    if value not in _BOOLEANS:
        raise RefusedParameterError(f"parameter error: {name} must be true or false")
    return value


def _price(name: str, value: str) -> str:
    if not _PRICE.fullmatch(value):
        raise RefusedParameterError(f"parameter error: {name} must be a decimal number")
    return value


def _one_of(allowed: tuple[str, ...]) -> Callable[[str, str], str]:
    def check(name: str, value: str) -> str:
        if value not in allowed:
            raise RefusedParameterError(
                f"parameter error: {name} must be one of {', '.join(allowed)}"
            )
        return value

    return check


_BOOLEANS = {"true": True, "false": False}
_FLAGS: Mapping[str, str] = {
    "super_factory": "super_factory",
    "is_super_factory": "super_factory",
    "support_dropshipping": "support_dropshipping",
    "free_shipping": "free_shipping",
    "new_arrival": "new_arrival",
}
"""Name of the parameter -> field of `Filters`; v1 uses another name than the other endpoints."""

# An empty value means the same as no parameter; replies echo these as "".
_MAY_BE_EMPTY = ("price_start", "price_end", "shop_cat_id", "cat", "keyword")

_CHECKS: Mapping[str, Callable[[str, str], str]] = {
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(("cat_id", "item_id", "moq", "total_quantity"), _integer),
    **dict.fromkeys(("price_start", "price_end", "total_weight"), _price),
    "language": _one_of(LANGUAGES),
    "cat_type": _one_of(("0", "1")),
    "sort_type": _one_of(("default", "latest")),
}
"""Check of each parameter; all other parameters accept any text that is not empty."""

_PRICES = ("price_start", "price_end")
_V2_FLAGS = ("new_arrival", "support_dropshipping", "free_shipping", "is_super_factory")

CATEGORY_ITEMS = Route(
    name="category-items",
    path="/1688/category/items",
    required=("cat_id",),
    optional=("super_factory", "support_dropshipping", "free_shipping"),
    fields=("page", "page_size", "has_next_page", "filters", "items"),
)
CATEGORY_ITEMS_V2 = Route(
    name="category-items-v2",
    path="/1688/category/items/v2",
    required=("cat_id",),
    optional=("language", "page_size", "sort", *_PRICES, *_V2_FLAGS),
    sorts=V2_SORTS,
    searched=True,
    fields=(
        *("page", "page_size", "total_count", "keyword", "sort", "cat_id", "filters", "items"),
        "has_next_page",
    ),
)
SEARCH_ITEMS = Route(
    name="search-items",
    path="/1688/search/items",
    required=("keyword",),
    optional=("page_size", "sort", "moq", *_PRICES, *_V2_FLAGS),
    sorts=V2_SORTS,
    largest_page=20,
    searched=True,
    fields=CATEGORY_ITEMS_V2.fields,
)
SHOP_ITEMS = Route(
    name="shop-items",
    path="/1688/shop/items",
    required=("member_id",),
    optional=("page_size", "sort", "shop_cat_id", *_PRICES),
    sorts=SHOP_SORTS,
    fields=(
        *("page", "page_size", "total_count", "shop_cat_id", "keyword", *_PRICES, "sort"),
        "items",
    ),
    total="text",
)
SHOP_ITEMS_V2 = Route(
    name="shop-items-v2",
    path="/1688/shop/items/v2",
    required=("shop_url",),
    optional=("page_size", "sort", "cat", "cat_type"),
    sorts=SHOP_SORTS,
    fields=("page", "page_size", "total_count", "cat_id", "sort", "items"),
)
GLOBAL_SEARCH_ITEMS = Route(
    name="global-search-items",
    path="/1688/global/search/items",
    one_of=("keyword", "cat_id"),
    optional=("page_size", "language", "sort", *_PRICES, *_V2_FLAGS),
    sorts=V2_SORTS,
    searched=True,
    fields=("page", "page_size", "has_next_page", "sort", "filters", "items"),
)
CATEGORY_INFO = Route(
    name="category-info", path="/1688/category/info", optional=("cat_id",), paged=False
)
ITEM_DETAIL = Route(
    name="item-detail",
    path="/1688/item_detail",
    required=("item_id",),
    optional=("language",),
    paged=False,
)

ITEM_DESCRIPTION = Route(
    name="item-desc", path="/1688/item_desc", required=("item_id",), paged=False
)
ITEM_SHIPPING = Route(
    name="item-shipping",
    path="/1688/item/shipping",
    required=("item_id", "province"),
    optional=("total_quantity", "total_weight"),
    paged=False,
)
ITEM_SALES = Route(
    name="item-statistics-sales",
    path="/1688/item/statistics/sales",
    required=("item_id",),
    optional=("spec_id",),
    paged=False,
)

ITEM_RATINGS = Route(
    name="item-rating",
    path="/1688/item/rating",
    required=("item_id",),
    optional=("sort_type",),
    fields=("item_id", "page", "page_size", "sort_type", "list"),
)

ROUTES: Mapping[str, Route] = {
    endpoint.path: endpoint
    for endpoint in (
        *(CATEGORY_ITEMS, CATEGORY_ITEMS_V2, SEARCH_ITEMS, SHOP_ITEMS, SHOP_ITEMS_V2),
        *(GLOBAL_SEARCH_ITEMS, CATEGORY_INFO, ITEM_DETAIL, ITEM_DESCRIPTION),
        *(ITEM_SHIPPING, ITEM_SALES, ITEM_RATINGS),
    )
}
"""Path -> endpoint, for all endpoints of the catalogue."""


def filters_of(listing: Listing) -> Filters:
    """Return the boolean filters of a listing."""
    filters = filters_sent(listing)
    return Filters(**{_FLAGS[name]: value for name, value in filters.items()})


def filters_sent(listing: Listing) -> dict[str, bool]:
    """Return the boolean filters of a listing under the names in the request."""
    return {name: value == "true" for name, value in listing.params if name in _FLAGS}


def choice_of(listing: Listing) -> Choice:
    """Return the filters and the order of a listing."""
    params = dict(listing.params)
    return Choice(
        filters=filters_of(listing),
        price_start=_decimal(params.get("price_start")),
        price_end=_decimal(params.get("price_end")),
        moq=int(params["moq"]) if "moq" in params else None,
        shop_cat=params.get("shop_cat_id") or params.get("cat"),
        sort=_sort_of(params.get("sort")),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _sort_of(text: str | None) -> Sort:
    return next((sort for sort in SHOP_SORTS if sort == text), "default")
