"""What commands ask for: options and job files as listings, or refused with the line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import InvalidRequestError
from tmapi_async.api.endpoints import BY_SHORT_NAME, CATEGORY_ITEMS, GLOBAL_SEARCH_ITEMS
from tmapi_async.cli.options.job_file import read_job
from tmapi_async.cli.options.listing_options import FILTERS, ListingOptions
from tmapi_async.cli.options.listing_sets import ListingGroup, ListingSet

ALLOWED: dict[str, Any] = {"journal": str, "max_requests": int, "rate": (int, float), "to": list}


def identities(**options: Any) -> list[str]:
    """Identities of the listings that options describe."""
    wanted = ListingSet([ListingOptions(**options).group(io.BytesIO())])
    found = [listing.identity for listing in wanted]
    assert len(found) == len(wanted)
    return found


def test_options_are_called_what_the_endpoint_calls_them() -> None:
    """One option serves every endpoint that has such a filter, whatever its name there."""
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
    """Each keyword is looked for in each category, where an endpoint takes both."""
    found = identities(endpoint="global-search", keyword=["a", "b"], cats=["7", "8"])
    assert found == [
        f"global/search/items?cat_id={cat}&keyword={word}" for cat in (7, 8) for word in "ab"
    ]
    assert identities(endpoint="global-search", cats=["7"]) == ["global/search/items?cat_id=7"]


@pytest.mark.parametrize("endpoint", BY_SHORT_NAME)
@pytest.mark.parametrize("option", FILTERS)
def test_an_option_is_sent_or_refused(endpoint: str, option: str) -> None:
    """No option is dropped: it is a parameter of the listing, or refused with where it belongs."""
    values = {"sort": "sales", "language": "en", "page_size": 10, "moq": 2, "cat_type": "0"}
    value = values.get(option, True if option.endswith(("ry", "ng", "al")) else "5")
    key = BY_SHORT_NAME[endpoint].required[0]
    asked: dict[str, Any] = {"cat_id": {"cats": ["7"]}, "keyword": {"keyword": ["x"]}}.get(
        key, {"shop": ["x"]}
    )
    plain = identities(endpoint=endpoint, **asked)
    try:
        found = identities(endpoint=endpoint, **asked, **{option: value})
    except InvalidRequestError as error:
        refused = f"--{option.replace('_', '-')} does not work with --endpoint {endpoint}"
        assert str(error).startswith(refused)  # noqa: PT017
        named = str(error).rpartition("--endpoint ")[2].split(", ")
        assert endpoint not in named
        assert set(named) <= set(BY_SHORT_NAME)
    else:
        assert found != plain


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "serch", "keyword": ["x"]}, "did you mean search"),
    ({"cats": ["7"], "endpoint": "search"}, "category IDs do not work with --endpoint search"),
    ({"endpoint": "search"}, "needs --keyword TEXT"),
    ({"endpoint": "shop"}, "needs --shop MEMBER_ID"),
    ({"endpoint": "shop-v2"}, "needs --shop ADDRESS"),
    ({"endpoint": "global-search"}, "needs --keyword TEXT or category IDs"),
    ({"endpoint": "shop", "keyword": ["x"]}, "--endpoint search, global-search"),
    ({"endpoint": "search", "keyword": ["x"], "shop": ["y"]}, "--endpoint shop, shop-v2"),
    ({"endpoint": "search", "keyword": ["x", " "]}, "keyword must be text"),
    ({"cats": ["7", "x"]}, "'x' is not a category ID"),
    ({}, "no category IDs"),
]


@pytest.mark.parametrize(("options", "told"), REFUSED)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], told: str) -> None:
    """What does not go together is refused with what would."""
    with pytest.raises(InvalidRequestError) as caught:
        identities(**options)
    assert told in str(caught.value)


IDS = st.lists(st.integers(1, 30), min_size=1, max_size=20)


@given(st.lists(IDS, min_size=1, max_size=4))
def test_each_listing_is_wanted_once(groups: list[list[int]]) -> None:
    """Whatever was given twice, in one group or in several, is walked once, and counted."""
    made = [
        ListingGroup(
            CATEGORY_ITEMS, {}, {"cat_id": list(dict.fromkeys(ids))}, len(ids) - len(set(ids))
        )
        for ids in groups
    ]
    wanted = ListingSet(made)
    found = [listing.cat_id for listing in wanted]
    given_ids = [cat_id for ids in groups for cat_id in ids]
    assert found == list(dict.fromkeys(given_ids))
    assert len(wanted) == len(found)
    assert wanted.repeated == len(given_ids) - len(found)
    assert [listing.cat_id for listing in wanted] == found  # as often as wanted


def test_a_group_of_nothing_is_refused() -> None:
    """A group without a key says which one it needs."""
    with pytest.raises(InvalidRequestError, match="needs keyword or cat_id"):
        ListingGroup(GLOBAL_SEARCH_ITEMS, {}, {})


# -- job files

JOB = """\
journal = "shop.journal"
max_requests = 5_000  # a start
rate = 2.5
to = ["items.parquet"]

