"""What can be asked for: endpoints as data, listings and page requests."""

from __future__ import annotations

import functools

import msgspec

from .errors import InvalidRequestError

MAX_ID = 2**63 - 1
"""Largest ID accepted: IDs are positive signed 64-bit integers."""


class Endpoint(msgspec.Struct, frozen=True):
    """One paged endpoint of the API, described as data.

    Attributes:
        name: Short name, used in identities and messages (`"category/items"`).
        path: Path below the base URL, with the leading slash.
        flags: Names of the optional boolean filters, sent as lower-case `true` or `false`.
    """

    name: str
    path: str
    flags: tuple[str, ...]


CATEGORY_ITEMS = Endpoint(
    name="category/items",
    path="/1688/category/items",
    flags=("super_factory", "support_dropshipping", "free_shipping"),
)
"""Products of a category, version 1 (API document: `GET /1688/category/items`)."""

ENDPOINTS = {endpoint.name: endpoint for endpoint in (CATEGORY_ITEMS,)}
"""Every endpoint this client knows, by name."""


class Listing(msgspec.Struct, frozen=True, cache_hash=True):
    """One paged query: an endpoint with its canonical parameters.

    Two listings are equal when they ask the same thing; neither the token nor the host is part of
    a listing. Build one with [`category_items`][tmapi_async.listings.category_items].

    Attributes:
        endpoint: Name of the endpoint, a key of `ENDPOINTS`.
        params: Query parameters as sent, without page and token, sorted by name.
    """

    endpoint: str
    params: tuple[tuple[str, str], ...]

    @property
    def query(self) -> str:
        """The parameters as a query string, ready for a URL (`"cat_id=1031910"`)."""
        return _query(self)

    @property
    def identity(self) -> str:
        """Readable identity, safe to log: `"category/items?cat_id=1031910"`."""
        return f"{self.endpoint}?{self.query}"

    @property
    def cat_id(self) -> int | None:
        """The category ID, or None for an endpoint without one."""
        for name, value in self.params:
            if name == "cat_id":
                return int(value)
        return None

    def __str__(self) -> str:
        return self.identity


@functools.lru_cache(maxsize=1024)  # asked for with every page
def _query(listing: Listing) -> str:
    # Values are decimal integers and true/false: nothing in them needs percent-encoding.
    return "&".join(f"{name}={value}" for name, value in listing.params)


class PageRequest(msgspec.Struct, frozen=True):
    """A listing and the 1-based number of the page asked of it."""

    listing: Listing
    number: int

    def __str__(self) -> str:
        return f"{self.listing.identity} page {self.number}"


def category_items(
    cat_id: int | str,
    *,
    super_factory: bool | None = None,
    support_dropshipping: bool | None = None,
    free_shipping: bool | None = None,
) -> Listing:
    """Describe the listing of one category's products.

    Args:
        cat_id: Category ID, a positive 64-bit integer, or its decimal digits.
        super_factory: Only (or, False, without) super factories; None leaves the filter out.
        support_dropshipping: Only items that can be drop-shipped; None leaves the filter out.
        free_shipping: Only items shipped free; None leaves the filter out.

    Returns:
        The listing; nothing is sent.

    Raises:
        InvalidRequestError: The ID is not a positive 64-bit integer, or a filter is not a bool.
    """
    params = [("cat_id", str(parse_id(cat_id)))]
    filters = {
        "super_factory": super_factory,
        "support_dropshipping": support_dropshipping,
        "free_shipping": free_shipping,
    }
    for name, value in filters.items():
        if value is not None:
            params.append((name, _flag(name, value)))
    return Listing(CATEGORY_ITEMS.name, tuple(sorted(params)))


def parse_id(value: object) -> int:
    """Read a category ID.

    Args:
        value: An int, or a string of ASCII digits (surrounding white space is allowed).

    Returns:
        The ID as an int from 1 to 2**63 - 1.

    Raises:
        InvalidRequestError: It is anything else.
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else _digits(value)
    if number is None or not 1 <= number <= MAX_ID:
        raise InvalidRequestError(
            f"{_shown(value)} is not a category ID: it must be a positive 64-bit integer such as "
            "1031910"
        )
    return number


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - it is somebody else's; an int can be too long to print
        return f"this {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."  # noqa: PLR2004 - fits a line


def _digits(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    # 19 digits hold every 64-bit ID; int() of a longer text could be made slow on purpose.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None  # noqa: PLR2004


def _flag(name: str, value: object) -> str:
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{name} must be True, False or None, not {_shown(value)}")
    return "true" if value else "false"
