"""Turn a reply that is not a page into a typed error. No I/O.

The code of the body decides. Without one, the statuses that end all work decide, then the text.
Gateways, proxies and firewalls answer too, in their own shapes: their replies must not be taken for
the API's word about the account, and the API's word must be heard in any charset.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tmapi_async import errors

from .decoding import UNREADABLE, has_too_many_values
from .json_repair import repair

_LONGEST_STATEMENT = 2**18
"""Bytes. Only so much of an odd reply is looked at: the event loop must not wait for it."""

_LONGEST_TEXT = 2000  # characters

_SERVER_ERRORS = range(500, 600)
_SUCCESSES = range(200, 300)


class _Head(msgspec.Struct, gc=False):
    code: Any = None
    msg: Any = None
    message: Any = None


class _Statement(msgspec.Struct, frozen=True, gc=False):
    """Statement of a reply about itself.

    Attributes:
        code: The code, or None.
        text: The text, or "".
        is_json: True if the body is a JSON object or a list of them.
        is_markup: True if the body is an HTML or XML document.
    """

    code: int | None = None
    text: str = ""
    is_json: bool = False
    is_markup: bool = False


class _Code(msgspec.Struct, gc=False):
    code: int | str | None = None


_HEAD = msgspec.json.Decoder(_Head)
_CODE = msgspec.json.Decoder(_Code)


def read_failure(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime, detail: str = ""
) -> errors.TMAPIError:
    """Read a reply that is not a page as an error.

    Args:
        status: HTTP status.
        headers: Header fields, in a mapping that ignores case or has lower-case names.
        body: Body, decompressed.
        now: Time at which the body had been read (aware).
        detail: Reason why a body that claims success is not a page.

    Returns:
        The error. It has no location yet, and its message may contain any text of the server.
    """
    retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"), now)
    statement = _read_statement(body, headers.get("content-type") or "")
    code = statement.code
    if code is None:
        return _without_code(status, statement, retry_after)
    if code == 200 and status in _SUCCESSES:  # noqa: PLR2004 - a success of another shape
        kind = _kind_by_text(statement.text, strict=True)
        if kind is not None:
            return kind(statement.text, status=status, retry_after=retry_after)
        message = f"unexpected shape: {detail}"
        return errors.MalformedReplyError(message, code=code, status=status)
    # A proxy's failing status beside a body that claims success is still a failure.
    effective_code = status if code == 200 else code  # noqa: PLR2004
    kind = _CODES.get(effective_code) or _error_for_range(effective_code)
    if status in _BUSY_STATUSES and code not in _OTHER_REASONS:
        effective_code, kind = status, _BUSY_STATUSES[status]
    return kind(statement.text, code=effective_code, status=status, retry_after=retry_after)


def _read_statement(body: bytes, content_type: str) -> _Statement:
    if has_too_many_values(body):
        return _read_code(body)
    try:
        head = _HEAD.decode(body)
    except UNREADABLE:
        return _read_odd_statement(body, content_type)
    text = head.msg if isinstance(head.msg, str) and head.msg else head.message
    statement = _Statement(_integer(head.code), text if isinstance(text, str) else "", is_json=True)
    if statement.code not in (None, 200):
        return statement
    nested = _read_odd_statement(body, content_type)
    if nested.code in (_NESTED_CODES if statement.code is None else _ACCOUNT_CODES):
        return nested
    return msgspec.structs.replace(statement, text=statement.text or nested.text)


def _read_code(body: bytes) -> _Statement:
    """Read only the code of a body that has too many values to be decoded."""
    try:
        code = _integer(_CODE.decode(body).code)
    except UNREADABLE:
        return _Statement()
    return _Statement(code, is_json=True)


def _read_odd_statement(body: bytes, content_type: str) -> _Statement:
    """Read a body that is not the usual JSON object in UTF-8."""
    text = _decoded(body[:_LONGEST_STATEMENT], content_type).strip()
    if text.startswith("<"):
        return _Statement(text=_title(text), is_markup=True)
    value = _loaded(text)
    if value is None:
        return _Statement(text=text[:_LONGEST_TEXT] if len(body) <= _LONGEST_TEXT else "")
    if isinstance(value, str):
        return _Statement(text=value[:_LONGEST_TEXT])
    parts = [{str(key).lower(): part[key] for key in part} for part in _parts(value)]
    codes = (_integer(part.get(key)) for part in parts for key in _CODE_KEYS)
    texts = (part.get(key) for part in parts for key in _TEXT_KEYS)
    code = _integer(parts[0].get("code")) if parts else None
    if code in (None, 200):
        code = next((known for known in codes if known in _NESTED_CODES), code)
    return _Statement(
        code,
        next((part for part in texts if isinstance(part, str) and part), "")[:_LONGEST_TEXT],
        is_json=bool(parts),
    )


def _loaded(text: str) -> Any:
    """Return the value of JSON, repaired if need be; None if it cannot be read."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    try:  # one bad character must not hide the code
        return msgspec.json.decode(repair(text.encode("utf-8", "replace")))
    except UNREADABLE:
        return None


