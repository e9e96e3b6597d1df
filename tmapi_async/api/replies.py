"""From a reply to a page or a typed error. No I/O: a pure function of status, headers and bytes.

The rules are those of the API document and of what has been seen (docs: "Drift"): a reply is a
success only when the HTTP status is 2xx *and* `code` is 200 *and* `data` has the expected shape.
The body is read whatever the status, since the codes arrive both as statuses and inside an HTTP
200 body.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic

import msgspec

from tmapi_async import errors

from .decoding import UNREADABLE, Data, decoder
from .items import Item
from .lenient import read_leniently
from .listings import MAX_ID, PageRequest, endpoint_of
from .values import Reject, Wire, count

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    I = TypeVar("I", bound=Wire, default=Item)  # noqa: E741 - the item type
else:  # the default is for type checkers: Python has it from 3.13 on
    from typing import TypeVar

    I = TypeVar("I", bound=Wire)  # noqa: E741 - as above


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Status, headers and body of one attempt.

    Attributes:
        status: HTTP status.
        headers: Header fields; a mapping that ignores case, or lower-case names.
        body: Body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Head(msgspec.Struct, gc=False):
    code: Any = None
    msg: Any = None
    message: Any = None


class Page(msgspec.Struct, Generic[I], frozen=True, gc=False, kw_only=True):
    """A reply decoded: one page of a listing; of the one page of what is not paged.

    Attributes:
        request: The listing and the page number asked for.
        echoed_page: Page number as echoed by the server, or None.
        page_size: Page size as echoed by the server, in rows, or None. Never trust a requested one.
        has_next_page: Whether the server says that more follows, by the field of that name or,
            where there is none, by its total; the only thing that ends a walk.
        total_count: Rows in the whole listing if the server tells; 2,000 is a ceiling, not a count.
        items: The rows that could be decoded, in the order sent.
        rejects: The rows that could not, with their bytes and positions.
        body: The reply's body, so that a better model can decode it again without paying again.
        fetched_at: When the body had been read, aware, UTC.
        attempts: Attempts made for this page, the successful one included.
        latency: Seconds from the start of the successful attempt until its body was read.
        places: Positions of the items where some were dropped on request; else None.
    """

    request: PageRequest
    echoed_page: int | None
    page_size: int | None
    has_next_page: bool
    total_count: int | None
    items: list[I]
    rejects: list[Reject]
    body: bytes
    fetched_at: datetime
    attempts: int = 1
    latency: float = 0.0
    places: list[int] | None = None

    @property
    def number(self) -> int:
        """1-based number of the page asked for."""
        return self.request.number

    @property
    def extra(self) -> dict[str, Any]:
        """Fields beside the rows that no struct knows (echoed keyword, sort, ...)."""
        data = read_leniently(self.body)["data"]
        if not endpoint_of(self.request.listing).paged:
            return {}
        return {name: value for name, value in data.items() if name not in _PAGE_FIELDS}

    def positions(self) -> list[int]:
        """The 0-based position of each item among the rows as sent, rejects included."""
        if self.places is not None:
            return list(self.places)
        gaps = {reject.position for reject in self.rejects}
        return [n for n in range(len(self.items) + len(gaps)) if n not in gaps]

    @property
    def last_page(self) -> int | None:
        """Number of the last page as the total tells it, or None."""
        size = self.page_size or len(self.items) + len(self.rejects)
        if self.total_count is None or not size:
            return None
        return max(1, -(-self.total_count // size))

    def only(self, items: Sequence[I]) -> Page[I]:
        """The page with some of its items alone, in their order and at their positions."""
        if len(items) == len(self.items):
            return self
        wanted = {id(item) for item in items}
        pairs = zip(self.positions(), self.items, strict=True)
        places = [position for position, item in pairs if id(item) in wanted]
        return msgspec.structs.replace(self, items=list(items), places=places)

    def __repr__(self) -> str:
        return (
            f"<Page {self.request}: {len(self.items)} items, {len(self.rejects)} rejects, "
            f"has_next_page={self.has_next_page}>"
        )


_PAGE_FIELDS = frozenset(
    ("page", "page_size", "has_next_page", "total_count", "filters", "items"),
)
_HEAD = msgspec.json.Decoder(_Head)


def read_reply(
    reply: Reply,
    request: PageRequest,
    *,
    now: datetime,
    attempts: int = 1,
    latency: float = 0.0,
) -> Page[Any] | errors.TMAPIError:
    """Say what a reply means.

    Args:
        reply: Status, headers and body of an attempt.
        request: What was asked for.
        now: When the body had been read (aware, UTC); becomes `Page.fetched_at`.
        attempts: Attempts made for the page so far, this one included.
        latency: Seconds the attempt took.

    Returns:
        The page, or the error; the error is not located yet (`TMAPIError.locate`) and its message
        may still hold whatever the server said.
    """
    if 300 <= reply.status < 400:  # noqa: PLR2004 - HTTP's redirects
        return errors.RedirectError(f"HTTP {reply.status}", status=reply.status)
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's successes
        return _failure(reply, now)
    try:
        success, rejects = decoder(request.listing.endpoint).decode(reply.body)
    except UNREADABLE as error:
        return _failure(reply, now, str(error) or type(error).__name__)
    if success.code != 200:  # noqa: PLR2004 - the API's success
        return _failure(reply, now)
    data = success.data
    more = data.has_next_page
    if more is None:
        more = _more_by_total(request, data, len(data.items) + len(rejects))
        if more is None:
            return _failure(reply, now, "nothing tells whether there is a next page")
    return Page(
        request=request,
        echoed_page=_counted(data.page),
        page_size=_counted(data.page_size),
        has_next_page=more,
        total_count=_counted(data.total_count),
        items=data.items,
        rejects=rejects,
        body=reply.body,
        fetched_at=now,
        attempts=attempts,
        latency=latency,
    )


def _more_by_total(request: PageRequest, data: Data[Any], rows: int) -> bool | None:
    """Whether more follows, by the total where the endpoint tells one; None if nothing tells."""
    if endpoint_of(request.listing).paging not in ("total_count", "both"):
        return None
    total = _counted(data.total_count)
    if total is None:
        return None
    # The size as echoed: a requested one is not to be trusted.
    return request.number * (_counted(data.page_size) or rows) < total


def _counted(value: object) -> int | None:
    number = value if type(value) is int else _read(value)
    # Whoever keeps a count keeps it in 64 bits.
    return number if number is not None and 0 <= number <= MAX_ID else None


def _read(value: object) -> int | None:
    return count(value) if isinstance(value, int | float | str) else None


def _failure(reply: Reply, now: datetime, detail: str = "") -> errors.TMAPIError:
    status, headers = reply.status, reply.headers
    retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"), now)
    try:
        head = _HEAD.decode(reply.body)
    except UNREADABLE:
        return _without_code(status, f"HTTP {status}, not a JSON object", retry_after)
    text = head.msg if isinstance(head.msg, str) and head.msg else head.message
    text = text if isinstance(text, str) else ""
    code = _integer(head.code)
    if code is None:
        return _without_code(status, text or f"HTTP {status}, no code", retry_after)
    if code == 200 and 200 <= status < 300:  # noqa: PLR2004 - a success of another shape
        message = f"code 200 of another shape: {detail}"
        return errors.MalformedReplyError(message, code=code, status=status)
    # A proxy's failing status beside a body that claims success is still a failure.
    meant = status if code == 200 else code  # noqa: PLR2004
    kind = _CODES.get(meant) or _range(meant)
    return kind(text, code=meant, status=status, retry_after=retry_after)


def _without_code(status: int, text: str, retry_after: float | None) -> errors.TMAPIError:
    kind = _STATUSES.get(status)
    if kind is not None:
        return kind(text, code=status, status=status)
    for needle, found in _TEXTS:
        if needle.search(text):
            return found(text, status=status)
    return errors.MalformedReplyError(text, status=status, retry_after=retry_after)


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return None if isinstance(value, float) and value != number else number


def _range(code: int) -> type[errors.TMAPIError]:
    return errors.ServerError if 500 <= code < 600 else errors.UnexpectedCodeError  # noqa: PLR2004


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
# Only these statuses are believed where the body has no code: a proxy makes up the others.
_STATUSES = {status: _CODES[status] for status in (401, 402, 403, 404, 439)}
# Whole words: a gateway's "failure to get a peer from the ring-balancer" is no spent balance.
_TEXTS: tuple[tuple[re.Pattern[str], type[errors.TMAPIError]], ...] = (
    (re.compile(r"\bbalance\b", re.IGNORECASE), errors.BalanceError),
    (re.compile(r"\bapi key\b", re.IGNORECASE), errors.AuthenticationError),
    (re.compile(r"\bno route\b", re.IGNORECASE), errors.RouteError),
)


def parse_retry_after(
    value: str | None, date: str | None = None, now: datetime | None = None
) -> float | None:
    """Read a `Retry-After` header (RFC 9110, 10.2.3).

    Args:
        value: Delay in seconds or an HTTP date, or None.
        date: The reply's own `Date`, against which an HTTP date is measured, so that a wrong local
            clock does not matter.
        now: What an HTTP date is measured against where the reply has no `Date` (aware).

    Returns:
        Seconds to wait, 0 or more; None where there is none or it cannot be read.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until, since = _instant(text), _instant(date or "") or now
    if until is None or since is None:
        return None
    return max(0.0, (until - since).total_seconds())


def _instant(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    # RFC 9110, 5.6.7: an HTTP date is in UTC, whatever it forgets to say.
    return found if found.tzinfo else found.replace(tzinfo=UTC)
