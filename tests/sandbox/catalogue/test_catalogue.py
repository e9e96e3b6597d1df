from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmapi_async.sandbox import ALL, DOCUMENTED_CATEGORY, Catalogue, Config, Filters, Listing
from tmapi_async.sandbox.catalogue.catalogue import MAX_CATEGORY_ITEMS
from tmapi_async.sandbox.responses.pages import PageBuilder

seeds = st.integers(0, 2**63)
some_sizes = st.dictionaries(st.integers(1, 2**40), st.integers(0, 130), min_size=1, max_size=6)
some_filters = st.builds(Filters, *[st.sampled_from([None, True, False])] * 3)


def listing(cat_id, **params):
    """Return a v1 listing of a category with filters."""
    pairs = {"cat_id": str(cat_id), **params}
    return Listing("/1688/category/items", tuple(sorted(pairs.items())))


def pages_of(catalogue, **options):
    """Return the page builder for a catalogue and options of a sandbox."""
    return PageBuilder(Config(seed=catalogue.seed, **options), catalogue)


def test_sandbox_documented_rows_come_first():
    """Category 1031910 begins with the API document's two rows, field for field."""
    catalogue = Catalogue(7)
    first, second = catalogue.item(DOCUMENTED_CATEGORY, 0), catalogue.item(DOCUMENTED_CATEGORY, 1)
    assert (first["item_id"], second["item_id"]) == (884674536008, 769734131977)
    assert first == {
        "item_id": 884674536008,
        "product_url": "https://detail.1688.com/offer/884674536008.html",
        "title": "2025夏季新款温柔碎花法式连衣裙女高级感广州十三行蓬蓬裙子女装",
        "img": "https://cbu01.alicdn.com/img/ibank/O1CN01n7ZpIr1zyfRRHlyvV_!!2215924096783-0-cib.jpg",
        "price": "",
        "price_info": {"sale_price": "4.59", "show_price": "4.59", "origin_price": "5.40"},
        "quantity_begin": 200,
        "sales_count": "180100",
        "sale_info": {"sale_quantity_int": 180100, "buyer_count": 89750},
        "shop_info": {
            "login_id": "衣耘服装厂",
            "shop_url": "https://yiyunfuzhuang888.1688.com",
            "company_name": "广州衣耘服装厂",
            "is_super_factory": False,
            "shop_repurchase_rate": "38.46",
        },
    }
    assert second["price_info"]["origin_price"] == "44.00"


@given(seeds)
@settings(max_examples=25)
def test_sandbox_catalogue_follows_from_its_seed(seed):
    """Two catalogues of one seed are the same; another seed gives another one."""
    one, same, other = Catalogue(seed, 12), Catalogue(seed, 12), Catalogue(seed + 1, 12)
    sizes = {cat_id: one.size(cat_id) for cat_id in one}
    assert sizes == {cat_id: same.size(cat_id) for cat_id in same}
    assert [one.item(cat_id, 0) for cat_id, size in sizes.items() if size] == [
        same.item(cat_id, 0) for cat_id, size in sizes.items() if size
    ]
    assert set(one) != set(other)


@given(seeds, some_sizes)
@settings(max_examples=40)
def test_sandbox_item_ids_are_unique_and_can_be_found_again(seed, sizes):
    """Each position has a unique ID of 12 digits, and `locate` returns the position."""
    catalogue = Catalogue(seed, sizes)
    places = {
        catalogue.item_id(cat_id, index): (cat_id, index)
        for cat_id, size in sizes.items()
        for index in range(size)
    }
    assert len(places) == sum(sizes.values()) == catalogue.total_items
    assert all(len(str(item_id)) == 12 for item_id in places)
    assert all(catalogue.locate(item_id) == position for item_id, position in places.items())


@given(seeds, st.integers(0, 10**12))
@settings(max_examples=60)
def test_sandbox_unknown_ids_are_not_found(seed, item_id):
    """`locate` returns None for an ID that is not in the catalogue."""
    catalogue = Catalogue(seed, {5: 30, 6: 0})
    ids = set(catalogue.item_ids(5))
    position = catalogue.locate(item_id)
    assert (position is None) == (item_id not in ids)


