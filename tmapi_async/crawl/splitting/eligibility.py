"""Check which listings can be divided, and replace those that only another endpoint can divide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tmapi_async.api.endpoints import CATEGORY_ITEMS, CATEGORY_ITEMS_V2
from tmapi_async.api.listings import Listing, endpoint_of
from tmapi_async.errors import InvalidRequestError

_NAMES_IN_V2 = {"super_factory": "is_super_factory"}


def splittable_listing(listing: Listing) -> Listing:
    """Return the listing to divide in place of a requested one, usually the same.

    `category/items` has neither price filters nor a total. The same category is requested from
    `category/items/v2`, with the names that its filters have there.

    Raises:
        InvalidRequestError: The listing cannot be divided, or does not need to be.
    """
    endpoint = endpoint_of(listing)
    if endpoint is CATEGORY_ITEMS:
        params = {_NAMES_IN_V2.get(name, name): value for name, value in listing.params}
        return Listing(CATEGORY_ITEMS_V2.name, tuple(sorted(params.items())))
    if not endpoint.ceiling:
        raise InvalidRequestError(
            f"{endpoint.name} has no ceiling: it returns all its rows without split"
        )
    if endpoint.paging == "has_next_page" or endpoint.param("price_start") is None:
        raise InvalidRequestError(
            f"{endpoint.name} sends no total, so split cannot know which parts fit under the "
            "ceiling: use category/items/v2 or search/items"
        )
    return listing


def can_split(endpoint: str) -> bool:
    """Return True if listings of an endpoint can be divided."""
    try:
        splittable_listing(Listing(endpoint, ()))
    except InvalidRequestError:
        return False
    return True


class SplittableListings:
    """The listings to divide in place of the requested ones, computed anew for each iteration.

    Args:
        listings: Requested listings.
    """

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = listings

    def __iter__(self) -> Iterator[Listing]:
        return map(splittable_listing, self._listings)
