"""Listings that can be divided, and those that cannot or need not be."""

from __future__ import annotations

import pytest

from tmapi_async.api.endpoints import (
    CATEGORY_INFO,
    CATEGORY_ITEMS,
    CATEGORY_ITEMS_V2,
    GLOBAL_SEARCH_ITEMS,
    SEARCH_ITEMS,
    SHOP_ITEMS,
)
from tmapi_async.api.listings import Listing, describe
from tmapi_async.crawl.splitting import SplittableListings, splittable_listing
from tmapi_async.errors import InvalidRequestError

V2 = describe(CATEGORY_ITEMS_V2, {"cat_id": 7})
SEARCH = describe(SEARCH_ITEMS, {"keyword": "x"})


@pytest.mark.parametrize("listing", [V2, SEARCH])
def test_a_listing_with_prices_and_a_total_is_divided_as_it_is(listing: Listing) -> None:
    """Price bands divide it, and totals show which parts fit."""
    assert splittable_listing(listing) == listing


def test_version_1_of_a_category_is_divided_as_version_2() -> None:
    """Version 1 has neither prices nor a total. Its filters get their names of version 2."""
    old = describe(CATEGORY_ITEMS, {"cat_id": 7, "super_factory": True, "free_shipping": False})
    new = {"cat_id": 7, "is_super_factory": True, "free_shipping": False}
    assert splittable_listing(old) == describe(CATEGORY_ITEMS_V2, new)


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (describe(SHOP_ITEMS, {"member_id": "x"}), "has no ceiling"),
        (describe(CATEGORY_INFO, {"cat_id": 7}), "has no ceiling"),
        (describe(GLOBAL_SEARCH_ITEMS, {"cat_id": 7}), "sends no total"),
    ],
)
def test_other_listings_are_refused_with_the_reason(listing: Listing, reason: str) -> None:
    """The message names the endpoint and says why a division is not needed or not possible."""
    with pytest.raises(InvalidRequestError, match=f"{listing.endpoint} {reason}"):
        splittable_listing(listing)


def test_listings_can_be_iterated_again() -> None:
    """Each iteration computes the listings anew, for a second run of the same harvest."""
    listings = SplittableListings([V2, SEARCH])
    assert list(listings) == list(listings) == [V2, SEARCH]
