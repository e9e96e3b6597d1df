"""Price bands are cut so that no price is lost, for any meaning of the bounds."""

from __future__ import annotations

from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tmapi_async.api.endpoints import CATEGORY_ITEMS_V2
from tmapi_async.api.listings import describe
from tmapi_async.crawl.splitting.price_bands import (
    Band,
    PriceFacts,
    Reach,
    choose_cut,
    cut,
    finest_step,
    price_text,
    tighten,
)

CENT = Decimal("0.01")
CENTS = st.integers(0, 400).map(lambda n: n * CENT)
MEANINGS = [(start, end) for start in (False, True) for end in (False, True)]


def shows(band: Band, price: Decimal, *, start: bool, end: bool) -> bool:
    """Return True if an API whose bounds have that meaning shows a price in a band."""
    low, high = band.low, band.high
    above = low is None or price > low or (start and price == low)
    return above and (high is None or price < high or (end and price == high))


def answerable(band: Band, price: Decimal) -> bool:
    """Return True if the band has to show a price."""
    return shows(band, price, start=band.owns_low, end=band.owns_high)


@pytest.mark.parametrize("meaning", MEANINGS)
@given(
    low=st.none() | CENTS,
    width=st.none() | st.integers(3, 300),
    price=st.integers(0, 9000).map(lambda n: n * Decimal("0.001")),
    data=st.data(),
)
def test_no_price_is_lost_between_two_bands(
    meaning: tuple[bool, bool],
    low: Decimal | None,
    width: int | None,
    price: Decimal,
    data: st.DataObject,
) -> None:
    """One side of a cut shows each price that the band has to show, for any meaning of bounds."""
    start, end = meaning
    high = None if width is None else (low or Decimal(0)) + width * CENT
    proven = PriceFacts(start and data.draw(st.booleans()), end and data.draw(st.booleans()))
    band = Band(
        low,
        high,
        owns_low=low is not None and proven.start and data.draw(st.booleans()),
        owns_high=high is not None and proven.end and data.draw(st.booleans()),
    )
    reach = Reach(Decimal(0), Decimal(9), CENT).within(band)
    if reach.single:
        return
    at = choose_cut(reach, (), ())
    sides = cut(band, at, proven, CENT)
    if answerable(band, price):
        assert any(answerable(side, price) for side in sides)
        assert any(shows(side, price, start=start, end=end) for side in sides)
    for side in sides:
        part = reach.within(side)
        assert part.top - part.floor < reach.top - reach.floor


@given(
    floor=CENTS,
    width=st.integers(1, 10**7),
    sample=st.lists(CENTS, max_size=20),
    first=st.lists(CENTS, max_size=3),
)
def test_a_cut_leaves_something_on_both_sides(
    floor: Decimal, width: int, sample: list[Decimal], first: list[Decimal]
) -> None:
    """The chosen price is on the grid, and neither side of the cut is empty."""
    reach = Reach(floor, floor + width * CENT, CENT)
    at = choose_cut(reach, sample, first)
    assert reach.floor <= at < reach.top
    assert at % CENT == 0


def test_a_price_that_many_rows_share_is_the_cut() -> None:
    """The most common price of a sample is the cut; without one, the median is."""
    reach = Reach(Decimal(1), Decimal(100), CENT)
    prices = [Decimal(n) for n in (2, 3, 9, 9, 9, 40, 60)]
    assert choose_cut(reach, prices, ()) == 9
    assert choose_cut(reach, [Decimal(n) for n in (2, 3, 30, 40, 60)], ()) == 30
    assert choose_cut(reach, (), ()) == 10  # the geometric mean


def test_a_first_page_of_one_price_has_it_cut_off() -> None:
    """A price that fills a first page goes to a side of its own."""
    reach = Reach(Decimal(9), Decimal(100), CENT)
    assert choose_cut(reach, (), [Decimal(9)] * 3) == 9
    assert choose_cut(reach, (), [Decimal(100)] * 3) == Decimal("99.99")


def test_only_proven_bounds_are_tighten() -> None:
    """A bound moves in by a step if it is proven inclusive and belongs to a neighbour."""
    band = Band(Decimal(5), Decimal(6))
    assert tighten(band, PriceFacts(), CENT) == band
    narrower = Band(Decimal("5.01"), Decimal("5.99"), owns_low=True, owns_high=True)
    assert tighten(band, PriceFacts(start=True, end=True), CENT) == narrower
    assert tighten(narrower, PriceFacts(start=True, end=True), CENT) == narrower


def test_a_row_at_a_bound_proves_it() -> None:
    """A bound is inclusive if a row of exactly that price was shown, in any spelling."""
    band = Band(Decimal(5), Decimal(6))
    assert band.facts_from([Decimal("5.00"), Decimal("5.10")]) == PriceFacts(start=True)
    assert band.facts_from([Decimal("5.99"), Decimal("6.0")]) == PriceFacts(end=True)


def test_the_step_follows_the_finest_price() -> None:
    """A price of half a cent makes the step a tenth of a cent; whole yuan keep it at a cent."""
    assert finest_step([Decimal(56), Decimal("298.00")]) == CENT
    assert finest_step([Decimal("0.005"), Decimal(3)]) == Decimal("0.001")


def test_prices_are_written_as_in_listings() -> None:
    """Each price has one text, for any spelling: parts are ordinary listings."""
    prices = [Decimal(9), Decimal("9.90"), Decimal("0.005"), Decimal("1E+3"), Decimal("0.00")]
    assert [price_text(price) for price in prices] == ["9", "9.9", "0.005", "1000", "0"]
    for price in prices:
        params = {"cat_id": 1031910, "price_start": price}
        assert ("price_start", price_text(price)) in describe(CATEGORY_ITEMS_V2, params).params
