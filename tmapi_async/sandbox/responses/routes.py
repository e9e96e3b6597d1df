"""What can be asked of the server: paths, their parameters and their replies' fields, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from tmapi_async.sandbox.catalogue.choice import Choice, Filters, Sort

from .stats import Listing

_LARGEST_ID = 2**63 - 1
# No longer than decimal arithmetic is exact.
_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")

V2_SORTS: tuple[Sort, ...] = ("default", "sales", "price_up", "price_down")
SHOP_SORTS: tuple[Sort, ...] = (*V2_SORTS, "time_up", "time_down")
LANGUAGES = ("en", "zh", "ru", "vi", "ja", "ko")

Total = Literal["int", "text"]


class RefusedParameterError(Exception):
    """A parameter is missing or has a bad value: the reply is code 422 with this text."""


@dataclass(frozen=True)
class Route:
    """What one path takes and how it answers.

    Attributes:
        name: Its name in the files of a folder of recorded bodies.
        path: Its path.
        required: Parameters that must be there.
        one_of: Of these at least one must be there.
        optional: Parameters that may be there. Any that is named nowhere is ignored, as servers
            do.
        sorts: Allowed values of `sort`.
        largest_page: Largest `page_size` that is not refused; None if a larger one is not refused
            but cut to the server's own (the reply tells which counts).
        paged: Whether there are pages to ask for.
        searched: Whether rows and totals come from the site's search, which ends at a ceiling.
        fields: Names of the fields of `data` on a page, in the order in which they are sent.
        total: Type of `total_count`, where there is one.
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

    def read(self, query: Mapping[str, str]) -> tuple[Listing, int]:
        """The listing and the page number that a query asks for.

        Raises:
            ParameterError: The query is not one that the endpoint takes.
        """
        params = []
        for name, check, needed in self._checks:
            value = query.get(name)
            if value:
                params.append((name, check(name, value)))
            elif needed:
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
        own: dict[str, Callable[[str, str], str]] = {
            "sort": self._sort,
            "page_size": self._page_size,
        }
        names = sorted({*self.required, *self.one_of, *self.optional})
        return [(n, own.get(n) or _CHECKS.get(n, _text), n in self.required) for n in names]

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
    """A positive 64-bit integer from its text; `RefusedParameterError` if it is none."""
    if not (value.isascii() and value.isdigit()) or not 0 < int(value[:20]) <= _LARGEST_ID:
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


def _one_of(known: tuple[str, ...]) -> Callable[[str, str], str]:
    def check(name: str, value: str) -> str:
        if value not in known:
            raise RefusedParameterError(
                f"parameter error: {name} must be one of {', '.join(known)}"
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
"""Name on the wire -> field of `Filters`: v1 says it otherwise than the others."""

# Sent empty they mean what leaving them out means: the replies echo them as "".
_MAY_BE_EMPTY = ("price_start", "price_end", "shop_cat_id", "cat", "keyword")

_CHECKS: Mapping[str, Callable[[str, str], str]] = {
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(("cat_id", "item_id", "moq"), _integer),
    **dict.fromkeys(("price_start", "price_end"), _price),
    "language": _one_of(LANGUAGES),
    "cat_type": _one_of(("0", "1")),
}
"""What a parameter's value must be; text that is not empty where nothing is said."""

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

GENERATED: Mapping[str, Route] = {
    endpoint.path: endpoint
    for endpoint in (
        *(CATEGORY_ITEMS, CATEGORY_ITEMS_V2, SEARCH_ITEMS, SHOP_ITEMS, SHOP_ITEMS_V2),
        *(GLOBAL_SEARCH_ITEMS, CATEGORY_INFO, ITEM_DETAIL),
    )
}
"""Path -> endpoint, of those that the catalogue is served through."""


def filters_of(listing: Listing) -> Filters:
    """The boolean filters among a listing's parameters."""
    sent = filters_sent(listing)
    return Filters(**{_FLAGS[name]: value for name, value in sent.items()})


def filters_sent(listing: Listing) -> dict[str, bool]:
    """The boolean filters of a listing under the names they were sent with."""
    return {name: value == "true" for name, value in listing.params if name in _FLAGS}


def choice_of(listing: Listing) -> Choice:
    """Which rows a listing shows, and in which order."""
    given = dict(listing.params)
    return Choice(
        filters=filters_of(listing),
        price_start=_decimal(given.get("price_start")),
        price_end=_decimal(given.get("price_end")),
        moq=int(given["moq"]) if "moq" in given else None,
        shop_cat=given.get("shop_cat_id") or given.get("cat"),
        sort=_sort_of(given.get("sort")),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _sort_of(text: str | None) -> Sort:
    return next((sort for sort in SHOP_SORTS if sort == text), "default")
