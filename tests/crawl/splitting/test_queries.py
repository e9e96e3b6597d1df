"""Parts as listings: the band, the filters and the order that a query has."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.shop import ROOT
from tmapi_async.api.endpoints import CATEGORY_ITEMS_V2
from tmapi_async.api.listings import Listing, describe
from tmapi_async.crawl.splitting.price_bands import Band
from tmapi_async.crawl.splitting.queries import (
    DOWN,
    UP,
    QueryBuilder,
    opposite_order,
    reversed_listing,
)

FIVE, SIX = Decimal("5.00"), Decimal("6.50")


def listing(**params: object) -> Listing:
    """Return a listing of the category of `ROOT`."""
    return describe(CATEGORY_ITEMS_V2, {"cat_id": 1031910, **params})


def test_a_part_has_the_band_the_flags_and_the_order() -> None:
    """Bounds are written as listings write prices, and flags as true and false."""
    part = QueryBuilder(ROOT).listing(Band(FIVE, SIX), (("free_shipping", False),), UP)
    assert part == listing(price_start=5, price_end="6.5", free_shipping=False, sort=UP)


def test_a_part_keeps_the_filters_of_its_listing_and_replaces_its_order() -> None:
    """The listing's own sort order cannot be kept: parts need an order of prices."""
    builder = QueryBuilder(listing(new_arrival=True, sort="sales"))
    assert builder.listing(Band(), (), DOWN) == listing(new_arrival=True, sort=DOWN)


def test_the_bounds_of_the_listing_are_owned_and_kept_as_written() -> None:
    """Rows at the outer bounds are the API's answer to the caller, so the band owns them."""
    params = (("cat_id", "1031910"), ("price_end", "6.50"), ("price_start", "5.00"))
    builder = QueryBuilder(Listing(ROOT.endpoint, params))
    assert builder.band == Band(FIVE, SIX, owns_low=True, owns_high=True)
    assert builder.listing(builder.band, (), None).params == params


@pytest.mark.parametrize(("order", "other"), [(UP, DOWN), (DOWN, UP), (None, UP), ("sales", UP)])
def test_the_reversed_listing_has_the_opposite_order(order: str | None, other: str) -> None:
    """An order that is not by price is followed by the rising one."""
    assert opposite_order(order) == other
    assert reversed_listing(listing(sort=order)) == listing(sort=other)
