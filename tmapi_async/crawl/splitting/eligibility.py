"""Which listings can be divided, and what is asked in place of those that cannot. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tmapi_async.api.endpoints import CATEGORY_ITEMS, CATEGORY_ITEMS_V2
from tmapi_async.api.listings import Listing, endpoint_of
from tmapi_async.errors import InvalidRequestError

_CALLED_IN_V2 = {"super_factory": "is_super_factory"}


def divisible(listing: Listing) -> Listing:
    """The listing to divide for one that is asked for.

    `category/items` has neither prices to filter by nor a total: the same category is asked of
    `category/items/v2`, with its filters by the names they have there.

    Raises:
        InvalidRequestError: It cannot be divided, or need not be.
    """
    endpoint = endpoint_of(listing)
    if endpoint is CATEGORY_ITEMS:
        params = {_CALLED_IN_V2.get(name, name): value for name, value in listing.params}
        return Listing(CATEGORY_ITEMS_V2.name, tuple(sorted(params.items())))
    if not endpoint.ceiling:
        raise InvalidRequestError(
            f"{endpoint.name} has no ceiling to go past: it shows all its rows without split"
        )
    if endpoint.paging == "has_next_page" or endpoint.param("price_start") is None:
        raise InvalidRequestError(
            f"{endpoint.name} tells no total, so that nothing shows which part of it would fit: "
            "ask category/items/v2 or search/items"
        )
    return listing


class Divisible:
    """The listings to divide for those that are asked for, made anew each time.

    Args:
        listings: What is asked for.
    """

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = listings

    def __iter__(self) -> Iterator[Listing]:
        return map(divisible, self._listings)
