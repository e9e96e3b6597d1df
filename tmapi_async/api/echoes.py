"""Hold a reply to its request: compare what the reply echoes with what was requested. No I/O.

A proxy or a connection may mix replies up. The reply to another request would be stored as the
requested page: the requested rows would be lost, and others filed under the wrong listing.

Which parameters are echoed depends on the endpoint, and is not documented as a promise. Numbers
(page, category, product) have one spelling: they are compared in every reply. The API may write
texts and prices otherwise than the client: they are compared once the endpoint has echoed that
parameter faithfully. An empty echo says nothing.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import msgspec

from .decoding import Data
from .endpoints import CATEGORY_INFO, ITEM_ENDPOINTS, SHOP_ITEMS_V2, Kind
from .listings import Listing, PageRequest, endpoint_of
from .values import money

_ECHOED = (
    "cat_id", "keyword", "sort", "shop_cat_id", "price_start", "price_end",
    "item_id", "sort_type",
)  # fmt: skip
_OTHER_NAMES = {(SHOP_ITEMS_V2.name, "cat_id"): "cat"}
_IDS = {
    **{
        endpoint.name: ("item_id", "product")
        for endpoint in ITEM_ENDPOINTS.values()
        if not endpoint.paged
    },
    CATEGORY_INFO.name: ("id", "category"),
}


class _Expectation(msgspec.Struct, frozen=True, gc=False):
    """Value that a field of a reply must have, if it has one.

    Attributes:
        field: Name of the field.
        kind: Type of the parameter.
        value: Value in the form of `_comparable`.
        shown: Value as sent.
        is_default: True if the parameter was not sent, because the server assumes the value.
    """

    field: str
    kind: Kind
    value: Any
    shown: str
    is_default: bool


class EchoChecks:
    """Compares replies with requests, and learns which endpoints echo which texts faithfully."""

    def __init__(self) -> None:
        self._faithful: set[tuple[str, str]] = set()

    def problem(
        self, request: PageRequest, data: Data[Any], echoed_page: int | None, *, has_next: bool
    ) -> str | None:
        """Return the difference between a reply and its request, or None.

        Args:
            request: Requested listing and page number.
            data: Data of the reply.
            echoed_page: Page number that the reply states, or None.
            has_next: True if another page follows the reply.
        """
        listing = request.listing
        ids = _IDS.get(listing.endpoint)
        if ids is not None:
            return _problem_with_id(listing, data.items, *ids)
        # The last page in place of a page past the end is no mix-up.
        if (
            echoed_page
            and echoed_page != request.number
            and (has_next or echoed_page > request.number)
        ):
            return f"page {echoed_page} came in its place"
        for expectation in _expectations(listing):
            echo = getattr(data, expectation.field)
            if not echo or (expectation.kind == "id" and echo == expectation.value):
                continue
            if problem := self._problem_with(listing.endpoint, expectation, echo):
                return problem
        return None

    def _problem_with(self, endpoint: str, expectation: _Expectation, echo: Any) -> str | None:
        value = _comparable(expectation.kind, echo)
        if not value:
            return None
        key = (endpoint, expectation.field)
        if value == expectation.value:
            # An endpoint that always says "default" does not echo the sort order.
            if not expectation.is_default:
                self._faithful.add(key)
            return None
        if expectation.kind != "id" and key not in self._faithful:
            return None
        return f"{expectation.field} is {str(echo)[:50]!r} there, not {expectation.shown!r}"


def _problem_with_id(listing: Listing, items: list[Any], field: str, noun: str) -> str | None:
    """Compare the ID of a reply without pages. A first level of categories has no ID."""
    name = "item_id" if field == "item_id" else "cat_id"
    requested = next((int(value) for key, value in listing.params if key == name), None)
    if requested is None or len(items) != 1:
        return None
    replied = getattr(items[0], field)
    return f"the reply is about {noun} {replied}" if replied not in (0, requested) else None


@functools.lru_cache(maxsize=1024)  # called with every page
def _expectations(listing: Listing) -> tuple[_Expectation, ...]:
    endpoint, sent = endpoint_of(listing), dict(listing.params)
    expectations = []
    for field in _ECHOED:
        parameter = endpoint.param(_OTHER_NAMES.get((endpoint.name, field), field))
        if parameter is None:
            continue
        shown = sent.get(parameter.name, parameter.default)
        if shown is not None:
            value = _comparable(parameter.kind, shown)
            is_default = parameter.name not in sent
            expectations.append(_Expectation(field, parameter.kind, value, shown, is_default))
    return tuple(expectations)


def _id(text: str) -> int | None:
    text = text.strip()
    # 19 digits hold every 64-bit ID; int() of a longer text could be made slow on purpose.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None  # noqa: PLR2004


def _comparable(kind: Kind, value: Any) -> Any:
    """Return a value in a form that does not depend on its spelling; None if it cannot be read."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if kind == "id":
        return _id(str(value))
    if kind == "price":
        return money(value)
    return " ".join(unicodedata.normalize("NFKC", str(value)[:500]).casefold().split())
