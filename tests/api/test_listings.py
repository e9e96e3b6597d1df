from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import InvalidRequestError, Listing, PageRequest
from tmapi_async.api.listings import CATEGORY_ITEMS, ENDPOINTS, category_items, parse_id


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (1, 1),
        (1031910, 1031910),
        (2**63 - 1, 2**63 - 1),
        ("1031910", 1031910),
        (" 1031910\r\n", 1031910),
        ("0001031910", 1031910),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_a_category_id_is_a_positive_64_bit_integer(sent: int | str, read: int) -> None:
    """An ID comes as an int or as its digits, white space around it allowed."""
    assert parse_id(sent) == read


TEXTS = (
    "",
    " ",
    "0",
    "-5",
    "+5",
    "1.0",
    "1e3",
    "0x10",
    "1_000",
    "12 34",
    "abc",
    "1031910,",
    "\uff11",
)
OTHERS = (0, -1, 2**63, 1.0, True, False, None, b"5", ["5"], object(), str(2**63), "9" * 10_000)


@pytest.mark.parametrize("sent", [*TEXTS, *OTHERS, "\u0665", "\u00b2", "5\u200b", "5\x005"])
def test_anything_else_is_no_category_id(sent: object) -> None:
    """Any value but a positive 64-bit integer is refused, in one short line with the value."""
    with pytest.raises(InvalidRequestError, match="is not a category ID") as caught:
        parse_id(sent)
    assert len(str(caught.value)) < 150
    assert str(caught.value).isprintable()


def test_an_id_too_long_to_print_is_refused_like_any_other() -> None:
    """An int with more digits than Python prints is refused with `InvalidRequestError`."""
    for sent in (10**5000, -(10**5000)):
        with pytest.raises(InvalidRequestError, match="is not a category ID"):
            parse_id(sent)


class Secretive:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_what_cannot_be_shown_is_refused_too() -> None:
    """An object whose repr fails is refused with `InvalidRequestError`."""
    with pytest.raises(InvalidRequestError, match="Secretive"):
        parse_id(Secretive())


@given(st.integers(1, 2**63 - 1))
def test_every_id_goes_round(number: int) -> None:
    """The identity of a listing contains the ID, and the listing returns it."""
    listing = category_items(number)
    assert listing == category_items(str(number))
    assert listing.cat_id == number
    assert listing.identity == f"category/items?cat_id={number}"


def test_filters_are_sorted_and_lower_case() -> None:
    """Filters are sent as lower-case true and false, sorted by name; None leaves a filter out."""
    listing = category_items(5, super_factory=True, free_shipping=False)
    assert listing.query == "cat_id=5&free_shipping=false&super_factory=true"
    assert listing.identity == f"category/items?{listing.query}" == str(listing)
    assert {name for name, _ in listing.params} - {"cat_id"} <= set(CATEGORY_ITEMS.flags)
    assert category_items(5, support_dropshipping=None).query == "cat_id=5"


@pytest.mark.parametrize("name", CATEGORY_ITEMS.flags)
@pytest.mark.parametrize("value", ["true", 1, 0, "", [], 1.0])
def test_a_filter_is_a_bool(name: str, value: object) -> None:
    """A filter that is not a bool is refused; the message names the filter."""
    with pytest.raises(InvalidRequestError, match=name):
        category_items(5, **{name: value})  # type: ignore[arg-type]


FILTERS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(CATEGORY_ITEMS.flags, st.none() | st.booleans())
)


@given(st.integers(1, 99), FILTERS, st.integers(1, 99), FILTERS)
def test_listings_are_equal_when_they_ask_the_same(
    one: int, some: dict[str, bool | None], two: int, others: dict[str, bool | None]
) -> None:
    """Identity, equality and hash of listings agree."""
    left, right = category_items(one, **some), category_items(two, **others)
    listings = [
        (number, {name: value for name, value in flags.items() if value is not None})
        for number, flags in ((one, some), (two, others))
    ]
    assert (left == right) == (listings[0] == listings[1]) == (left.identity == right.identity)
    if left == right:
        assert hash(left) == hash(right)


def test_a_page_request_reads_like_a_sentence() -> None:
    """A page request is shown by its listing and number, and can be a key."""
    request = PageRequest(category_items(5), 2)
    assert str(request) == "category/items?cat_id=5 page 2"
    assert {request: 1}[PageRequest(category_items("5"), 2)] == 1
    with pytest.raises(AttributeError):
        request.number = 3  # type: ignore[misc]


def test_endpoints_are_found_by_name() -> None:
    """A listing names an endpoint that is known, with the path of the API document."""
    assert ENDPOINTS[category_items(5).endpoint].path == "/1688/category/items"
    assert Listing("other", ()).cat_id is None
