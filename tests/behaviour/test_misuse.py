"""Wrong arguments are refused with a reason before anything is sent."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tmapi_async import (
    CATEGORY_ITEMS,
    TMAPI,
    Budget,
    GuardPolicy,
    InvalidRequestError,
    RetryPolicy,
    Split,
    WalkOptions,
    category_items,
    describe,
)
from tmapi_async.export import Export, compare_runs, export_journal
from tmapi_async.harvest import Harvest, JournalCategories, JournalReader, write_report

NOTHING_LISTENS = "http://127.0.0.1:1"
WRONG_TYPES = (object(), b"x", {"a": 1}, 1j, TMAPI)
"""Values that no argument takes."""
GOOD_KEYS = {
    "ids": 1,
    "keywords": "dress",
    "member_ids": "b2b-1",
    "shop_urls": "https://a.1688.com",
    "listings": category_items(1),
}
WALKS = (
    "category_items", "category_items_v2", "search_items", "shop_items", "shop_items_v2",
    "global_search_items", "item_details", "item_descriptions", "item_sales",
    "item_ratings",
    "walk", "categories",
)  # fmt: skip


def arguments_of(function: Any) -> list[str]:
    """Return the names of all arguments of a function, those behind `**options` included."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    if "options" in names:
        names[names.index("options") :] = WalkOptions.__annotations__
    return list(dict.fromkeys(names))


@pytest.mark.parametrize("wrong", WRONG_TYPES, ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("name", arguments_of(TMAPI))
def test_each_option_of_a_client_of_a_wrong_type_is_refused_and_named(name, wrong):
    """A wrong type is refused when the client is made, and not in the middle of a night's work."""
    with pytest.raises(InvalidRequestError) as caught:
        TMAPI(**{"token": "sandbox", "base_url": NOTHING_LISTENS, name: wrong})
    assert name.replace("base_url", "base URL") in str(caught.value)


@pytest.mark.parametrize(
    ("method", "name"),
    [(method, name) for method in WALKS for name in arguments_of(getattr(TMAPI, method))],
)
def test_each_argument_of_a_walk_of_a_wrong_type_is_refused(method, name):
    """Nothing is sent for a walk that makes no sense, whichever argument it is."""
    api = TMAPI("sandbox", base_url=NOTHING_LISTENS)
    walk = getattr(api, method)
    key = arguments_of(walk)[0]
    for wrong in WRONG_TYPES:
        if name == "on_end" and callable(wrong):
            continue
        arguments = {key: GOOD_KEYS[key]} if key in GOOD_KEYS else {}
        with pytest.raises(InvalidRequestError):
            walk(**{**arguments, name: wrong})


@pytest.mark.parametrize("wrong", WRONG_TYPES, ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("name", arguments_of(Harvest))
def test_each_argument_of_a_harvest_of_a_wrong_type_is_refused(name, wrong, path):
    """A harvest that makes no sense is refused before its journal is made."""
    api = TMAPI("sandbox", base_url=NOTHING_LISTENS)
    good = {"api": api, "listings": [category_items(1)], "journal": path}
    with pytest.raises(InvalidRequestError):
        Harvest(**{**good, name: wrong})
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda api: Harvest(api, [1031910], journal="x"), "category_items(1031910)"),
        (lambda api: Harvest(api, 1031910, journal="x"), "category_items(1031910)"),
        (lambda api: Harvest(api, category_items(1), journal="x"), "a list of listings"),
        (lambda _: Harvest(["x"], [], journal="x"), "a TMAPI or a list of them"),
        (lambda api: api.walk([1031910]), "category_items(1031910)"),
        (lambda api: api.walk("category/items"), "category_items(1031910)"),
        (lambda api: api.shop_items_v2("not a url"), "the address of a shop such as https://"),
        (lambda api: api.shop_items_v2("b2b-2209657723055e41d3"), "a member ID belongs to"),
        (lambda api: api.shop_items("https://a.1688.com"), "the address of a shop belongs to"),
        (lambda api: api.category_items({1: "dresses"}), "give a cat_id or an iterable"),
        (lambda _: describe(3, {}), "endpoint must be"),
        (lambda _: describe(CATEGORY_ITEMS, 3), "params must be"),
        (lambda _: describe(CATEGORY_ITEMS, {3: 4}), "the name of a parameter must be"),
        (lambda _: RetryPolicy(max_attempts="3"), "max_attempts of RetryPolicy"),
        (lambda _: RetryPolicy(max_attempts=2.5), "a whole number"),
        (lambda _: RetryPolicy(base=True), "base of RetryPolicy must be a number"),
        (lambda _: GuardPolicy(same="3"), "same of GuardPolicy"),
        (lambda _: GuardPolicy(stale=0), "at least 1 page"),
        (lambda api: api.category_items(1, split=Split(ceiling="9")), "ceiling must be"),
        (lambda api: api.category_items(1, split=Split(on_expect=3)), "on_expect must be"),
        (lambda _: Budget("3"), "max_requests must be"),
    ],
)
def test_a_refusal_says_what_is_expected(make, expected):
    """The message names the argument and a value that would do."""
    with pytest.raises(InvalidRequestError) as caught:
        make(TMAPI("sandbox", base_url=NOTHING_LISTENS))
    assert expected in str(caught.value)


