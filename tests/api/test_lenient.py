from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.making import ROW, dumped, page_of, row, success, with_data
from tmapi_async import Item
from tmapi_async.api.decoding import decoder
from tmapi_async.api.lenient import (
    is_as_documented,
    lenient_variant,
    read_leniently,
    unknown_fields,
)
from tmapi_async.api.rows import json_lines
from tmapi_async.sandbox.responses.drift import BAD_SHAPES, ENVELOPES, SHAPES

NAMES = st.text(min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
BLOCKS = ("price_info", "sale_info", "shop_info")
GOOD = st.builds(
    lambda number, more: {**row(number), **more},
    st.integers(1, 10**6),
    st.sampled_from([{}, {}, {"badge": 1}, {"price": "0.60"}, {"shop_info": None}, {"moq": "3"}]),
).map(dumped)
BAD = st.one_of(
    st.sampled_from([dumped(change(row(7))) for change in BAD_SHAPES.values()]),
    st.sampled_from(
        [
            b"null",
            b'"text"',
            b"[ ]",
            b"true",
            b'{"item_id": 99999999999999999999}',
            b'{"item_id": "", "title": "\xff"}',
            b'{"item_id": -1, "title": "cut \\ud83d"}',
            b'{ "item_id" :NaN, "shop_info":[]}',
            b'{"title": "\t"}',
        ]
    ),
)
ROWS = st.lists(
    st.tuples(st.just(value=True), GOOD) | st.tuples(st.just(value=False), BAD), max_size=8
)


@given(ROWS)
def test_bad_rows_become_rejects_and_nothing_else_does(rows: list[tuple[bool, bytes]]) -> None:
    """A page with k bad rows gives every good row and k rejects, at their places, byte for byte."""
    page = page_of(success([sent for _, sent in rows]))
    good = [(n, json.loads(sent)["item_id"]) for n, (fine, sent) in enumerate(rows) if fine]
    bad = [(n, sent) for n, (fine, sent) in enumerate(rows) if not fine]
    places = zip(page.positions(), page.items, strict=True)
    assert [(position, item.item_id) for position, item in places] == good
    assert [(reject.position, reject.raw) for reject in page.rejects] == bad
    assert all(reject.reason for reject in page.rejects)
    assert json_lines(page).count(b"\n") == len(good)


@given(st.lists(GOOD, min_size=1, max_size=5), BAD)
def test_a_row_reads_the_same_alone_and_in_company(rows: list[bytes], bad: bytes) -> None:
    """Decoding the page at once and row by row gives equal items."""
    together = page_of(success(rows))
    beside = page_of(success([bad, *rows]))
    alone = [page_of(success([sent])).items[0] for sent in rows]
    assert together.rejects == []
    assert together.items == alone == beside.items
    assert [item.extra for item in together.items] == [item.extra for item in beside.items]


def known_of(item: msgspec.Struct) -> dict[str, Any]:
    """Return the known fields of an item as plain values."""
    return {
        name: known_of(value) if isinstance(value, msgspec.Struct) else value
        for name in item.__struct_fields__
        for value in [getattr(item, name)]
    }


def merged(known: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Return the known and unknown fields of an item as one row."""
    out = dict(known)
    for name, value in extra.items():
        inner = out.get(name)
        out[name] = merged(inner, value) if isinstance(inner, dict) else value
    return out


@given(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.fixed_dictionaries({}, optional={b: st.dictionaries(NAMES, VALUES) for b in BLOCKS}),
)
def test_known_and_extra_make_what_was_sent(
    above: dict[str, Any], within: dict[str, dict[str, Any]]
) -> None:
    """Unknown fields of any level are in `extra`; with the known ones they are the row as sent."""
    fields = {name: value for name, value in above.items() if name not in ROW}
    sent: dict[str, Any] = {**ROW, **fields}
    for block, more in within.items():
        sent[block] = {**{n: v for n, v in more.items() if n not in ROW[block]}, **ROW[block]}
    page = page_of(with_data(items=[sent]))
    assert page.rejects == []
    (item,) = page.items
    assert merged(known_of(item), item.extra) == sent
    json_lines(page)


@given(st.dictionaries(NAMES | st.sampled_from(["title", *BLOCKS]), VALUES, max_size=3))
def test_a_row_as_documented_has_no_unknown_field(more: dict[str, Any]) -> None:
    """The fast look at a row never hides a field that no struct knows."""
    sent = {**row(7), **more}
    raw = dumped(sent)
    assert is_as_documented(dumped(row(7)), Item)
    if is_as_documented(raw, Item):
        assert unknown_fields(sent, Item) == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_known_drift_keeps_its_item(shape: str) -> None:
    """Every shape of a field that was seen in use gives an item, not a reject."""
    drifted = row(5)
    SHAPES[shape](drifted)
    page = page_of(with_data(items=[row(4), drifted]))
    assert page.rejects == []
    assert [item.item_id for item in page.items] == [600000000004, 600000000005]
    assert json_lines(page).count(b"\n") == 2


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_every_bad_row_is_kept_as_a_reject(shape: str) -> None:
    """A row that fits no struct is a reject with its bytes; the rows beside it are items."""
    raw = dumped(BAD_SHAPES[shape](row(5)))
    page = page_of(success([dumped(row(4)), raw, dumped(row(6))]))
    assert [item.item_id for item in page.items] == [600000000004, 600000000006]
    assert [(reject.position, reject.raw) for reject in page.rejects] == [(1, raw)]


@pytest.mark.parametrize("shape", ENVELOPES)
def test_an_envelope_may_drift(shape: str) -> None:
    """Unknown fields outside of the rows do not change the page."""
    plain = with_data(items=[row(1), row(2)])
    assert page_of(ENVELOPES[shape](plain)).items == page_of(plain).items


def test_unknown_fields_that_break_keep_their_row() -> None:
    """An unknown field that is not UTF-8, or too large a number, does not make its row a reject."""
    sent = [
        b'{"item_id": 1, "new": "a\xffb", "price": "1.00"}',
        b'{"item_id": 2, "n\xffw": 1}',
        b'{"item_id": 3, "new": [1e999, -1e999, 1.5]}',
        b'{"item_id": 4, "new": ' + b"9" * 5000 + b"}",
        b'{"item_id": 5, "shop_info": {"new": "\xe8"}}',
    ]
    page = page_of(success(sent))
    assert page.rejects == []
    extras = [item.extra for item in page.items]
    assert extras[0] == {"new": "a\ufffdb"}
    assert extras[1] == {"n\ufffdw": 1}
    assert extras[2] == {"new": ["1e999", "-1e999", 1.5]}
    assert extras[3] == {"new": "9" * 5000}
    assert extras[4] == {"shop_info": {"new": "\ufffd"}}
    assert json_lines(page).count(b"\n") == 5
    assert page.extra == {}


@given(VALUES)
def test_lenient_reading_is_exact_where_it_can_be(value: object) -> None:
    """Lenient reading of valid JSON gives the same value as strict reading."""
    assert read_leniently(dumped(value)) == value


def test_nesting_without_end_does_not_crash() -> None:
    """A very deeply nested row gives an error or an item, never a crash."""
    for depth in (100, 900, 1100, 100_000):
        sent = b'{"item_id": 1, "new": ' + b"[" * depth + b"]" * depth + b"}"
        try:
            success_, rejects = decoder("category/items").decode(success([sent]))
        except (RecursionError, msgspec.DecodeError):
            assert depth > 900
        else:
            assert len(success_.data.items) + len(rejects) == 1


def test_the_last_of_repeated_keys_counts() -> None:
    """A key that is sent twice has its last value, in strict and in lenient rows."""
    for tail in (b"", b', "new": 1, "new": 2'):
        (item,) = page_of(success([b'{"item_id": 1, "item_id": 2%b}' % tail])).items
        assert item.item_id == 2
        assert item.extra == ({"new": 2} if tail else {})


def test_huge_numbers_are_kept() -> None:
    """A count beyond 64 bits is read and written exactly."""
    page = page_of(success([b'{"item_id": 1, "quantity_begin": %b}' % (b"9" * 30)]))
    assert page.items[0].min_order == int("9" * 30)
    assert b'"quantity_begin":' + b"9" * 30 in json_lines(page)


def test_an_item_is_equal_to_itself_in_any_company() -> None:
    """An item is equal to, and has the hash of, the same item from a page with a drifted row."""
    clean = page_of(with_data(items=[row(1)])).items[0]
    beside, drifted = page_of(with_data(items=[row(1), row(1, badge=1)])).items
    assert type(clean) is not type(beside)
    assert clean == beside
    assert beside == clean
    assert hash(clean) == hash(beside)
    assert clean.shop_info == beside.shop_info
    assert len({clean, beside}) == 1
    assert drifted != clean
    assert clean != drifted
    assert drifted != page_of(with_data(items=[row(1, badge=2)])).items[0]
    assert clean != page_of(with_data(items=[row(2)])).items[0]
    assert clean != "item"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_drifted_item_can_be_copied(duplicate: Any) -> None:
    """A copy of a drifted item is equal to it and has its unknown fields."""
    (item,) = page_of(with_data(items=[row(1, badge={"level": 3})])).items
    again = duplicate(item)
    assert again == item
    assert again.extra == {"badge": {"level": 3}}
    assert again.shop_info == item.shop_info


def test_a_drifted_item_can_be_pickled() -> None:
    """A drifted item and its blocks go through pickle, unknown fields included."""
    shop = {**ROW["shop_info"], "biz_type": "x"}
    (item,) = page_of(with_data(items=[row(1, shop_info=shop)])).items
    again = pickle.loads(pickle.dumps(item))  # noqa: S301 - made in the line itself
    assert again == item
    assert again.extra == {"shop_info": {"biz_type": "x"}}
    block = pickle.loads(pickle.dumps(item.shop_info))  # noqa: S301 - made in the line itself
    assert block == item.shop_info


def test_a_changed_item_has_the_fields_it_was_given() -> None:
    """An item made from a drifted one by replacing a field works, without unknown fields."""
    (item,) = page_of(with_data(items=[row(1, badge=1)])).items
    changed = msgspec.structs.replace(item, title="new")
    assert (changed.title, changed.extra) == ("new", {})


def test_drifted_items_are_items() -> None:
    """A drifted item is an Item, its blocks are the public structs, and it stays frozen."""
    (item,) = page_of(with_data(items=[row(1, badge=1)])).items
    assert isinstance(item, Item)
    assert lenient_variant(Item) is type(item) is lenient_variant(Item)
    with pytest.raises(AttributeError):
        item.title = "changed"  # type: ignore[misc]
    assert (
        msgspec.json.decode(msgspec.json.encode(item), type=Item)
        == page_of(with_data(items=[row(1)])).items[0]
    )


@settings(max_examples=50)
@given(st.lists(BAD, min_size=1, max_size=4))
def test_rejects_hold_what_a_better_model_needs(rows: list[bytes]) -> None:
    """The bytes of rejects, decoded again as a page, give the same rejects."""
    first = page_of(success(rows)).rejects
    again = page_of(success([reject.raw for reject in first])).rejects
    assert first == again