def _parts(value: Any) -> Iterator[dict[Any, Any]]:
    """Yield the objects in which a reply may state its failure, the outermost first."""
    outer = value[0] if isinstance(value, list) and value else value
    if isinstance(outer, dict):
        yield outer
        for name, inner in outer.items():
            if str(name).lower() in _NESTS:
                first = inner[0] if isinstance(inner, list) and inner else inner
                if isinstance(first, dict):
                    yield first


_CODE_KEYS = ("code", "status", "status_code", "statuscode", "error_code", "errorcode", "errcode")
_TEXT_KEYS = (
    "msg", "message", "error", "error_message", "errormessage", "error_msg", "errmsg", "detail",
    "reason", "error_description",
)  # fmt: skip
_NESTS = frozenset(("error", "errors", "data", "result", "fault", "detail", "response"))

# Only these: decoding by a name that a server chooses can be slow (`idna`) or refuse text.
_CHARSETS = frozenset(
    ("gbk", "gb2312", "gb18030", "big5", "utf-16", "utf-16le", "utf-16be", "iso-8859-1",
     "windows-1252", "shift_jis", "euc-jp", "euc-kr")
)  # fmt: skip
_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,40})")


def _decoded(body: bytes, content_type: str) -> str:
    charsets: list[str] = [json.detect_encoding(body)]
    match = _CHARSET.search(content_type[:200].lower())
    if match is not None and match[1] in _CHARSETS:
        charsets.append(match[1])
    for charset in (*charsets, "gb18030"):
        try:
            return body.decode(charset)
        except UnicodeDecodeError:
            continue
    return body.decode("utf-8", "replace")


_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,200})<", re.IGNORECASE)


def _title(markup: str) -> str:
    match = _TITLE.search(markup[:_LONGEST_TEXT])
    return match[1].strip() if match is not None else ""


def _without_code(
    status: int, statement: _Statement, retry_after: float | None
) -> errors.TMAPIError:
    text = statement.text
    summary = text if statement.is_json and text else _summary(status, statement)
    kind = _STATUSES.get(status)
    if status == _FORBIDDEN and statement.is_markup:
        # The API answers in JSON. Firewalls and proxies refuse with such a page.
        reason = f"HTTP 403, a page of a proxy or firewall in between{text and f': {text}'}"
        return errors.MalformedReplyError(reason, status=status, retry_after=retry_after)
    if status == _FORBIDDEN and _BUSY_TEXT.search(text[:_LONGEST_TEXT]):
        kind = errors.RateLimitError
    if kind is not None:
        return kind(summary, code=status, status=status, retry_after=retry_after)
    # A server that has failed itself uses these words about its own parts, too.
    strict = status in _SERVER_ERRORS or not statement.is_json
    text_kind = None if statement.is_markup else _kind_by_text(text, strict=strict)
    if status in _BUSY_STATUSES and text_kind in (None, errors.RateLimitError):
        kind = _BUSY_STATUSES[status]
        return kind(summary, code=status, status=status, retry_after=retry_after)
    if text_kind is not None:
        return text_kind(text, status=status, retry_after=retry_after)
    if status in _REFUSED_STATUSES:
        summary = summary if summary.startswith("HTTP") else f"HTTP {status}: {summary}"
        return errors.RequestRefusedError(summary, status=status)
    return errors.MalformedReplyError(summary, status=status, retry_after=retry_after)


def _summary(status: int, statement: _Statement) -> str:
    if statement.is_json:
        return f"HTTP {status}, no code"
    text = f": {statement.text}" if statement.text else ""
    return f"HTTP {status}, not a JSON object{text}"


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return None if isinstance(value, float) and value != number else number


def _error_for_range(code: int) -> type[errors.TMAPIError]:
    return errors.ServerError if code in _SERVER_ERRORS else errors.UnexpectedCodeError


_CODES: dict[int, type[errors.TMAPIError]] = {
    401: errors.AuthenticationError,
    402: errors.BalanceError,
    403: errors.AuthenticationError,
    404: errors.RouteError,
    417: errors.RetrievalError,
    422: errors.ParameterError,
    429: errors.RateLimitError,
    439: errors.BalanceError,
    499: errors.TryAgainError,
    500: errors.ServerError,
    503: errors.ConcurrencyError,
    4011: errors.AuthenticationError,
}
_ACCOUNT_CODES = frozenset((401, 402, 439, 4011))
# In another place than `code` of the outermost object, only codes that the API documents count. A
# 404 there may be the word of a proxy, and would end all work.
_NESTED_CODES = frozenset(_CODES) - {404}
# Only these statuses decide if the body has no code: proxies invent the others.
_STATUSES = {status: _CODES[status] for status in (401, 402, 403, 404, 439)}
_FORBIDDEN = 403
# Gateways, load balancers and proxies limit requests and connections, each with a body of its own.
_BUSY_STATUSES: dict[int, type[errors.TMAPIError]] = {
    429: errors.RateLimitError,
    503: errors.UnavailableError,
}
# Codes of the API that are believed under such a status, too. The others are a gateway's own.
_OTHER_REASONS = frozenset(_CODES) - {500}
# Asking again cannot help: the same request gets the same answer. 411 to 415, 431, 501 and 505 say
# that a server or proxy does not accept the form of the request, 407 and 511 that a proxy or the
# network wants a login first.
_REFUSED_STATUSES = frozenset(
    (400, 405, 406, 407, 410, 411, 413, 414, 415, 431, 451, 501, 505, 511)
)

