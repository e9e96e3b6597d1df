"""Failures in the shapes and charsets of gateways, proxies and firewalls."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.making import read
from tmapi_async import (
    AuthenticationError,
    BalanceError,
    ConcurrencyError,
    MalformedReplyError,
    RateLimitError,
    Recovery,
    RequestRefusedError,
    RouteError,
    ServerError,
    TMAPIError,
    TransportError,
    UnavailableError,
)

HTML = b"<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body>balance</body></html>"
SPENT = {"code": 439, "msg": "\u4f59\u989d\u4e0d\u8db3"}  # "insufficient balance"


def failure_of(body: Any, status: int = 200, content_type: str = "") -> TMAPIError:
    """Read a reply that must be an error."""
    result = read(body, status, {"content-type": content_type})
    assert isinstance(result, TMAPIError), result
    return result


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_account_error_is_heard_in_any_charset(charset: str, status: int) -> None:
    """The charset of the message must not hide the code."""
    error = failure_of(json.dumps(SPENT, ensure_ascii=False).encode(charset), status)
    assert type(error) is BalanceError
    assert (error.code, error.message) == (439, SPENT["msg"])


def test_the_declared_charset_is_used_if_it_is_a_known_one() -> None:
    """The charset comes from the server: names whose decoding is slow or refused are ignored."""
    body = json.dumps({"code": 439, "msg": "\u9918\u984d"}, ensure_ascii=False).encode("big5")
    assert failure_of(body, 200, "application/json; charset=Big5").message == "\u9918\u984d"
    for name in ("idna", "punycode", "rot13", "x" * 5000):
        assert failure_of(body, 200, f"application/json; charset={name}").code == 439


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 439, "message": "spent"}},
        {"errors": [{"code": "439", "detail": "spent"}]},
        {"Code": 439, "Message": "spent"},
        {"status": 439, "error": "spent"},
        {"error_code": 439, "error_msg": "spent"},
        {"code": 200, "msg": "success", "data": {"code": 439, "msg": "spent"}},
        [{"code": 439, "msg": "spent"}],
        b'{"code": 439, "msg": "spent\t\xff"}',
    ],
)
def test_an_account_error_is_heard_in_any_shape(body: Any) -> None:
    """A code in another place than usual still ends all work."""
    error = failure_of(body)
    assert type(error) is BalanceError
    assert error.code == 439
    assert error.message.startswith("spent") or error.message == "success"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"Insufficient API balance", BalanceError),
        (b'"Insufficient API balance"', BalanceError),
        ({"error": "Insufficient balance"}, BalanceError),
        ({"error": {"message": "your balance is not enough"}}, BalanceError),
        ({"message": "\u60a8\u7684\u4f59\u989d\u4e0d\u8db3"}, BalanceError),
        ({"code": 200, "msg": "Insufficient balance", "data": None}, BalanceError),
        (b"Invalid API key", AuthenticationError),
        ({"error": "no API token given"}, AuthenticationError),
    ],
)
def test_an_account_error_without_a_code_is_heard(body: Any, kind: type[TMAPIError]) -> None:
    """A phrase about the account ends all work, in any shape; a success without data counts too."""
    assert type(failure_of(body)) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    "text",
    [
        "balance service unavailable",
        "insufficient capacity to load balance",
        "failed to balance the load",
        "error while reading the balance of peers",
        "could not load the api key store",
        "upstream: no route to host",
    ],
)
def test_a_failing_gateway_does_not_speak_of_the_account(status: int, text: str) -> None:
    """A single word in the text of a 5xx ends nothing: the request is tried again."""
    recovery = Recovery.BACK_PRESSURE if status == 503 else Recovery.RETRY
    for body in ({"message": text}, text.encode()):
        assert failure_of(body, status).recovery is recovery


BARE_BODIES = (
    b"", HTML, b"null", b"[]", b'"x"', b"{}", {"message": "API rate limit exceeded"},
    b"Service Temporarily Unavailable", {"error": "Too Many Requests"}, {"code": None},
    {"code": "TooManyRequestsException"}, {"code": 200, "data": {}}, {"code": 10013, "msg": "busy"},
    {"code": 500, "msg": "busy"}, {"code": 0}, {"error": {"code": 404, "message": "busy"}},
)  # fmt: skip


@pytest.mark.parametrize("body", BARE_BODIES)
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (503, UnavailableError)])
def test_back_pressure_is_known_by_its_status(
    status: int, kind: type[TMAPIError], body: Any
) -> None:
    """A gateway's refusal waits like a coded one and is counted as 429 or 503, in any body."""
    error = failure_of(body, status)
    assert type(error) is kind
    assert isinstance(error, ConcurrencyError)
    assert error.recovery is Recovery.BACK_PRESSURE
    assert (error.code, error.status, error.label) == (status, status, str(status))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("code", "kind"), [(439, BalanceError), (4011, AuthenticationError), (503, ConcurrencyError)]
)
def test_a_documented_code_counts_more_than_a_status_of_back_pressure(
    status: int, code: int, kind: type[TMAPIError]
) -> None:
    """A spent balance under HTTP 503 is no refusal that passes."""
    for body in ({"code": code, "msg": "why"}, {"error": {"code": code}}):
        assert type(failure_of(body, status)) is kind


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize(
    "text",
    ["API rate limit exceeded", "Too Many Requests", "Concurrency limit reached: slow down"],
)
def test_back_pressure_is_known_by_its_words(status: int, text: str) -> None:
    """A refused rate in another status must not be a refused token, nor one of a few failures."""
    error = failure_of({"message": text}, status)
    assert type(error) is RateLimitError
    assert error.status == status


