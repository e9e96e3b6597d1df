from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.support.making import NOW, REQUEST, envelope, page_of, read, row, with_data
from tmapi_async import (
    AuthenticationError,
    BalanceError,
    ConcurrencyError,
    MalformedReplyError,
    Page,
    ParameterError,
    RateLimitError,
    Recovery,
    RedirectError,
    RetrievalError,
    RouteError,
    ServerError,
    TMAPIError,
    TransportError,
    TryAgainError,
    UnavailableError,
    UnexpectedCodeError,
)
from tmapi_async.api.failures import parse_retry_after

CODES = {
    401: (AuthenticationError, Recovery.HALT),
    402: (BalanceError, Recovery.HALT),
    403: (AuthenticationError, Recovery.HALT),
    404: (RouteError, Recovery.HALT),
    417: (RetrievalError, Recovery.RETRY),
    422: (ParameterError, Recovery.GIVE_UP),
    429: (RateLimitError, Recovery.BACK_PRESSURE),
    439: (BalanceError, Recovery.HALT),
    499: (TryAgainError, Recovery.RETRY),
    500: (ServerError, Recovery.RETRY),
    502: (ServerError, Recovery.RETRY),
    503: (ConcurrencyError, Recovery.BACK_PRESSURE),
    4011: (AuthenticationError, Recovery.HALT),
    418: (UnexpectedCodeError, Recovery.GIVE_UP),
    201: (UnexpectedCodeError, Recovery.GIVE_UP),
    0: (UnexpectedCodeError, Recovery.GIVE_UP),
    -1: (UnexpectedCodeError, Recovery.GIVE_UP),
}
HTML = b"<html><body>502 Bad Gateway: balance</body></html>"


def failure_of(body: Any, status: int = 200, **headers: str) -> TMAPIError:
    """Read a reply that must be an error."""
    result = read(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
    assert isinstance(result, TMAPIError), result
    return result


@pytest.mark.parametrize("style", ["body", "body-text", "both", "body-in-500"])
@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_error_in_every_style(code: int, style: str) -> None:
    """The body's code decides, as a number or as text, whatever the HTTP status beside it."""
    statuses = {"both": code if 400 <= code < 600 else 400, "body-in-500": 500}
    body = {"code": str(code) if style == "body-text" else code, "msg": "why", "data": None}
    error = failure_of(body, statuses.get(style, 200))
    kind, recovery = CODES[code]
    assert type(error) is kind
    assert (error.code, error.status) == (code, statuses.get(style, 200))
    assert (error.recovery, error.message) == (recovery, "why")


@pytest.mark.parametrize("code", [401, 402, 403, 404, 439])
@pytest.mark.parametrize(
    "body", [b"", b"denied", b"{}", b'{"message": "denied"}', b'{"code": null}']
)
def test_these_statuses_are_believed_without_a_code(code: int, body: bytes) -> None:
    """Without a code, the statuses that end all work decide, for JSON and other bodies."""
    error = failure_of(body, code)
    assert type(error) is CODES[code][0]
    assert error.code == code


@pytest.mark.parametrize("status", [200, 417, 422, 499, 500, 502, 504])
@pytest.mark.parametrize("body", [b"", HTML, b"null", b"[]", b'"x"', b"{}", b'{"message": "hm"}'])
def test_other_statuses_without_a_code_are_transport_failures(status: int, body: bytes) -> None:
    """Without a code, any other status is a transport failure, which is retried."""
    error = failure_of(body, status)
    assert isinstance(error, TransportError)
    assert error.recovery is Recovery.RETRY
    assert (error.code, error.status) == (None, status)


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Insufficient API balance", BalanceError),
        ("insufficient BALANCE.", BalanceError),
        ("no API key found in request", AuthenticationError),
        ("no Route matched with those values", RouteError),
    ],
)
def test_the_text_decides_where_there_is_no_code(
    status: int, text: str, kind: type[TMAPIError]
) -> None:
    """A bare message about balance, key or route ends all work, in `msg` or in `message`."""
    for body in ({"message": text}, {"msg": text}, {"msg": "", "message": text, "code": None}):
        error = failure_of(body, status)
        assert type(error) is kind
        assert error.message == text