@given(seeds, st.integers(0, 130), st.integers(1, 25), some_filters)
@settings(max_examples=60)
def test_sandbox_pages_hold_each_item_once_and_say_when_they_end(seed, size, page_size, filters):
    """Pages of a listing, filtered or not, show its items in order, once, with an exact end."""
    catalogue = Catalogue(seed, {9: size}, page_size=page_size)
    sent = {k: str(v).lower() for k, v in filters._asdict().items() if v is not None}
    builder = pages_of(catalogue)
    last = catalogue.pages(9, filters)
    contents = [builder.contents(listing(9, **sent), page) for page in range(1, last + 1)]
    ids = [catalogue.item_id(9, index) for page in contents for index in page.indices]
    assert ids == catalogue.item_ids(9, filters)
    assert [page.has_next for page in contents] == [True] * (last - 1) + [False]
    assert all(len(page.indices) == page_size for page in contents[:-1])
    assert builder.contents(listing(9, **sent), last + 1) == ([], False)


@given(seeds, some_filters, st.booleans())
@settings(max_examples=30)
def test_sandbox_filters_select_rows_by_their_own_facts(seed, filters, false_excludes):
    """A filter shows exactly the rows that pass it, and more filters never show more."""
    catalogue = Catalogue(seed, {3: 120}, false_excludes=false_excludes)
    indices = catalogue.indices(3, 0, MAX_CATEGORY_ITEMS, filters)
    assert indices == [i for i in range(120) if catalogue.passes(3, i, filters)]
    assert catalogue.size(3, filters) == len(indices)
    wider = filters._replace(free_shipping=None)
    assert set(indices) <= set(catalogue.indices(3, 0, MAX_CATEGORY_ITEMS, wider))
    if filters.super_factory:
        assert all(catalogue.item(3, i)["shop_info"]["is_super_factory"] for i in indices)


def test_sandbox_false_filters_nothing_unless_told():
    """`false` shows everything by default, and the rows without the property if so configured."""
    plain, strict = Catalogue(1, {3: 200}), Catalogue(1, {3: 200}, false_excludes=True)
    off, on = Filters(free_shipping=False), Filters(free_shipping=True)
    assert plain.item_ids(3, off) == plain.item_ids(3)
    assert 0 < strict.size(3, off) < 200
    assert strict.size(3, off) + strict.size(3, on) == 200


@given(seeds, st.integers(0, 130), st.integers(2, 25))
@settings(max_examples=50)
def test_sandbox_short_pages_lose_and_repeat_nothing(seed, size, page_size):
    """Short pages move rows to the next page; the listing as a whole stays the same."""
    catalogue = Catalogue(seed, {9: size}, page_size=page_size)
    builder = pages_of(catalogue, short_pages=0.5)
    contents = [builder.contents(listing(9), page) for page in range(1, catalogue.pages(9) + 1)]
    assert list(itertools.chain(*(page.indices for page in contents))) == list(range(size))
    assert all(page.indices for page in contents[:-1])


@given(seeds, st.integers(41, 130))
@settings(max_examples=30)
def test_sandbox_repeated_rows_come_in_addition(seed, size):
    """With `repeats`, a page shows some rows of the previous page and all of its own."""
    catalogue = Catalogue(seed, {9: size})
    plain, repeating = pages_of(catalogue), pages_of(catalogue, repeats=1.0)
    for page in range(2, catalogue.pages(9) + 1):
        regular = plain.contents(listing(9), page).indices
        before = plain.contents(listing(9), page - 1).indices
        indices = repeating.contents(listing(9), page).indices
        extra = len(indices) - len(regular)
        assert 1 <= extra <= 3
        assert indices == before[:extra] + regular