# Whole words: a gateway's "failure to get a peer from the ring-balancer" says nothing about the
# account's balance, and "no route to host" nothing about the endpoint.
_TEXTS: tuple[tuple[re.Pattern[str], type[errors.TMAPIError]], ...] = (
    (re.compile(r"\bbalance\b", re.IGNORECASE), errors.BalanceError),
    (re.compile(r"\bapi (?:key|token)\b", re.IGNORECASE), errors.AuthenticationError),
    (re.compile(r"\bno route\b(?! to )", re.IGNORECASE), errors.RouteError),
)
_BUSY_TEXT = re.compile(
    r"\btoo many requests\b|\b(?:rate|concurrency|request|quota per minute) limit (?:is |was )?"
    r"(?:exceeded|reached)\b",
    re.IGNORECASE,
)
_LACK = r"(?:insufficient|not enough|exhausted|used up|spent|too low)"
_STRICT_TEXTS: tuple[tuple[re.Pattern[str], type[errors.TMAPIError]], ...] = (
    (
        re.compile(
            rf"\b{_LACK}\b[\w ]{{0,30}}(?<!load )\bbalance\b"
            rf"|(?<!load )\bbalance\b[\w ]{{0,20}}\b{_LACK}\b"
            r"|\bsubscription (?:has |is )?expired\b|余额不足|余额已用完|欠费",
            re.IGNORECASE,
        ),
        errors.BalanceError,
    ),
    (
        re.compile(
            r"\b(?:no|invalid|missing|wrong|unknown|bad|expired) api (?:key|token)\b"
            r"|\bapi (?:key|token) (?:is |has |was )?"
            r"(?:invalid|missing|wrong|unknown|expired|required|not found)\b",
            re.IGNORECASE,
        ),
        errors.AuthenticationError,
    ),
    (re.compile(r"\bno route matched\b", re.IGNORECASE), errors.RouteError),
    (_BUSY_TEXT, errors.RateLimitError),
)


def _kind_by_text(text: str, *, strict: bool) -> type[errors.TMAPIError] | None:
    """Return the error that a text stands for, or None.

    Args:
        text: Text of the reply.
        strict: Only phrases that are about the account or the endpoint count, not single words.
    """
    text = text[:_LONGEST_TEXT]
    patterns = _STRICT_TEXTS if strict else (*_STRICT_TEXTS, *_TEXTS)
    return next((kind for pattern, kind in patterns if pattern.search(text)), None)


def parse_retry_after(
    value: str | None, date: str | None = None, now: datetime | None = None
) -> float | None:
    """Read a `Retry-After` header (RFC 9110, 10.2.3), and what servers send in its place.

    Args:
        value: Delay in seconds, also as a fraction; or a date of any HTTP form, of ISO 8601 or in
            seconds since 1970; or None. Of a list of delays the longest counts.
        date: `Date` of the same reply. An instant is compared with it, so that a wrong local
            clock does not matter.
        now: Time to compare with if the reply has no `Date` (aware).

    Returns:
        Seconds to wait, from 0 to a day; None without a header or if it cannot be read.
    """
    text = (value or "").strip()[:_LONGEST_RETRY_AFTER]
    sent_at = _instant(date or "") or now
    # A date has a comma of its own.
    texts = [text] if _instant(text) else text.split(",")
    delays = [delay for part in texts if (delay := _delay(part.strip(), sent_at)) is not None]
    return min(max(0.0, *delays), _LONGEST_DELAY) if delays else None


def _delay(text: str, sent_at: datetime | None) -> float | None:
    """Return the seconds that one value asks to wait, below 0 for a past date; or None."""
    match = _SECONDS.fullmatch(text)
    if match is None:
        instant = _instant(text)
        is_known = instant is not None and sent_at is not None
        return (instant - sent_at).total_seconds() if is_known else None  # type: ignore[operator]
    seconds = float(match[1])
    if seconds < _FIRST_EPOCH_SECONDS or sent_at is None:
        return seconds
    return seconds - sent_at.timestamp()


_LONGEST_RETRY_AFTER = 200  # characters
_LONGEST_DELAY = 86_400.0
_FIRST_EPOCH_SECONDS = 1e9
"""Numbers from here on are instants (2001 and later): no server asks to wait for 30 years."""
_SECONDS = re.compile(
    r"([0-9]{1,100}(?:\.[0-9]{0,100})?)\s{0,9}(?:s|secs?|seconds?)?", re.IGNORECASE
)


def _instant(text: str) -> datetime | None:
    for parse in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        try:
            instant = parse(text)
        except (TypeError, ValueError, OverflowError):
            continue
        # RFC 9110, 5.6.7: an HTTP date is in UTC, even without a zone.
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None