@pytest.mark.parametrize(
    "text",
    [
        "failure to get a peer from the ring-balancer",
        "upstream load balancer unavailable",
        "rebalance in progress",
        "no Routes loaded yet",
    ],
)
def test_words_that_only_look_alike_end_nothing(text: str) -> None:
    """A message about a gateway's balancer is not about the balance: the request is retried."""
    assert type(failure_of({"message": text}, 502)) is MalformedReplyError
    assert type(failure_of({"message": text}, 503)) is UnavailableError


def test_the_code_counts_more_than_the_text() -> None:
    """A documented code decides, even if the text is about something else."""
    assert type(failure_of({"code": 500, "msg": "balance service down"})) is ServerError


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"code": 422, "msg": "a", "message": "b"}, "a"),
        ({"code": 422, "msg": "", "message": "b"}, "b"),
        ({"code": 422, "msg": None, "message": "b"}, "b"),
        ({"code": 422, "msg": {"en": "a"}, "message": "b"}, "b"),
        ({"code": 422, "msg": 5, "message": ["b"]}, ""),
        ({"code": 422}, ""),
    ],
)
def test_the_message_is_text_from_msg_or_message(body: dict[str, Any], message: str) -> None:
    """The error message is `msg`, or else `message`, if it is text."""
    assert failure_of(body).message == message


@pytest.mark.parametrize("code", ["abc", "", True, False, [439], {"v": 439}, None, "9" * 5000, 1.5])
def test_a_code_that_is_no_integer_is_no_code(code: object) -> None:
    """A code that cannot be read as an integer counts as missing."""
    error = failure_of({"code": code, "msg": "hm"})
    assert type(error) is MalformedReplyError
    assert error.code is None


def test_a_code_with_a_decimal_point_is_the_same_code() -> None:
    """439.0 is 439: JSON does not tell integers from other numbers."""
    assert type(failure_of(b'{"code": 439.0}')) is BalanceError
    assert type(failure_of(b'{"code": 1e999}')) is MalformedReplyError


@pytest.mark.parametrize(
    "body",
    [
        envelope(data=None),
        {"code": 200, "msg": "success"},
        envelope(data=[]),
        envelope(data="x"),
        with_data(items=None),
        with_data(items={}),
        with_data(items="null"),
        with_data(has_next_page=None),
        with_data(has_next_page="maybe"),
        {"code": 200, "data": {"has_next_page": False}},
        {"code": 200, "data": {"items": []}},
        {"code": "200", "data": {}},
    ],
)
def test_a_success_of_an_unexpected_shape_is_a_failure(body: dict[str, Any]) -> None:
    """Code 200 without rows and has_next_page is never taken for an empty page."""
    error = failure_of(body)
    assert type(error) is MalformedReplyError
    assert (error.code, error.recovery) == (200, Recovery.RETRY)
    assert "unexpected shape" in error.message


@pytest.mark.parametrize("status", [200, 201, 204, 299])
@pytest.mark.parametrize("code", [200, "200", 200.0])
def test_a_success_is_2xx_with_code_200(status: int, code: object) -> None:
    """A page is a page at any 2xx status and with its code as a number or as text."""
    result = read(envelope(code=code), status)
    assert isinstance(result, Page)
    assert (result.number, len(result.items), result.has_next_page) == (3, 1, True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (101, UnexpectedCodeError),
        (400, UnexpectedCodeError),
        (401, AuthenticationError),
        (439, BalanceError),
        (500, ServerError),
        (502, ServerError),
        (503, UnavailableError),
    ],
)
def test_a_whole_page_under_a_failing_status_is_a_failure(
    status: int, kind: type[TMAPIError]
) -> None:
    """A body with code 200 is an error if the HTTP status is not 2xx."""
    error = failure_of(envelope(), status)
    assert type(error) is kind
    assert error.code == status


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("body", [b"", HTML, b'{"code": 200}', b'{"code": 439}'])
def test_a_redirect_is_never_followed_nor_read(status: int, body: bytes) -> None:
    """A redirect is an error with any body: the token must not go to another address."""
    error = failure_of(body, status, location="http://elsewhere.test/?apiToken=secret")
    assert type(error) is RedirectError
    assert error.recovery is Recovery.GIVE_UP
    assert error.message == f"HTTP {status} to http://elsewhere.test/"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://api.test:8443/1688/items?apiToken=secret#x", " to https://api.test:8443/1688/items"),
        ("https://me:secret@api.test/a", " to https://api.test/a"),
        ("//api.test/a?secret", " to //api.test/a"),
        ("/login?next=secret", " to /login"),
        ("http://[::1]:80/", " to http://[::1]:80/"),
        ("http://api.test:secret/", ""),
        ("?secret", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_redirect_says_where_it_leads(location: str, shown: str) -> None:
    """The target helps to find the fault; the parts that may hold a secret are left out."""
    assert failure_of(b"", 302, location=location).message == f"HTTP 302{shown}"


NOT_JSON = (b"\xff\xfe", b"{", b"NaN", b'{"code": NaN}', b"{'code': 200}")
ENDLESS = (b"[", b'{"code":', b'{"code": 200, "data": {"items": [')


@pytest.mark.parametrize("body", [*NOT_JSON, *(start + b"[" * 100_000 for start in ENDLESS)])
def test_a_body_that_is_no_json_is_a_transport_failure(body: bytes) -> None:
    """A body that is cut, nested too deeply or not JSON is an error to retry, never a crash."""
    error = failure_of(body)
    assert type(error) is MalformedReplyError
    assert error.code is None


@given(st.binary(max_size=200), st.integers(min_value=100, max_value=599))
def test_no_reply_raises(body: bytes, status: int) -> None:
    """Any bytes under any status give a page or a typed error; nothing is raised."""
    result = read(body, status)
    assert isinstance(result, Page | TMAPIError)
    assert isinstance(result, Page) <= (200 <= status < 300)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["code", "msg", "message", "data", "items", "has_next_page", "item_id"]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON, st.sampled_from([200, 200, 401, 500]))
