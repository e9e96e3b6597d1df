from __future__ import annotations

import itertools
import math
from decimal import Decimal
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmapi_async.sandbox import DOCUMENTED_CATEGORY, Catalogue, Choice, Prices
from tmapi_async.sandbox.catalogue.ordering import Orders


def prices_of(catalogue, cat_id):
    """The price of each item of a category, in yuan."""
    return [catalogue.price(cat_id, index) for index in range(catalogue.size(cat_id))]


def test_sandbox_category_may_have_skewed_prices_with_a_point():
    """`Prices` gives 15,000 log-normal prices, of which exactly 3,000 are 9.90."""
    spec = Prices(median="15.00", sigma=1.3, at={"9.90": 3000})
    catalogue = Catalogue(1, {7: 15_000}, prices={7: spec})
    prices = prices_of(catalogue, 7)
    assert prices.count(Decimal("9.90")) == 3000
    rest = [float(price) for price in prices if price != Decimal("9.90")]
    assert median(rest) == pytest.approx(15, rel=0.01)
    logarithms = [math.log(price / 15) for price in rest]
    assert sum(x * x for x in logarithms) / len(rest) == pytest.approx(1.3**2, rel=0.05)
    one = catalogue.chosen_ids(7, Choice(price_start=Decimal("9.9"), price_end=Decimal("9.9")))
    assert len(one) == len(set(one)) == 3000


@given(st.integers(0, 2**63), st.integers(1, 120), st.floats(0, 3), st.integers(0, 40))
@settings(max_examples=60)
def test_sandbox_points_hold_exactly_what_was_asked(seed, size, sigma, count):
    """An exact price has the chosen number of items, or all items of a small category."""
    spec = Prices(median="3.00", sigma=sigma, at={"3.00": count, "5": 2})
    catalogue = Catalogue(seed, {7: size}, prices={7: spec})
    prices = prices_of(catalogue, 7)
    assert prices.count(Decimal(3)) == min(count, size)
    assert prices.count(Decimal(5)) == min(2, max(0, size - count))
    assert all(price > 0 for price in prices)
    assert prices == prices_of(Catalogue(seed, {7: size}, prices={7: spec}), 7)


def test_sandbox_documented_rows_keep_their_prices():
    """Chosen prices count from the row after the documented ones."""
    spec = Prices(at={"9.90": 10})
    catalogue = Catalogue(1, {DOCUMENTED_CATEGORY: 40}, prices={DOCUMENTED_CATEGORY: spec})
    prices = prices_of(catalogue, DOCUMENTED_CATEGORY)
    assert prices[:2] == [Decimal("4.59"), Decimal("44.00")]
    assert prices.count(Decimal("9.90")) == 10


def test_sandbox_chosen_prices_are_those_of_every_row():
    """v1's rows show the chosen price too, and never one that is above the original."""
    catalogue = Catalogue(1, {7: 50}, prices={7: Prices(median="50.00")})
    for index in range(50):
        prices = catalogue.item(7, index)["price_info"]
        assert Decimal(prices["sale_price"]) == catalogue.price(7, index)
        assert Decimal(prices["origin_price"]) >= Decimal(prices["sale_price"])


def test_sandbox_orders_use_the_facts_of_the_products():
    """The values for filtering and sorting are those of the products."""
    catalogue = Catalogue(1, {DOCUMENTED_CATEGORY: 30, 7: 30}, prices={7: Prices()})
    for cat_id in catalogue:
        facts = catalogue.facts(cat_id)
        products = [catalogue.product(cat_id, index) for index in range(30)]
        assert list(facts.prices) == [product.sale_price for product in products]
        assert list(facts.sales) == [product.sales for product in products]
        assert list(facts.quantities) == [product.quantity_begin for product in products]
        assert list(facts.item_ids) == [product.item_id for product in products]


def test_sandbox_price_bands_cover_a_category():
    """Touching bands of all prices, bounds included, show every item; each its own."""
    catalogue = Catalogue(4, {7: 500})
    cuts = [None, Decimal(1), Decimal("9.90"), Decimal(50), None]
    indices = set()
    for start, end in itertools.pairwise(cuts):
        for sort in ("default", "sales", "price_up"):
            band = catalogue.choose(7, Choice(price_start=start, price_end=end, sort=sort))
            prices = [catalogue.price(7, index) for index in band]
            assert all((start or 0) <= price <= (end or 10**9) for price in prices)
            assert len(set(band)) == len(band)
        indices |= set(band)
    assert indices == set(range(500))


@pytest.mark.slow
def test_sandbox_orders_kept_in_memory_are_bounded():
    """Cached orders contain a bounded number of rows after any number of bands."""
    orders = Orders(Catalogue(1, {7: 60_000}))
    for cents in range(120):
        orders.choose(7, Choice(price_start=Decimal(cents) / 100))
    assert orders.cached_rows <= 4_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"median": "0"}, "not a positive price"),
        ({"median": "9.905"}, "whole fen"),
        ({"median": "cheap"}, "'cheap' is not a price in yuan"),
        ({"median": "NaN"}, "'NaN' is not a positive price"),
        ({"sigma": -1.0}, "sigma must be 0 or more"),
        ({"at": {"9.9": -1}}, "0 or more"),
        ({"at": {"-9.9": 1}}, "not a positive price"),
    ],
)
def test_sandbox_prices_refuse_what_is_no_price(options, message):
    """An impossible price or a negative number of items is refused by name."""
    with pytest.raises(ValueError, match=message):
        Prices(**options)


def test_sandbox_prices_can_be_written_on_a_command_line():
    """A text with median, sigma and exact prices is parsed; a bad text is refused with the form."""
    assert Prices.parse("15.00,1.3,9.90:3000,5:2") == Prices(
        median="15.00", sigma=1.3, at={"9.90": 3000, "5": 2}
    )
    assert Prices.parse("15") == Prices(median="15")
    for text in ("", "15,wide", "15,1,9.90", "15,1,9.90:many"):
        with pytest.raises(ValueError, match="MEDIAN"):
            Prices.parse(text)


def test_sandbox_catalogue_refuses_unknown_bounds():
    """An unknown value of `price_bounds` is refused with the known values."""
    with pytest.raises(ValueError, match="price_bounds must be seed, inclusive"):
        Catalogue(1, {5: 1}, price_bounds="open")