[[listings]]
cat_ids = [
    1031910,
    1031922,
]
super_factory = true

[[listings]]
endpoint = "search"
keywords = ["男士T恤", "b"]
sort = "sales"
price_start = "9.90"

[[listings]]
endpoint = "category-v2"
cat_ids_file = "ids.txt"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with lists that job files name."""
    (tmp_path / "ids.txt").write_text("5\n6 # six\n\n5\n", "utf-8")
    (tmp_path / "words.txt").write_text("\ufeff裙\n\n# none\n a b \n裙\n", "utf-8")
    return tmp_path


def read(folder: Path, text: str) -> tuple[list[str], dict[str, Any], int]:
    """What a job file comes to: identities, options, repeated."""
    path = folder / "job.toml"
    path.write_text(text, "utf-8")
    job = read_job(path, ALLOWED)
    wanted = ListingSet(job.groups)
    return [listing.identity for listing in wanted], job.options, wanted.repeated


def test_a_job_file_says_what_to_walk_and_how(folder: Path) -> None:
    """Tables of listings and options are read; files of values lie beside the job file."""
    found, options, _ = read(folder, JOB)
    assert found == [
        "category/items?cat_id=1031910&super_factory=true",
        "category/items?cat_id=1031922&super_factory=true",
        "search/items?keyword=男士T恤&price_start=9.9&sort=sales",
        "search/items?keyword=b&price_start=9.9&sort=sales",
        "category/items/v2?cat_id=5",
        "category/items/v2?cat_id=6",
    ]
    assert options == {
        "journal": "shop.journal", "max_requests": 5000, "rate": 2.5, "to": ["items.parquet"],
    }  # fmt: skip


def test_values_come_from_the_file_and_from_lists(folder: Path) -> None:
    """Both are taken, each value once, and what came again is counted."""
    text = '[[listings]]\nendpoint = "search"\nkeywords = ["x"]\nkeywords_file = "words.txt"\n'
    assert read(folder, text)[0] == [
        "search/items?keyword=x", "search/items?keyword=裙", "search/items?keyword=a%20b",
    ]  # fmt: skip
    assert read(folder, text)[2] == 1


WRONG = [
    ("1031922", '"x12"', 9, "'x12' is not a category ID"),
    ("1031922", "0", 9, "0 is not a category ID"),
    ("1031922", "1.5", 9, "1.5 is not a category ID"),
    ("max_requests", "max_request", 2, "did you mean max_requests?"),
    ("max_requests", "token", 2, "does not belong in a file"),
    ("5_000", "true", 2, "max_requests cannot be True"),
    ("2.5", '"fast"', 3, "rate cannot be 'fast'"),
    ("super_factory", "is_super_factory", 11, "it is called super_factory there"),
    ("super_factory = true", "super_factory = 1", 11, "must be True, False or None"),
    ('"sales"', '"prize"', 16, "sort must be one of"),
    ('"9.90"', '"cheap"', 17, "price in yuan"),
    ('"search"', '"serch"', 14, "did you mean search?"),
    ('"b"]', "5]", 15, "keywords must be texts, not 5"),
    ('keywords = ["男士T恤", "b"]', 'keyword = "b"', 15, "write keywords = [...]"),
    ('keywords = ["男士T恤", "b"]', "", 14, "search/items needs keyword"),
    ('keywords = ["男士T恤", "b"]', 'keywords = "b"', 15, "must be a list"),
    ("ids.txt", "none.txt", 21, "No such file"),
    ('"ids.txt"', "5", 21, "must be the name of a file"),
    ("rate = 2.5", "rate = ", 3, "invalid value"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "told"), WRONG)
def test_a_mistake_in_a_job_file_is_told_with_its_line(
    folder: Path, right: str, wrong: str, line: int, told: str
) -> None:
    """A person is led to the line, whatever is wrong in it."""
    assert right in JOB
    with pytest.raises(InvalidRequestError) as caught:
        read(folder, JOB.replace(right, wrong, 1))
    assert told in str(caught.value)
    assert f"line {line}" in str(caught.value)
    assert str(folder / "job.toml") in str(caught.value)


@pytest.mark.parametrize("text", ["", "rate = 1", "listings = 5", "listings = []", "[listings]"])
def test_a_job_file_without_listings_is_refused(folder: Path, text: str) -> None:
    """A file that says nothing to walk is refused."""
    with pytest.raises(InvalidRequestError, match="the file has no"):
        read(folder, text)


def test_a_job_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    """No file, a folder, and what is no text are refused by name."""
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("none.toml", ".", "binary"):
        with pytest.raises(InvalidRequestError, match="cannot read the job file"):
            read_job(folder / name, ALLOWED)
