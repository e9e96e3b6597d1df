"""Damaged bodies: a character costs a character, a value its field, a row only itself."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import NOW, ROW, dumped, page_of, read, row, sample, sample_name, success
from tmapi_async import MalformedReplyError
from tmapi_async.api.endpoints import ENDPOINTS, Endpoint
from tmapi_async.api.json_repair import LONGEST_BODY, repair
from tmapi_async.api.listings import PageRequest, describe
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.api.rows import json_lines

PARAMETERS: dict[str, dict[str, Any]] = {
    "category/items": {"cat_id": 5},
    "category/items/v2": {"cat_id": 5},
    "search/items": {"keyword": "x"},
    "shop/items": {"member_id": "b2b-1"},
    "shop/items/v2": {"shop_url": "https://x.1688.com"},
    "global/search/items": {"keyword": "x"},
    "category/info": {"cat_id": 5},
    "item_detail": {"item_id": 5},
    "item_desc": {"item_id": 5},
    "item/shipping": {"item_id": 5, "province": "广东"},
    "item/statistics/sales": {"item_id": 5},
    "item/rating": {"item_id": 870000000101},
}


def read_of(endpoint: Endpoint, body: bytes) -> Page[Any]:
    """Read a body as a reply of an endpoint; it must be a page."""
    request = PageRequest(describe(endpoint, PARAMETERS[endpoint.name]), 1)
    page = read_reply(Reply(200, {}, body), request, now=NOW)
    assert isinstance(page, Page), page
    return page


def titled(text: bytes) -> bytes:
    """Return a row with these bytes, not escaped, as its title."""
    return dumped(row(2)).replace("连衣裙".encode(), text)


# -- a character


@pytest.mark.parametrize(
    ("sent", "title"),
    [
        (rb"cut \ud83e", "cut \ufffd"),
        (rb"\uDE00 tail", "\ufffd tail"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud83d \ud83d\ude00 \ud83d", "\\ud83d \U0001f600 \ufffd"),
        (rb"cut \ud8", "cut \ufffd"),
        (b"cut \xe8\xa3", "cut \ufffd"),
        (b"a\xffb", "a\ufffdb"),
        (b"a\tb\nc\x01", "a\tb\nc\x01"),
        (rb"men\'s", "men's"),
        (rb"C:\dir \q", "C:\\dir \\q"),
        (b"NaN, Infinity: [1,] {}", "NaN, Infinity: [1,] {}"),
    ],
)
@pytest.mark.parametrize("neighbour", [{}, {"badge": 1}])
def test_a_damaged_character_costs_the_character(
    sent: bytes, title: str, neighbour: dict[str, int]
) -> None:
    """A text that was cut or badly escaped keeps its row, and every other field of it."""
    page = page_of(success([dumped(row(1, **neighbour)), titled(sent), dumped(row(3))]))
    assert page.rejects == []
    assert [item.item_id for item in page.items] == [600000000001, 600000000002, 600000000003]
    damaged = page.items[1]
    assert damaged.title == title
    assert damaged.price_info == page.items[0].price_info
    assert damaged.extra == {}
    assert json_lines(page).count(b"\n") == 3


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
@pytest.mark.parametrize("damage", [rb"\ud83e", b"\xe8\xa3", b"\t", rb"\q"])
def test_every_text_of_every_endpoint_may_be_damaged(endpoint: Endpoint, damage: bytes) -> None:
    """Damage at the end of every Chinese text costs no row, whatever the endpoint."""
    body = sample(sample_name(endpoint))
    whole = read_of(endpoint, body)
    marked = json.dumps(json.loads(body), ensure_ascii=False)
    spoilt = "".join(f"{c}§" if "\u4e00" <= c <= "\u9fff" else c for c in marked).encode()
    spoilt = spoilt.replace("§".encode(), damage)
    assert spoilt != marked.encode()
    page = read_of(endpoint, spoilt)
    assert page.rejects == whole.rejects == []
    assert [item.item_id for item in page.items] == [item.item_id for item in whole.items]
    assert json_lines(page).count(b"\n") == len(whole.items)
    assert page.has_next_page == whole.has_next_page


# -- a value


@pytest.mark.parametrize(
    "sent", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"007", b"None", b"undefined"]
)
def test_a_value_that_is_no_json_is_text(sent: bytes) -> None:
    """A number that no JSON allows is no number; its text is kept, and its row and page."""
    spoilt = dumped(row(2)).replace(b'"quantity_begin": 2', b'"quantity_begin": %b' % sent)
    page = page_of(success([dumped(row(1)), spoilt]))
    assert page.rejects == []
    assert page.items[1].quantity_begin == sent.decode()
    line = json.loads(json_lines(page).splitlines()[1])
    assert line["quantity_begin_text"] in (None, sent.decode())
    assert line["quantity_begin"] in (None, 7)
    assert line["title"] == ROW["title"]


ODD_BLOCKS: list[Any] = [[], "text", 5, True, [{"login_id": "x"}]]


@pytest.mark.parametrize("sent", ODD_BLOCKS)
@pytest.mark.parametrize("block", ["price_info", "sale_info", "shop_info"])
def test_an_odd_block_costs_the_block(block: str, sent: Any) -> None:
    """A block of another shape is null, stands in `extra` as sent, and its row stays."""
    page = page_of(success([dumped(row(1, **{block: sent}))]))
    assert page.rejects == []
    (item,) = page.items
    assert getattr(item, block) is None
    assert item.extra == {block: sent}
    assert item.title == ROW["title"]
    assert json.loads(json_lines(page))["extra"] == {block: sent}


def test_an_odd_value_costs_its_field_alone() -> None:
    """Of a block with one odd value, the other values stay; unknown fields stand beside it."""
    shop = {**ROW["shop_info"], "company_name": ["公司"], "years": 3}
    (item,) = page_of(success([dumped(row(1, title={"zh": "裙"}, shop_info=shop, badge=1))])).items
    assert item.title is None
    assert item.shop_info is not None
    assert (item.shop_info.company_name, item.shop_info.login_id) == (None, "shop")
    assert item.extra == {
        "title": {"zh": "裙"},
        "shop_info": {"company_name": ["公司"], "years": 3},
        "badge": 1,
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
def test_an_odd_value_of_any_field_keeps_the_row(endpoint: Endpoint) -> None:
    """On every endpoint, each field but the ID may have a shape that no struct knows."""
    body = json.loads(sample(sample_name(endpoint)))
    data = body["data"]
    rows = data[endpoint.rows] if endpoint.paged else data if isinstance(data, list) else [data]
    essential = {"item_id", getattr(endpoint.item, "row_key", "id"), *endpoint.item.essential}
    for name in [name for name in rows[0] if name not in essential]:
        original = rows[0][name]
        rows[0][name] = [[{"odd": 1}]]
        page = read_of(endpoint, dumped(body))
        rows[0][name] = original
        assert page.rejects == [], name
        assert len(page.items) == len(rows)
        assert json_lines(page).count(b"\n") == len(rows)


@pytest.mark.parametrize("name", ["id", "children", "has_children"])
def test_a_category_with_an_odd_list_of_children_is_no_leaf(name: str) -> None:
    """A category whose children cannot be read is a reject, not a category without children."""
    body = json.loads(sample(sample_name(ENDPOINTS["category/info"])))
    body["data"] |= {"has_children": False, name: [[{"odd": 1}]]}
    page = read_of(ENDPOINTS["category/info"], dumped(body))
    assert (page.items, len(page.rejects)) == ([], 1)


# -- a row


@pytest.mark.parametrize("title", [b'6" wide', b'a "quoted" name', b"cut \\"])
@pytest.mark.parametrize("places", [(1,), (0,), (4,), (1, 3), (0, 4), (2, 3)])
def test_a_row_that_cannot_be_repaired_costs_itself(title: bytes, places: tuple[int, ...]) -> None:
    """A quote that was not escaped makes its own row a reject, byte for byte, and no other."""
    sent = [dumped(row(n, badge=[{"a": 1}])) for n in range(5)]
    for place in places:
        sent[place] = sent[place].replace("连衣裙".encode(), title)
    page = page_of(success(sent, b'"filters": [{"a": []}], "has_next_page": true'))
    assert page.has_next_page is True
    assert [(reject.position, reject.raw) for reject in page.rejects] == [
        (place, sent[place]) for place in places
    ]
    assert [item.item_id - 600000000000 for item in page.items] == [
        n for n in range(5) if n not in places
    ]


def test_rows_are_found_wherever_the_list_stands() -> None:
    """Fields behind the rows are read from a damaged page, too."""
    spoilt = titled(b'6" wide')
    body = b'{"code": 200, "data": {"items": [%b, %b], "filters": [{"a": 1}], "page": 7, %b}}' % (
        spoilt,
        dumped(row(3)),
        b'"has_next_page": false',
    )
    page = page_of(body)
    assert (page.echoed_page, page.has_next_page) == (7, False)
    assert ([item.item_id for item in page.items], page.positions()) == ([600000000003], [1])


# -- a page


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\xef\xbb\xbf" * 2])
def test_a_byte_order_mark_is_left_out(endpoint: Endpoint, mark: bytes) -> None:
    """A body behind a byte-order mark is read (woocommerce/wc-api-python#40)."""
    body = sample(sample_name(endpoint))
    page = read_of(endpoint, mark + body)
    assert page.items == read_of(endpoint, body).items
    assert page.extra == read_of(endpoint, body).extra
    assert page.body == mark + body


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
@pytest.mark.parametrize("charset", ["gb18030", "gbk", "utf-16"])
def test_a_body_in_another_charset_is_read(endpoint: Endpoint, charset: str) -> None:
    """A body in a charset of Chinese servers is read as if it were UTF-8."""
    body = sample(sample_name(endpoint))
    sent = body.decode().encode(charset, "ignore")
    known = read_of(endpoint, sent.decode(charset).encode())
    page = read_of(endpoint, sent)
    assert page.rejects == []
    assert json_lines(page) == json_lines(known)


@pytest.mark.parametrize(
    "head",
    [
        rb'"filters": {"q": "\ude00"}, "has_next_page": false',
        b'"filters": {"q": NaN}, "has_next_page": false',
        b'"keyword": "a\tb", "has_next_page": false',
        b'"total_count": NaN, "has_next_page": false,',
    ],
)
def test_damage_outside_the_rows_costs_nothing(head: bytes) -> None:
    """Damage in the echoed parameters leaves every row as it is."""
    body = success([dumped(row(1)), dumped(row(2))], head).replace(b",,", b",")
    page = page_of(body)
    assert (len(page.items), page.rejects, page.has_next_page) == (2, [], False)
    json_lines(page)
    assert isinstance(page.extra, dict)


@given(st.integers(1, 400))
def test_a_body_that_was_cut_off_is_no_page(length: int) -> None:
    """A page with a damaged row that ends too early is not taken for a whole one."""
    body = success([titled(b"\t"), titled(b'6" wide'), dumped(row(3))])
    reply = read(body[:-length])
    assert type(reply) is MalformedReplyError


def test_an_error_with_a_damaged_message_keeps_its_code() -> None:
    """A byte-order mark or half an emoji in an error's message does not hide the code."""
    for body in (
        b'\xef\xbb\xbf{"code": 439, "msg": "no balance"}',
        rb'{"code": 439, "msg": "\ud83e"}',
    ):
        assert getattr(read(body), "code", None) == 439
    wrong = read(b'{"code": 200, "data": NaN}')
    assert isinstance(wrong, MalformedReplyError)
    assert wrong.code == 200


# -- the repair itself


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_repair_leaves_valid_json_alone(value: object) -> None:
    """Valid JSON is returned byte for byte, whether its text is escaped or not."""
    for ascii_only in (True, False):
        sent = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert repair(sent) == sent


@given(
    st.text(st.characters(), max_size=10) | st.text(st.sampled_from("\ud83d\ude00\\u"), max_size=9)
)
def test_repair_makes_any_escaped_text_readable(text: str) -> None:
    """Every text, with halves of surrogate pairs too, can be decoded after the repair."""
    assert isinstance(msgspec.json.decode(repair(json.dumps(text).encode())), str)


@given(st.binary(max_size=40))
def test_repair_makes_any_bytes_between_quotes_readable(sent: bytes) -> None:
    """Any bytes between quotes become a text, but for a quote or a backslash at the end."""
    body = b'"%b"' % sent.replace(b'"', b"").rstrip(b"\\")
    assert isinstance(msgspec.json.decode(repair(body)), str)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        b'\\"',
        b'"',
        b"\\",
        b"{",
        b"[,",
        b'"items":[',
        b"}]",
        b",}",
        b"\\ud83d",
        b"1e",
        b"}, {",
        b"1,",
    ],
)
def test_repair_takes_linear_time(unit: bytes) -> None:
    """Four times the bytes take about four times as long, whatever the bytes."""

    def seconds(size: int) -> float:
        body = b'{"code": 200, "data": {"items": [{"a": "' + unit * (size // len(unit))
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            read(body)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(400_000) < 16 * seconds(100_000) + 0.05


def test_a_damaged_page_of_too_many_rows_is_no_page() -> None:
    """The event loop does not wait for the repair of a hundred thousand rows."""
    assert type(read(success([b"NaN"] * 100_000))) is MalformedReplyError


def test_a_body_that_is_too_long_is_not_repaired() -> None:
    """The event loop does not wait for the repair of megabytes."""
    body = b"[NaN]" + b" " * LONGEST_BODY
    assert repair(body) is body
