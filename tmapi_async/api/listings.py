"""Listings and page requests, and the checks of their parameters. No I/O."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.argument_checks import check_type
from tmapi_async.errors.shown_value import show_value

from .endpoints import (
    CATEGORY_ITEMS,
    ENDPOINTS,
    SHOP_ITEMS,
    SHOP_ITEMS_V2,
    Endpoint,
    Parameter,
)
from .values import money

MAX_ID = 2**63 - 1
"""Largest ID accepted: IDs are positive signed 64-bit integers."""

USUAL_CEILING = 2000
"""Number of rows after which the site's own search stops. A listing that ends there is capped."""

_LONGEST_TEXT = 500
_LARGEST_NUMBER = 10**9


class Listing(msgspec.Struct, frozen=True, cache_hash=True):
    """One paged query: an endpoint with its canonical parameters.

    Two listings are equal if they stand for the same query; neither the token nor the host is part
    of a listing. Build one with [`describe`][tmapi_async.describe]. An endpoint without pages is a
    listing of one page.

    Attributes:
        endpoint: Name of the endpoint, a key of `ENDPOINTS`.
        params: Query parameters, without page and token, sorted by name.
    """

    endpoint: str
    params: tuple[tuple[str, str], ...]

    @property
    def query(self) -> str:
        """The parameters as a query string, ready for a URL (`"cat_id=1031910"`)."""
        return _query(self)

    @property
    def identity(self) -> str:
        """Readable identity, safe to log: `"search/items?keyword=连衣裙"`."""
        return _identity(self)

    @property
    def cat_id(self) -> int | None:
        """The category ID, or None for an endpoint without one."""
        for name, value in self.params:
            if name == "cat_id":
                return int(value)
        return None

    def __str__(self) -> str:
        return self.identity


@functools.lru_cache(maxsize=1024)  # called with every page
def _query(listing: Listing) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in listing.params)


@functools.lru_cache(maxsize=1024)
def _identity(listing: Listing) -> str:
    query = "&".join(f"{name}={_readable(value)}" for name, value in listing.params)
    return f"{listing.endpoint}?{query}" if query else listing.endpoint


def _readable(value: str) -> str:
    """Return a value in which only ambiguous characters are quoted."""
    if value.isascii() and value.isalnum():  # an ID: ten thousand products have as many identities
        return value
    return "".join(
        char if char > "\x7f" and char.isprintable() else quote(char, safe=":/") for char in value
    )


class PageRequest(msgspec.Struct, frozen=True, cache_hash=True):
    """A listing and a 1-based page number."""

    listing: Listing
    number: int

    def __str__(self) -> str:
        return f"{self.listing.identity} page {self.number}"


def endpoint_of(listing: Listing) -> Endpoint:
    """Return the endpoint of a listing.

    Raises:
        InvalidRequestError: This version does not know the endpoint.
    """
    endpoint = ENDPOINTS.get(listing.endpoint)
    if endpoint is None:
        raise InvalidRequestError(
            f"this version of tmapi-async knows no endpoint {show_value(listing.endpoint)}: "
            "upgrade tmapi-async"
        )
    return endpoint


def check_listing(value: object) -> Listing:
    """Return a listing.

    Raises:
        InvalidRequestError: The value is something else, such as a category ID.
    """
    if not isinstance(value, Listing):
        raise InvalidRequestError(
            f"{show_value(value)} is not a listing: make one with category_items(1031910) or "
            "describe(...), from tmapi_async"
        )
    return value


def describe(endpoint: Endpoint, params: Mapping[str, Any]) -> Listing:
    """Describe a listing.

    Args:
        endpoint: The endpoint.
        params: Its parameters by name; those that are None are left out.

    Returns:
        The listing, with canonical parameters; nothing is sent.

    Raises:
        InvalidRequestError: The endpoint has no such parameter (the message suggests the right
            name), a value does not fit, or a required parameter is missing.
    """
    check_type("endpoint", endpoint, Endpoint, "an endpoint such as CATEGORY_ITEMS", optional=False)
    check_type("params", params, Mapping, "a dict of parameters", optional=False)
    return make_listing(endpoint, read_params(endpoint, params))