def test_no_json_raises(body: object, status: int) -> None:
    """Any JSON gives a page, or a typed error whose message is text."""
    result = read(body, status)
    assert isinstance(result, Page) or isinstance(result.message, str)


@given(JSON, st.booleans())
def test_an_empty_page_needs_an_empty_list_of_rows(rows: object, more: bool) -> None:
    """A page has no items only if the list was empty or every row is a reject."""
    result = read({"code": 200, "data": {"items": rows, "has_next_page": more}})
    if isinstance(result, Page):
        assert isinstance(rows, list)
        assert len(result.items) + len(result.rejects) == len(rows)


def test_a_page_tells_what_the_server_echoed() -> None:
    """Echoed page, size, total and `has_next_page` are read; request and times are the client's."""
    page = page_of(with_data(page="7", page_size="10", total_count="2465", has_next_page="false"))
    assert (page.echoed_page, page.page_size, page.total_count) == (7, 10, 2465)
    assert page.has_next_page is False
    assert (page.request, page.number, page.fetched_at) == (REQUEST, 3, NOW)
    assert page.extra == {}


@pytest.mark.parametrize("odd", ["", "abc", None, [], {}, True, "null", "1.2.3", -1, 2**63, "9e40"])
def test_odd_counts_do_not_cost_the_page(odd: object) -> None:
    """Counts that cannot be read are None, and the rows beside them are delivered."""
    page = page_of(with_data(page=odd, page_size=odd, total_count=odd, filters=odd))
    assert (page.echoed_page, page.page_size, page.total_count) == (None, None, None)
    assert len(page.items) == 1


COUNTS = st.sampled_from(
    [0, 7, 2**30 - 1, 2**30, 2**63 - 1, 2**63, -1, True, "7", "7+", "x", None, 1.0, 1.5]
)


@given(COUNTS, COUNTS, COUNTS)
def test_a_count_is_read_as_if_it_were_alone(page: object, size: object, total: object) -> None:
    """Page number, size and total are read each for itself, whatever the others are."""
    together = page_of(with_data(page=page, page_size=size, total_count=total))
    alone = [
        page_of(with_data(**{"page": None, "page_size": None, "total_count": None, **one}))
        for one in ({"page": page}, {"page_size": size}, {"total_count": total})
    ]
    assert (together.echoed_page, together.page_size, together.total_count) == (
        alone[0].echoed_page, alone[1].page_size, alone[2].total_count,
    )  # fmt: skip


def test_odd_texts_do_not_cost_the_page() -> None:
    """`msg` and `message` do not change a success."""
    for odd in (5, None, {"en": "ok"}, ["ok"]):
        assert len(page_of(envelope(msg=odd, message=odd)).items) == 1


def test_a_page_keeps_its_body_and_unknown_fields() -> None:
    """The body is kept byte for byte, and fields beside the rows are in extra."""
    page = page_of(with_data(keyword="裙", sort={"by": "sales"}) | {"request_id": "r1"})
    assert page.extra == {"keyword": "裙", "sort": {"by": "sales"}}
    assert page_of(page.body).items == page.items