@pytest.mark.parametrize("wrong", [[1, 2], "x", 0, None, *WRONG_TYPES])
async def test_details_are_of_one_product(wrong):
    """`item_detail` takes one ID; a list of them is named as such, and nothing is sent."""
    async with TMAPI("sandbox", base_url=NOTHING_LISTENS) as api:
        with pytest.raises(InvalidRequestError, match="is not an item ID"):
            await api.item_detail(wrong)
        with pytest.raises(InvalidRequestError, match="language"):
            await api.item_detail(1, language=3)
        assert api.statistics().requests == 0


@pytest.mark.parametrize(
    "address", ["https://a", "shop.1688.com", "//shop.1688.com/page", "http://a.b/"]
)
def test_addresses_of_shops_are_taken_in_their_usual_forms(address):
    """With or without a scheme, as it was copied from a browser."""
    TMAPI("sandbox", base_url=NOTHING_LISTENS).shop_items_v2(address)


async def test_listings_of_an_iterator_are_checked_when_they_are_read(path):
    """A harvest over a generator cannot check it before; nothing is sent for it either."""
    async with TMAPI("sandbox", base_url=NOTHING_LISTENS) as api:
        with pytest.raises(InvalidRequestError, match="1031910 is not a listing"):
            await Harvest(api, (cat_id for cat_id in [1031910]), journal=path).run()
        assert api.statistics().requests == 0


@pytest.mark.parametrize(
    "ids",
    [
        0,
        -1,
        "x",
        "",
        " ",
        "1.5",
        1.5,
        True,
        None,
        2**63,
        "9" * 30,
        b"123",
        [1, 0],
        [None],
        ["1", "b"],
        "١٢",
    ],
)
def test_ids_that_are_none_are_refused_at_once(ids):
    """An ID that is no positive 64-bit integer is refused when the walk is made."""
    api = TMAPI("sandbox", base_url="http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError):
        api.category_items(ids)


@pytest.mark.parametrize(
    "options",
    [
        {"start_page": 0},
        {"start_page": True},
        {"start_page": 1.0},
        {"max_pages": 0},
        {"max_pages": "3"},
        {"lookahead": -1},
        {"lookahead": "on"},
        {"lookahead": True},
        {"free_shipping": 1},
        {"super_factory": "true"},
    ],
)
def test_options_of_a_walk_that_make_no_sense_are_refused_at_once(options):
    """A bad option is refused when the walk is made, naming it."""
    api = TMAPI("sandbox", base_url="http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError, match=next(iter(options))):
        api.category_items(1, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": -1},
        {"concurrency": "many"},
        {"concurrency": 1.5},
        {"concurrency": True},
        {"rate": 0},
        {"rate": -1},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"rate": 1e-320},
        {"rate": "5"},
        {"rate": True},
        {"lookahead": "on"},
        {"auth": "cookie"},
        {"max_body": 0},
        {"base_url": "ftp://example.com"},
        {"base_url": "example.com"},
        {"base_url": "http://"},
        {"base_url": ""},
        {"base_url": None},
        {"base_url": "http://user:password@127.0.0.1"},
        {"base_url": "http://127.0.0.1/?apiToken=x"},
        {"base_url": "http://127.0.0.1:99999"},
        {"base_url": "http://[::1"},
        {"base_url": "http://exa mple.com"},
        {"base_url": "http://127.0.0.1/a b"},
        {"base_url": "http://127.0.0.1\n.example.com"},
        {"base_url": "http://127.0.0.1/a?"},
        {"base_url": "http://127.0.0.1/#"},
        {"base_url": "http://127.0.0.1\\x"},
    ],
)
def test_options_of_a_client_that_make_no_sense_are_refused_at_once(options):
    """A bad option is refused when the client is made."""
    with pytest.raises(InvalidRequestError):
        TMAPI("sandbox", **options)


@pytest.mark.parametrize("token", ["", None, "two words", "line\nbreak", "unicodé", 5, "x" * 5000])
def test_a_token_that_is_none_is_refused_and_not_shown(token):
    """An impossible token is refused when the client is made. The message does not show it."""
    with pytest.raises(InvalidRequestError) as raised:
        TMAPI(token)
    if token:
        assert str(token) not in str(raised.value)


READERS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (JournalReader, {}),
    (JournalCategories, {"journal": "FILE"}),
    (write_report, {"journal": "FILE", "output": "FILE"}),
    (Export, {"path": "FILE", "to": ["-"]}),
    (export_journal, {"path": "FILE", "to": ["-"]}),
    (compare_runs, {"journal": "FILE"}),
)


@pytest.mark.parametrize(
    ("function", "good", "name"),
    [
        pytest.param(function, good, name, id=f"{function.__name__}-{name}")
        for function, good in READERS
        for name in inspect.signature(function).parameters
    ],
)
def test_each_argument_of_what_reads_a_journal_of_a_wrong_type_is_refused(
    function, good, name, tmp_path
):
    """No TypeError of the inside, and no file is made or opened."""
    arguments = {key: tmp_path / "x" if value == "FILE" else value for key, value in good.items()}
    for wrong in WRONG_TYPES:
        if callable(wrong) and name == "on_progress":
            continue
        if isinstance(wrong, bytes | dict) and name == "cats":
            continue  # collections, without a category
        with pytest.raises(InvalidRequestError):
            function(**{**arguments, name: wrong})
    assert list(tmp_path.iterdir()) == []


def test_one_destination_is_no_list_of_them(path):
    """A text would be read letter by letter."""
    with pytest.raises(InvalidRequestError, match="to must be a list of destinations"):
        export_journal(path, "items.parquet")
