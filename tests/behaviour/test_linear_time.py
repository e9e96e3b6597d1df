"""No text from outside holds the process up: all that reads one takes time in proportion to it."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.making import REQUEST, success
from tmapi_async.api.echoes import EchoChecks
from tmapi_async.api.failures import parse_retry_after
from tmapi_async.api.replies import Reply, read_reply
from tmapi_async.api.values import count, money, percent
from tmapi_async.cli.concealing import command_to_continue
from tmapi_async.errors.shown_value import show_value
from tmapi_async.export import ExportRefusedError
from tmapi_async.export.destinations import parse_destination
from tmapi_async.transport.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

SHORT, LONG = 1_000, 8_000
LINEAR, QUADRATIC = LONG // SHORT, (LONG // SHORT) ** 2
NOISE = 0.002  # seconds; less is not measured well

STARTS = ("", '"', "0", "charset", "<title")
UNITS = (
    *" \t\n\"'\\.,:;=-+%&#/@|()[]{}<>a0Z_é万千",
    *("a ", "0,", "a.", " 0", "://", "charset=", "max-age ", "<title", "not enough ", "[[", "a-"),
    *("\\u", "&#", "%25", "1e", "1.", '"items":[', "},", "}]", '{"a":', "-- ", "千克", "--", "a="),
    *(" no ", '"\\', ". ", "\x1b[", "\u202e", "--a=", "postgres://a@", "&amp;", "\\\\"),
)
ENDS = ("", "!")


def texts(size: int) -> Iterator[str]:
    """Yield texts that repeat something, between a beginning and an end."""
    for start in STARTS:
        for unit in UNITS:
            for end in ENDS:
                yield start + unit * (size // len(unit)) + end


def seconds(work: Callable[[Any], object], material: Any) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    work(material)
    return time.process_time() - start


def is_slow(work: Callable[[Any], object], short: Any, long: Any) -> bool:
    """Return True if the time grows much faster than the length, each time that it is measured."""
    for _ in range(3):
        taken = seconds(work, long)
        if taken < NOISE or taken < (LINEAR + QUADRATIC) / 2 * seconds(work, short):
            return False
    return True


NOW = datetime(2026, 7, 1, tzinfo=UTC)
TOKEN = "canary%25\\-&amp;5up3r"  # noqa: S105 - opens nothing
ROW = b'{"item_id": 1, "title": "%b", "sales_count": "%b"}'


def read(status: int, body: bytes, **headers: str) -> object:
    """Read a reply with these headers."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_reply(Reply(status, sent, body), REQUEST, now=NOW, checks=EchoChecks())


def read_in_row(text: str) -> object:
    """Read a page with a text in a row and in an echoed field."""
    sent = text.encode("utf-8", "replace")
    return read(200, success([ROW % (sent, sent)], b'"has_next_page": true, "sort": "%b"' % sent))


def read_destination(text: str) -> None:
    """Read the destination of an export, which may be refused."""
    with contextlib.suppress(ExportRefusedError):
        parse_destination(text)


READERS: dict[str, Callable[[str], object]] = {
    "the body of a success": lambda text: read(200, text.encode()),
    "the body of a failure": lambda text: read(500, text.encode()),
    "the body of a refusal": lambda text: read(403, text.encode()),
    "a text of the API": lambda text: read(200, b'{"code": 500, "msg": %r}' % text.encode()),
    "a row": read_in_row,
    "Content-Type": lambda text: read(500, b"\xff", content_type=text),
    "Retry-After": lambda text: parse_retry_after(text, text, NOW),
    "Location": lambda text: read(302, b"", location=text),
    "Age": lambda text: read(200, success([]), age=text, date=text),
    "Cache-Control": lambda text: read(500, b"", age="5", cache_control=text, expires=text),
    "a count": count,
    "an amount of money": money,
    "a percentage": percent,
    "a refused value": show_value,
    "a text to redact": Redactor(TOKEN),
    "the beginning of a token, repeated": lambda text: Redactor(text[:40] + "!")(text),
    "a destination": read_destination,
    "an argument of the command line": lambda text: command_to_continue([text]),
}


@pytest.mark.parametrize("name", READERS)
def test_what_reads_a_text_from_outside_takes_linear_time(name: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four times."""
    read_text = READERS[name]
    pairs = zip(texts(SHORT), texts(LONG), strict=True)
    assert [long[:20] for short, long in pairs if is_slow(read_text, short, long)] == []


def test_a_reader_that_is_quadratic_is_noticed() -> None:
    """The check itself finds a regular expression that scans the rest at each place."""
    pattern = re.compile(r"a[^b]*b")
    assert is_slow(pattern.search, "a" * SHORT * 2, "a" * LONG * 2)  # far above the noise