@pytest.mark.parametrize("size", [0, 1, 19, 20, 45])
@pytest.mark.parametrize("kind", ["same", "no-new", "empty"])
def test_sandbox_endless_listings_bring_nothing_new(kind, size):
    """An endless listing always promises another page and never shows a new item."""
    catalogue = Catalogue(1, {9: size})
    builder = pages_of(catalogue, endless={9: kind})
    last = catalogue.pages(9)
    contents = {page: builder.contents(listing(9), page) for page in range(1, last + 6)}
    assert all(page.has_next for page in contents.values())
    beyond = [contents[page].indices for page in range(last + 1, last + 6)]
    if kind == "same":
        assert beyond == [contents[last].indices] * 5
    elif kind == "empty" or size == 0:
        assert beyond == [[]] * 5
    else:
        assert all(rows and set(rows) <= set(range(size)) for rows in beyond)


def test_sandbox_sizes_are_skewed_and_have_edges():
    """A made catalogue has one giant, empty categories, and sizes exactly at a page's edges."""
    catalogue = Catalogue(3, 200, mean=100.0)
    sizes = [catalogue.size(cat_id) for cat_id in catalogue]
    assert {0, 1, 19, 20, 21, 40, 41, 100} <= set(sizes)
    assert max(sizes) > 10 * 100
    assert abs(sum(sizes) / 200 - 100) < 15
    assert catalogue.total_pages == sum(max(1, -(-size // 20)) for size in sizes)


def test_sandbox_sizes_may_be_equal():
    """Without skew, all categories but those at a page's edges have the mean size."""
    catalogue = Catalogue(3, 50, mean=70.0, skew=0.0)
    sizes = [catalogue.size(cat_id) for cat_id in catalogue]
    assert sizes.count(70) == 40
    assert repr(catalogue) == "<Catalogue seed=3 categories=50>"


def test_sandbox_catalogue_stores_no_items():
    """The last row of a million is computed without the other rows."""
    catalogue = Catalogue(1, {5: MAX_CATEGORY_ITEMS})
    assert catalogue.item(5, MAX_CATEGORY_ITEMS - 1)["item_id"] == catalogue.item_id(
        5, MAX_CATEGORY_ITEMS - 1
    )
    assert catalogue.indices(5, MAX_CATEGORY_ITEMS - 2, MAX_CATEGORY_ITEMS + 5) == [
        MAX_CATEGORY_ITEMS - 2,
        MAX_CATEGORY_ITEMS - 1,
    ]


def test_sandbox_unknown_category_is_empty():
    """An unknown category has no items and needs one page request."""
    catalogue = Catalogue(1, {5: 3})
    assert 6 not in catalogue
    assert (catalogue.size(6), catalogue.pages(6), catalogue.item_ids(6)) == (0, 1, [])
    assert catalogue.size(6, Filters(free_shipping=True)) == 0
    with pytest.raises(IndexError, match="category 6 has no item 0"):
        catalogue.item_id(6, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"categories": 0}, "categories must be"),
        ({"categories": {}}, "must have 1 to"),
        ({"categories": {0: 5}}, "an ID must be positive"),
        ({"categories": {5: -1}}, "a size 0 to"),
        ({"categories": {5: MAX_CATEGORY_ITEMS + 1}}, "a size 0 to"),
        ({"page_size": 0}, "page_size must be at least 1"),
        ({"mean": -1.0}, "must be 0 or more"),
    ],
)
def test_sandbox_catalogue_refuses_bad_numbers(arguments, message):
    """A number out of range is refused with the range."""
    with pytest.raises(ValueError, match=message):
        Catalogue(1, **arguments)


def test_sandbox_rows_read_as_documented_types():
    """Every generated row has the documented fields with the documented types."""
    catalogue = Catalogue(4, {8: 300})
    titles = set()
    for index in range(300):
        row = catalogue.item(8, index)
        assert set(row) == set(Catalogue(1).item(DOCUMENTED_CATEGORY, 0))
        assert row["price"] == ""
        assert float(row["price_info"]["origin_price"]) >= float(row["price_info"]["sale_price"])
        assert int(row["sales_count"]) == row["sale_info"]["sale_quantity_int"]
        assert row["sale_info"]["buyer_count"] <= row["sale_info"]["sale_quantity_int"]
        assert any("\u4e00" <= letter <= "\u9fff" for letter in row["title"])
        titles.add(row["title"])
    assert len(titles) > 250
    assert catalogue.size(8, ALL) == 300