def missing_rows(rows: int, total: int | None) -> int:
    """Return the number of rows that a listing's own total promises beyond those that came.

    Args:
        rows: Rows that came, up to the usual ceiling.
        total: Rows of the whole listing according to the server, or None. The server counts rows
            past the ceiling that it never shows.
    """
    return max(0, min(total or 0, USUAL_CEILING) - rows)


def read_params(endpoint: Endpoint, params: Mapping[str, Any]) -> dict[str, str]:
    """Check parameters and put them into canonical text.

    Args:
        endpoint: The endpoint.
        params: Some of its parameters by name. Those that are None, and those with the default
            value of the server, are left out.

    Raises:
        InvalidRequestError: See `describe`; required parameters may be missing here.
    """
    sent: dict[str, str] = {}
    for name, value in params.items():
        check_type("the name of a parameter", name, str, "text", optional=False)
        if value is None:
            continue
        parameter = endpoint.param(name)
        if parameter is None:
            raise unknown_parameter(endpoint, name)
        text = _READERS[parameter.kind](parameter, value)
        if text != parameter.default:
            sent[name] = text
    return sent


def make_listing(endpoint: Endpoint, sent: Mapping[str, str]) -> Listing:
    """Return the listing of parameters that `read_params` has checked.

    Raises:
        InvalidRequestError: A required parameter is missing, or `price_start` is above `price_end`.
    """
    if endpoint.required and not any(name in sent for name in endpoint.required):
        raise InvalidRequestError(f"{endpoint.name} needs {' or '.join(endpoint.required)}")
    for name in endpoint.needed:
        if name not in sent:
            raise InvalidRequestError(f"{endpoint.name} needs {name}")
    low, high = sent.get("price_start"), sent.get("price_end")
    if low is not None and high is not None and Decimal(low) > Decimal(high):
        raise InvalidRequestError(f"price_start {low} is above price_end {high}")
    return Listing(endpoint.name, tuple(sorted(sent.items())))


def category_items(
    cat_id: int | str,
    *,
    super_factory: bool | None = None,
    support_dropshipping: bool | None = None,
    free_shipping: bool | None = None,
) -> Listing:
    """Describe the listing of one category's products (`GET /1688/category/items`).

    Args:
        cat_id: Category ID, a positive 64-bit integer, or its decimal digits.
        super_factory: True for items of super factories only, False for the others. None leaves
            the filter out.
        support_dropshipping: The same for items that can be drop-shipped.
        free_shipping: The same for items with free shipping.

    Returns:
        The listing; nothing is sent.

    Raises:
        InvalidRequestError: The ID is not a positive 64-bit integer, or a filter is not a bool.
    """
    params = {
        "cat_id": parse_id(cat_id),
        "super_factory": super_factory,
        "support_dropshipping": support_dropshipping,
        "free_shipping": free_shipping,
    }
    return describe(CATEGORY_ITEMS, params)