def test_no_route_to_a_host_is_not_a_missing_endpoint() -> None:
    """The network's word for an unreachable host must not end all work."""
    assert isinstance(failure_of({"message": "no route to host"}, 200), TransportError)
    assert type(failure_of({"message": "no Route matched"}, 502)) is RouteError


@pytest.mark.parametrize("body", [HTML, b"\n<html>denied</html>", b"<?xml version='1.0'?><Error/>"])
def test_a_firewalls_page_is_not_a_refused_token(body: bytes) -> None:
    """A 403 with a page of markup comes from something in between, and is tried again."""
    error = failure_of(body, 403)
    assert type(error) is MalformedReplyError
    assert "proxy or firewall" in str(error)
    assert "token" not in str(error)
    for words in (b"", b"{}", b"forbidden"):
        assert type(failure_of(words, 403)) is AuthenticationError


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (404, RouteError), (439, BalanceError)]
)
def test_other_statuses_are_believed_with_a_page(status: int, kind: type[TMAPIError]) -> None:
    """Only 403 is a usual status of firewalls; a wrong path gives a page with 404."""
    assert type(failure_of(HTML, status)) is kind


@pytest.mark.parametrize("status", [400, 405, 407, 413, 414, 431, 501, 511])
@pytest.mark.parametrize("body", [b"", HTML, b"{}", b'{"message": "no"}', b"Bad Request"])
def test_a_refused_request_is_not_sent_again(status: int, body: bytes) -> None:
    """A status that the same request would get again is not asked for eight times."""
    error = failure_of(body, status)
    assert type(error) is RequestRefusedError
    assert (error.recovery, error.code, error.status) == (Recovery.GIVE_UP, None, status)
    assert f"HTTP {status}" in error.message


def test_only_documented_codes_count_in_odd_places() -> None:
    """A 404 or an unknown number of a gateway's own object must not end a listing."""
    for number in (404, 0, 1, 10013):
        error = failure_of({"error": {"code": number, "message": "hm"}}, 502)
        assert (type(error), error.message) == (MalformedReplyError, "hm")
    assert type(failure_of({"error": {"code": 503}}, 502)) is ConcurrencyError
    assert type(failure_of({"error": {"code": 500}}, 502)) is ServerError


def test_a_message_shows_what_came_in_place_of_json() -> None:
    """A short text or the title of a page helps to find which machine answered."""
    assert failure_of(b"upstream connect error", 502).message.endswith("upstream connect error")
    assert failure_of(HTML, 502).message == "HTTP 502, not a JSON object: 403 Forbidden"


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [b"<", b"<title", b"[", b'{"error":', b"insufficient ", b"balance ", b"\\", b"\xff", b"1",
     b"no api key ", b"charset=", b"\x00\xd8"],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 403, 500])
def test_no_long_reply_holds_the_event_loop(unit: bytes, status: int) -> None:
    """The time does not grow with the length: ten times the bytes, about the same CPU time."""

    def seconds(length: int) -> float:
        body = unit * (length // len(unit))
        start = time.process_time()
        failure_of(body, status, "text/html; charset=" + "a" * 5000)
        return time.process_time() - start

    assert seconds(4_000_000) < 0.3 + 10 * seconds(400_000)
