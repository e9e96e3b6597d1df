"""The expected cost of listings, from what is known of their sizes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import CATEGORY_ITEMS_V2, ITEM_DETAIL, SHOP_ITEMS, category_items, describe
from tmapi_async.harvest.estimates.estimate import (
    Amount,
    Estimate,
    EstimateOptions,
    estimate_sizes,
)
from tmapi_async.journal.records import Totals, Visit
from tmapi_async.journal.summaries.sizes import ListingSize

V2 = describe(CATEGORY_ITEMS_V2, {"cat_id": 7})


def size(listing=V2, *, stored: int = 0, **known) -> ListingSize:
    """Return the size of a listing of which some pages are stored."""
    totals = Totals(stored, 20 * stored, 20 * stored, 0, stored)
    return ListingSize(Visit(1, 1, listing, begun=stored > 0, totals=totals), **known)


def estimate(*sizes: ListingSize, ended=None, **options) -> Estimate:
    """Return the estimate of some listings."""
    return estimate_sizes(sizes, lambda _: ended or {}, EstimateOptions(**options))


def test_the_earlier_run_goes_before_the_total() -> None:
    """A listing that was read to its end has so many pages, whatever a total says."""
    entry = estimate(size(earlier_pages=9, total=100, page_size=20)).by_listing[0]
    assert (entry.pages.likely, entry.source) == (9, "earlier run")


def test_a_total_counts_up_to_the_ceiling() -> None:
    """Rows past the ceiling are never shown, so nobody pays for them."""
    assert estimate(size(stored=1, total=101, page_size=20)).pages.likely == 5
    assert estimate(size(stored=1, total=7000, page_size=20)).pages.likely == 99
    shop = describe(SHOP_ITEMS, {"member_id": "b2b-1"})
    assert estimate(size(shop, stored=1, total=7000, page_size=20)).pages.likely == 349


def test_pages_that_are_stored_cost_nothing() -> None:
    """A listing that is not finished costs one page at least, and looks at stored pages."""
    rest = estimate(size(stored=4, earlier_pages=9, looks=1))
    assert (rest.pages.likely, rest.requests.likely) == (5, 6)
    assert estimate(size(stored=9, earlier_pages=9)).pages.likely == 1


def test_a_limit_of_pages_bounds_every_listing() -> None:
    """`--max-pages` bounds known and unknown listings."""
    known = estimate(size(earlier_pages=9), max_pages=3)
    unknown = estimate(size(category_items(7)), max_pages=3)
    assert (known.pages.likely, unknown.pages) == (3, Amount(1.0, None, 3.0))


def test_a_run_that_was_cut_says_what_the_next_one_costs_at_least() -> None:
    """The same limit of pages costs the same again; a higher one costs what the total says."""
    same = estimate(size(least_pages=3, total=100, page_size=20), max_pages=3)
    assert (same.pages.likely, same.by_listing[0].source) == (3, "earlier run")
    more = estimate(size(least_pages=3, total=100, page_size=20), max_pages=4)
    assert (more.pages.likely, more.by_listing[0].source) == (4, "total")
    unknown = estimate(size(category_items(7), least_pages=3), max_pages=9)
    assert unknown.pages == Amount(3.0, None, 9.0)


def test_one_product_is_one_request() -> None:
    """An endpoint without pages has a known cost."""
    entry = estimate(size(describe(ITEM_DETAIL, {"item_id": 5})))
    assert (entry.pages.rounded(), entry.sources) == (Amount(1, 1, 1), {"one page": 1})


def test_unknown_listings_have_a_range_or_the_sizes_of_others() -> None:
    """Twenty listings that have ended tell about the others; fewer do not."""
    listings = [size(category_items(number)) for number in range(1, 11)]
    few = estimate(*listings, ended={3: 19})
    assert (few.pages, few.sources) == (Amount(10.0, None, 1000.0), {"unknown": 10})
    many = estimate(*listings, ended={3: 40})
    assert many.sources == {"other listings": 10}
    assert round(many.pages.likely or 0) == 30


def test_a_listing_to_divide_has_no_upper_bound() -> None:
    """At the ceiling the total is no number of rows; an earlier division is one."""
    cut = estimate(size(stored=1, total=2000, page_size=20), ceiling=2000)
    assert (cut.pages.low, cut.pages.high, cut.unbounded) == (99.0, None, 1)
    again = estimate(size(earlier_pages=100, divided_pages=400), ceiling=2000)
    assert again.pages.likely == 400


def test_doubt_counts_as_too_expensive() -> None:
    """A question is asked where the cost may be above the limit, not only where it is."""
    assert estimate(size(earlier_pages=9)).exceeds(8)
    assert not estimate(size(earlier_pages=9)).exceeds(9)
    assert estimate(size(category_items(7))).exceeds(99)
    assert not estimate(size(category_items(7))).exceeds(100)
    assert estimate(size(stored=1, total=2000), ceiling=2000).exceeds(10**6)


@given(
    st.lists(
        st.builds(
            size,
            st.sampled_from([V2, category_items(7)]),
            stored=st.integers(0, 120),
            earlier_pages=st.none() | st.integers(1, 200),
            total=st.none() | st.integers(0, 10_000),
            page_size=st.none() | st.integers(1, 20),
        ),
        max_size=8,
    ),
    st.dictionaries(st.integers(1, 100), st.integers(1, 50), max_size=5),
    st.none() | st.integers(1, 50),
    st.none() | st.integers(1, 2000),
)
def test_bounds_are_in_order(sizes, ended, max_pages, ceiling) -> None:
    """The least number is never above the likely one, nor that above the greatest."""
    result = estimate(*sizes, ended=ended, max_pages=max_pages, ceiling=ceiling)
    assert result.listings == len(sizes) == sum(result.sources.values())
    for amount in [result.pages, result.requests, *(entry.pages for entry in result.by_listing)]:
        numbers = [n for n in (amount.low, amount.likely, amount.high) if n is not None]
        assert numbers == sorted(numbers)
        assert amount.low >= 0