def parse_id(value: object, what: str = "category") -> int:
    """Read an ID.

    Args:
        value: An int, or a string of ASCII digits (surrounding white space is allowed).
        what: Kind of ID, for the message.

    Returns:
        The ID as an int from 1 to 2**63 - 1.

    Raises:
        InvalidRequestError: The value is anything else.
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else _digits(value)
    if number is None or not 1 <= number <= MAX_ID:
        article = "an" if what[0] in "aeiou" else "a"
        raise InvalidRequestError(
            f"{show_value(value)} is not {article} {what} ID: "
            "it must be a positive 64-bit integer such as 1031910"
        )
    return number


def _digits(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    # 19 digits hold every 64-bit ID; int() of a longer text could be made slow on purpose.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None  # noqa: PLR2004


def _id(parameter: Parameter, value: object) -> str:
    return str(parse_id(value, parameter.name.removesuffix("_id").replace("cat", "category")))


def _whole(parameter: Parameter, value: object) -> str:
    number = value if isinstance(value, int) and not isinstance(value, bool) else _digits(value)
    maximum = parameter.maximum or _LARGEST_NUMBER
    if number is None or not 1 <= number <= maximum:
        raise InvalidRequestError(
            f"{parameter.name} must be a whole number from 1 to {maximum}, not {show_value(value)}"
        )
    return str(number)


def _text(parameter: Parameter, value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if parameter.choices and text not in parameter.choices:
        similar = difflib.get_close_matches(text, parameter.choices, 1)
        hint = f"; did you mean {similar[0]!r}?" if similar else ""
        raise InvalidRequestError(
            f"{parameter.name} must be one of {', '.join(parameter.choices)}, "
            f"not {show_value(value)}{hint}"
        )
    if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise InvalidRequestError(
            f"{parameter.name} must be text of 1 to {_LONGEST_TEXT} printable characters, "
            f"not {show_value(value)}"
        )
    return text


def _flag(parameter: Parameter, value: object) -> str:
    if not isinstance(value, bool):
        raise InvalidRequestError(
            f"{parameter.name} must be True, False or None, not {show_value(value)}"
        )
    return "true" if value else "false"


def _price(parameter: Parameter, value: object) -> str:
    return _amount(parameter, value, "a price in yuan such as 9.90")


def _weight(parameter: Parameter, value: object) -> str:
    return _amount(parameter, value, "a weight in kg such as 0.5")


def _amount(parameter: Parameter, value: object, expected: str) -> str:
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    number = value if isinstance(value, Decimal) else money(value) if is_plain else None  # type: ignore[arg-type]
    if number is None or not number.is_finite() or not 0 <= number < _LARGEST_NUMBER:
        raise InvalidRequestError(f"{parameter.name} must be {expected}, not {show_value(value)}")
    # One text for each price: 9.9, 9.90 and 9.900 are the same query.
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _member(parameter: Parameter, value: object) -> str:
    text = _text(parameter, value)
    if "://" in text or any(char.isspace() for char in text):
        raise InvalidRequestError(
            f"{parameter.name} must be the member ID of a shop such as b2b-2209657723055e41d3, not "
            f"{show_value(value)}; the address of a shop belongs to {SHOP_ITEMS_V2.name}"
        )
    return text


def _address(parameter: Parameter, value: object) -> str:
    text = _text(parameter, value)
    host = text.partition("//")[2] or text
    host = host.split("/")[0]
    is_named = "://" in text or "." in host
    if any(char.isspace() for char in text) or not host or not is_named:
        raise InvalidRequestError(
            f"{parameter.name} must be the address of a shop such as "
            f"https://shop5o52040l89801.1688.com, not {show_value(value)}; a member ID belongs to "
            f"{SHOP_ITEMS.name}"
        )
    return text


# One reader for each kind of parameter.
_READERS = {
    "id": _id,
    "whole": _whole,
    "text": _text,
    "flag": _flag,
    "price": _price,
    "weight": _weight,
    "member": _member,
    "address": _address,
}


_OTHER_NAMES = {
    "super_factory": "is_super_factory",
    "is_super_factory": "super_factory",
    "shop_url": "member_id",
    "member_id": "shop_url",
    "cat": "shop_cat_id",
    "shop_cat_id": "cat",
    "sort": "sort_type",
    "sort_type": "sort",
}


def unknown_parameter(endpoint: Endpoint, name: str) -> InvalidRequestError:
    """Return the error for a parameter that an endpoint would silently ignore."""
    names = [parameter.name for parameter in endpoint.params]
    similar = [_OTHER_NAMES[name]] if _OTHER_NAMES.get(name) in names else []
    similar = similar or difflib.get_close_matches(name, names, 1)
    if similar:
        return InvalidRequestError(
            f"{endpoint.name} has no parameter {name}: it is called {similar[0]} there"
        )
    others = [other.name for other in ENDPOINTS.values() if other.param(name)]
    have = "has" if len(others) == 1 else "have"
    hint = f"; {', '.join(others)} {have} it" if others else ""
    return InvalidRequestError(
        f"{endpoint.name} has no parameter {name}{hint}. Its parameters: {', '.join(names)}"
    )
