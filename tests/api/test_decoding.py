"""Replies of any size: rows and values beyond the limits are refused before they cost anything."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import NOW, REQUEST, dumped, page_of, read, row, success
from tmapi_async import AuthenticationError, BalanceError, Page, ReplyTooLargeError
from tmapi_async.api.decoding import MAX_ROWS, MAX_VALUES, USUAL_BODY
from tmapi_async.api.endpoints import ITEM_DETAIL
from tmapi_async.api.listings import PageRequest, describe
from tmapi_async.api.replies import Reply, read_reply, with_whole_items

MILLION = 1_000_000
DETAIL = PageRequest(describe(ITEM_DETAIL, {"item_id": 5}), 1)


def beside(field: bytes) -> bytes:
    """Return a success of one row with a field beside the rows."""
    return success([b'{"item_id": 1}'], b'"has_next_page": true, ' + field)


BODIES = {
    "rows": success([b'{"item_id": 1}'] * MILLION),
    "empty rows": success([b"{}"] * MILLION),
    "rows that are numbers": success([b"1"] * MILLION),
    "rows of a wrong type": success([b'{"item_id": "x"}'] * MILLION),
    "damaged rows": success([b"{NaN}"] * MILLION),
    "a list in a row": success([b'{"item_id": 1, "tags": [%b0]}' % (b"[]," * MILLION)]),
    "a list in an unknown field": beside(b'"other": [%b0]' % (b"{}," * MILLION)),
    "a list in a known field": beside(b'"filters": [%b0]' % (b"{}," * MILLION)),
    "a list in place of the message": b'{"code": 200, "msg": [%b0]}' % (b"{}," * MILLION),
    "a list in place of the code": b'{"code": [%b0]}' % (b"{}," * MILLION),
    "a list in place of the reply": b"[%b0]" % (b"{}," * MILLION),
    "a body that was cut off": success([b"{}"] * MILLION)[:-3],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("request_", [None, DETAIL], ids=["page", "detail"])
def test_a_million_rows_or_values_cost_no_memory(body: bytes, request_: PageRequest | None) -> None:
    """A reply of a million rows is refused, whatever they are: nothing of it is decoded."""
    tracemalloc.start()
    try:
        if request_ is None:
            result = read(body)
        else:
            result = read_reply(Reply(200, {}, body), request_, now=NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(result) is ReplyTooLargeError
    assert f"more than {MAX_VALUES:,} values" in str(result)
    assert peak < 2**19  # Python 3.13 takes 295 kB


@pytest.mark.parametrize("row", [b"{}", b"1", b'{"item_id": 1}'])
def test_rows_beyond_the_limit_are_refused(row: bytes) -> None:
    """One row more than the limit is no page, and is not asked for again."""
    result = read(success([row] * (MAX_ROWS + 1)))
    assert type(result) is ReplyTooLargeError
    assert f"more than {MAX_ROWS:,} rows" in str(result)


def test_rows_up_to_the_limit_are_a_page() -> None:
    """The limit itself is accepted, read at once or row by row."""
    assert len(page_of(success([b'{"item_id": 1}'] * MAX_ROWS)).items) == MAX_ROWS
    page = page_of(success([b'{"item_id": 1}', b"{}"] * (MAX_ROWS // 2)))
    assert (len(page.items), len(page.rejects)) == (MAX_ROWS // 2, MAX_ROWS // 2)


def test_a_shorter_body_cannot_hold_more_rows_than_the_limit() -> None:
    """The rows of usual bodies need not be counted: a row has an ID."""
    assert USUAL_BODY // len(b'{"item_id":1},') <= MAX_ROWS


def test_a_long_text_is_no_list_of_values() -> None:
    """Megabytes in one text are read, with the commas that texts have."""
    text = b"a long description, with commas, and words. " * 200_000
    page = page_of(success([b'{"item_id": 1, "title": "%b"}' % text]))
    assert isinstance(page, Page)
    assert len(page.items[0].title or "") == len(text)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(("code", "kind"), [(401, AuthenticationError), (439, BalanceError)])
def test_the_code_of_a_huge_reply_is_heard(status: int, code: int, kind: type[Exception]) -> None:
    """A refusal of the account ends all work, however many rows come with it."""
    body = success([b"{}"] * MILLION).replace(b"200", str(code).encode(), 1)
    assert type(read(body, status)) is kind
    few = success([b"{}"] * (MAX_ROWS + 1)).replace(b"200", str(code).encode(), 1)
    assert type(read(few, status)) is kind


_PIECES = (
    b'"',
    b"\\",
    b"\\u12",
    b"\xff",
    b"\0",
    b"\n",
    b"{",
    b"}",
    b"]",
    b",",
    b":",
    b"1e999",
    b"NaN",
)


@given(st.data())
def test_reading_ids_only_finds_the_same_rows_and_rejects(data: st.DataObject) -> None:
    """Whatever is wrong with a body, a page of IDs has the rows and rejects of the whole page."""
    body = bytearray(success([dumped(row(number)) for number in range(3)]))
    for _ in range(data.draw(st.integers(0, 3))):
        at, length = data.draw(st.integers(0, len(body))), data.draw(st.integers(0, 12))
        body[at : at + length] = data.draw(st.sampled_from(_PIECES) | st.just(b""))
    whole, ids = (
        read_reply(Reply(200, {}, bytes(body)), REQUEST, now=NOW, ids_only=ids_only)
        for ids_only in (False, True)
    )
    assert _facts(ids) == _facts(whole)
    if isinstance(ids, Page):
        assert with_whole_items(ids) == whole


def _facts(result: Any) -> tuple[Any, ...]:
    if not isinstance(result, Page):
        return type(result), str(result)
    ids = [item.item_id for item in result.items]
    return ids, result.rejects, result.row_ids(), result.has_next_page, result.total_count