def test_a_page_shows_no_rows_in_its_repr() -> None:
    """The repr of a page has the request and the counts, on one line."""
    text = repr(page_of(with_data(items=[row(1), row(2), None])))
    assert text == (
        "<Page category/items?cat_id=1031910 page 3: 2 items, 1 rejects, has_next_page=True>"
    )


def test_pages_can_be_pickled() -> None:
    """A page goes through pickle whole, drifted rows and rejects included."""
    page = page_of(with_data(items=[row(1), row(2, badge={"level": 3}), None, row(3, price=4)]))
    again = pickle.loads(pickle.dumps(page))  # noqa: S301 - made in the line itself
    assert again == page
    assert [item.extra for item in again.items] == [{}, {"badge": {"level": 3}}, {}]


def test_positions_count_rejects() -> None:
    """The position of an item counts the rows before it, decoded or not."""
    page = page_of(with_data(items=[None, row(1), "x", row(2), row(3), {}]))
    assert page.positions() == [1, 3, 4]
    assert [reject.position for reject in page.rejects] == [0, 2, 5]


def test_positions_stay_when_items_are_left_out() -> None:
    """Leaving items out changes the position of no other."""
    page = page_of(with_data(items=[row(1), None, row(2), row(2), row(3)]))
    first, _, again, last = page.items
    fewer = page.only([first, again, last])
    assert fewer.positions() == [0, 3, 4]
    assert fewer.only([last]).positions() == [4]
    assert page.only(list(page.items)) is page


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("120", 120.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("30s", 30.0),
        ("2 seconds", 2.0),
        ("5, 60, 30", 60.0),
        ("5, soon", 5.0),
        ("99999999", 86_400.0),
        ("1782907230", 30.0),
        ("2026-07-01T12:00:30Z", 30.0),
        ("9" * 100, 86_400.0),
        ("Fri, 01 Jul 2126 12:00:00 GMT", 86_400.0),
        ("Wed, 01 Jul 2026 12:00:30 GMT", 30.0),
        ("Wed, 01 Jul 2026 11:00:00 GMT", 0.0),
        ("Wednesday, 01-Jul-26 12:00:30 GMT", 30.0),
        ("Wed Jul  1 12:00:30 2026", 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(sent: str, seconds: float) -> None:
    """Retry-After is read as seconds, or as a date against the reply's own Date."""
    date = "Wed, 01 Jul 2026 12:00:00 GMT"
    headers = CIMultiDict({"Retry-After": sent, "DATE": date})
    result = read({"code": 503}, 503, headers)
    assert isinstance(result, ConcurrencyError)
    assert result.retry_after == seconds


def test_a_date_is_measured_against_our_clock_where_the_reply_has_none() -> None:
    """A reply without a Date header, or with a broken one, is compared with the local clock."""
    until = "Wed, 01 Jul 2026 12:01:00 GMT"
    now = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert parse_retry_after(until, None, now) == 60
    assert parse_retry_after(until, "yesterday", now + timedelta(seconds=20)) == 40
    assert parse_retry_after(until) is None


NO_DELAYS = (None, "", "soon", "-5", "1e9", "5m", ",", "\u00b2", "\u0664", "nan", "inf")
NO_DATES = ("99 Foo 2026 25:61:00 GMT", "21 Oct 99999999999999999999 07:28:00 GMT")


@pytest.mark.parametrize("sent", [*NO_DELAYS, *NO_DATES, "21 Oct 2015 07:28:00 +99999999999999"])
def test_a_retry_after_that_cannot_be_read_is_none(sent: str | None) -> None:
    """An invalid Retry-After gives no delay, and never an exception."""
    assert parse_retry_after(sent, "Wed, 01 Jul 2026 12:00:00 GMT", NOW) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_retry_after_never_raises(sent: str, date: str) -> None:
    """Any text in Retry-After and Date gives a delay from 0 to a day, or None."""
    result = parse_retry_after(sent, date, NOW)
    assert result is None or 0 <= result <= 86_400


@pytest.mark.parametrize("status", [417, 429, 500, 502, 503])
def test_retry_after_is_kept_with_and_without_a_code(status: int) -> None:
    """Every error to retry keeps the Retry-After of its reply."""
    for body in ({"code": status}, {"message": "hm"}, HTML):
        assert failure_of(body, status, retry_after="9").retry_after == 9
