"""What can be asked of the server: paths and their parameters, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .catalogue import Filters
from .stats import Listing

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_ID = 2**63 - 1


class ParameterError(Exception):
    """A parameter is missing or has a bad value: the reply is code 422 with this text."""


@dataclass(frozen=True)
class Endpoint:
    """A paged endpoint.

    Attributes:
        name: Its name in the files of a folder of recorded bodies.
        path: Its path.
        required: Parameters that must be there. `cat_id` must be a positive 64-bit integer.
        flags: Boolean parameters.
        others: Whether any other parameter belongs to the listing too, unchecked.
    """

    name: str
    path: str
    required: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    others: bool = False

    def read(self, query: Mapping[str, str]) -> tuple[Listing, int]:
        """The listing and the page number that a query asks for.

        Raises:
            ParameterError: The query is not one that the endpoint takes.
        """
        params = [(name, self._required(query, name)) for name in self.required]
        params += [(name, _flag(name, query[name])) for name in self.flags if name in query]
        if self.others:
            params += [item for item in query.items() if item[0] not in ("page", *self.required)]
        params.sort()
        return Listing(self.path, tuple(params)), _positive("page", query.get("page", "1"))

    def _required(self, query: Mapping[str, str], name: str) -> str:
        if not query.get(name):
            raise ParameterError(f"parameter error: {name} is required")
        if name == "cat_id":
            return str(_positive(name, query[name]))
        return query[name]


CATEGORY_ITEMS = Endpoint(
    name="category-items",
    path="/1688/category/items",
    required=("cat_id",),
    flags=("super_factory", "support_dropshipping", "free_shipping"),
)

GENERATED: Mapping[str, Endpoint] = {CATEGORY_ITEMS.path: CATEGORY_ITEMS}
"""Path -> endpoint, of those that the catalogue is served through."""


def filters_of(listing: Listing) -> Filters:
    """The boolean filters among a listing's parameters."""
    given = dict(listing.params)
    return Filters(*(_BOOLEANS.get(given.get(name, "")) for name in Filters._fields))


_BOOLEANS = {"true": True, "false": False}


def _flag(name: str, value: str) -> str:
    if value not in _BOOLEANS:
        raise ParameterError(f"parameter error: {name} must be true or false")
    return value


def _positive(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()) or not 0 < int(value[:20]) <= _LARGEST_ID:
        raise ParameterError(f"parameter error: {name} must be a positive integer")
    return int(value)
