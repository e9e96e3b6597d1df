"""Listings from the options and arguments of a command."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import InvalidRequestError
from tmapi_async.api.endpoints import BY_SHORT_NAME, CATEGORY_ITEMS, GLOBAL_SEARCH_ITEMS
from tmapi_async.cli.options.listing_options import FILTERS, ListingOptions
from tmapi_async.cli.options.listing_sets import ListingGroup, ListingSet


def identities(**options: Any) -> list[str]:
    """Return the identities of the listings that options describe."""
    listings = ListingSet([ListingOptions(**options).group(io.BytesIO())])
    names = [listing.identity for listing in listings]
    assert len(names) == len(listings)
    return names


def test_options_are_called_what_the_endpoint_calls_them() -> None:
    """One option works for every endpoint that has such a filter, under any name."""
    cats = ["7", "8", "7"]
    assert identities(cats=cats, super_factory=True) == [
        "category/items?cat_id=7&super_factory=true",
        "category/items?cat_id=8&super_factory=true",
    ]
    assert identities(cats=["7"], endpoint="category-v2", super_factory=True, sort="sales") == [
        "category/items/v2?cat_id=7&is_super_factory=true&sort=sales"
    ]
    assert identities(shop=["b2b-1"], endpoint="shop", shop_cat="5") == [
        "shop/items?member_id=b2b-1&shop_cat_id=5"
    ]
    assert identities(shop=["https://a"], endpoint="shop-v2", shop_cat="5", cat_type="1") == [
        "shop/items/v2?cat=5&cat_type=1&shop_url=https://a"
    ]


def test_keywords_and_categories_are_combined() -> None:
    """Each keyword is searched in each category, where an endpoint takes both."""
    names = identities(endpoint="global-search", keyword=["a", "b"], cats=["7", "8"])
    assert names == [
        f"global/search/items?cat_id={cat}&keyword={word}" for cat in (7, 8) for word in "ab"
    ]
    assert identities(endpoint="global-search", cats=["7"]) == ["global/search/items?cat_id=7"]


@pytest.mark.parametrize("endpoint", BY_SHORT_NAME)
@pytest.mark.parametrize("option", FILTERS)
def test_an_option_is_sent_or_refused(endpoint: str, option: str) -> None:
    """An option becomes a parameter, or is refused with the endpoints that support it."""
    values = {
        "sort": "latest" if endpoint == "item-ratings" else "sales",
        "language": "en",
        "page_size": 10,
        "moq": 2,
        "cat_type": "0",
        "total_quantity": 5,
        "total_weight": "0.5",
    }
    value = values.get(option, True if option.endswith(("ry", "ng", "al")) else "5")
    key = BY_SHORT_NAME[endpoint].required[0]
    given: dict[str, Any] = {"cat_id": {"cats": ["7"]}, "keyword": {"keyword": ["x"]}}
    keys = {**given, "item_id": given["cat_id"]}.get(key, {"shop": ["a.b"]})
    keys = {**keys, **dict.fromkeys(BY_SHORT_NAME[endpoint].needed, "x")}
    plain = identities(endpoint=endpoint, **keys)
    try:
        filtered = identities(endpoint=endpoint, **{**keys, option: value})
    except InvalidRequestError as error:
        refused = f"{endpoint} ignores --{option.replace('_', '-')}. Use --endpoint "
        assert str(error).startswith(refused)  # noqa: PT017
        others = str(error).rpartition("--endpoint ")[2].split(", ")
        assert endpoint not in others
        assert set(others) <= set(BY_SHORT_NAME)
    else:
        assert filtered != plain


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "serch", "keyword": ["x"]}, "did you mean search"),
    ({"cats": ["7"], "endpoint": "search"}, "IDs do not work with --endpoint search: use"),
    ({"endpoint": "search"}, "needs --keyword TEXT"),
    ({"endpoint": "shop"}, "needs --shop MEMBER_ID"),
    ({"endpoint": "shop-v2"}, "needs --shop ADDRESS"),
    ({"endpoint": "global-search"}, "needs --keyword TEXT or category IDs"),
    ({"endpoint": "shop", "keyword": ["x"]}, "--endpoint search, global-search"),
    ({"endpoint": "search", "keyword": ["x"], "shop": ["y"]}, "--endpoint shop, shop-v2"),
    ({"endpoint": "search", "keyword": ["x", " "]}, "keyword must be text"),
    ({"cats": ["7", "x"]}, "'x' is not a category ID"),
    ({}, "no category IDs"),
    ({"endpoint": "item-shipping", "cats": ["7"]}, "item/shipping needs province"),
    ({"endpoint": "item-shipping", "cats": ["7"], "province": "x", "total_weight": "-1"}, "in kg"),
    ({"endpoint": "item-sales", "cats": ["7"], "province": "x"}, "Use --endpoint item-shipping"),
    ({"endpoint": "item-detail"}, "no product IDs: give them as arguments"),
    ({"endpoint": "item-detail", "cats": ["7", "x"]}, "'x' is not a product ID"),
    ({"endpoint": "item-detail", "keyword": ["x"]}, "--endpoint search, global-search"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], reason: str) -> None:
    """Options that contradict one another are refused. The message names options that fit."""
    with pytest.raises(InvalidRequestError) as caught:
        identities(**options)
    assert reason in str(caught.value)


IDS = st.lists(st.integers(1, 30), min_size=1, max_size=20)


@given(st.lists(IDS, min_size=1, max_size=4))
def test_each_listing_is_wanted_once(groups: list[list[int]]) -> None:
    """A listing given twice, in one group or in several, is kept once; repeats are counted."""
    listing_groups = [
        ListingGroup(
            CATEGORY_ITEMS, {}, {"cat_id": list(dict.fromkeys(ids))}, len(ids) - len(set(ids))
        )
        for ids in groups
    ]
    listings = ListingSet(listing_groups)
    cat_ids = [listing.cat_id for listing in listings]
    given_ids = [cat_id for ids in groups for cat_id in ids]
    assert cat_ids == list(dict.fromkeys(given_ids))
    assert len(listings) == len(cat_ids)
    assert listings.repeated == len(given_ids) - len(cat_ids)
    assert [listing.cat_id for listing in listings] == cat_ids  # as often as wanted


def test_a_group_of_nothing_is_refused() -> None:
    """The error about a group without a key names the keys."""
    with pytest.raises(InvalidRequestError, match="needs keyword or cat_id"):
        ListingGroup(GLOBAL_SEARCH_ITEMS, {}, {})
