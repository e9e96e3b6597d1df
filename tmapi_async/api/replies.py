"""Turn a reply into a page or a typed error. No I/O: a pure function of status, headers and body.

The rules follow the API document and replies seen in use (docs: "Drift"). A reply is a success only
if the HTTP status is 2xx *and* `code` is 200 *and* `data` has the expected shape. The body is read
under any status, because codes arrive both as statuses and inside an HTTP 200 body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic
from urllib.parse import urlsplit
from zlib import crc32

import msgspec

from tmapi_async import errors

from .columns import RowMode, row_in_mode
from .decoding import UNREADABLE, Data, TooManyValuesError, decoder
from .echoes import EchoChecks
from .failures import read_failure
from .items import Item
from .lenient import read_leniently
from .listings import MAX_ID, USUAL_CEILING, PageRequest, endpoint_of
from .rows import name_products, page_html, page_rows
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
        headers: Header fields, in a mapping that ignores case or has lower-case names.
        body: Body, decompressed.
        connection: Connection that brought the reply, for the transport; None if not known.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    connection: Any = None

    def __repr__(self) -> str:  # a server may send the token back, and tracebacks show locals
        return f"<Reply {self.status}: {len(self.body)} bytes>"


class Page(msgspec.Struct, Generic[I], frozen=True, gc=False, kw_only=True):
    """A decoded reply: one page of a listing. Endpoints without pages have one page.

    Attributes:
        request: Requested listing and page number.
        echoed_page: Page number as echoed by the server, or None.
        page_size: Rows a page as echoed by the server, or None. Never trust a requested size.
        has_next_page: True if the server says that another page follows, by the field of that name
            or, without such a field, by its total. Only this value ends a walk.
        total_count: Rows in the whole listing, or None; 2,000 is a ceiling, not a count.
        items: Rows that could be decoded, in the order sent.
        rejects: Rows that could not be decoded, with their bytes and positions.
        body: Body of the reply, so that a later version can decode it again without a new request.
        fetched_at: Time at which the body had been read, aware, UTC; or, if a cache in between
            says how old its reply is, the time at which the cache received it.
        attempts: Attempts made for this page, the successful one included; 0 for a page from the
            client's cache.
        latency: Seconds from the start of the successful attempt until its body was read.
        age: Seconds for which a cache had kept the reply: that of the client, or one in between; 0
            if no cache says so.
        places: Positions of the items if some were left out on request (`only`); otherwise None.
        from_cache: True if the page comes from the cache of the client and was not requested.
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
    age: float = 0.0
    places: list[int] | None = None
    from_cache: bool = False

    @property
    def number(self) -> int:
        """1-based number of the requested page."""
        return self.request.number

    @property
    def extra(self) -> dict[str, Any]:
        """Fields beside the rows that no struct knows (echoed keyword, sort, ...)."""
        if not endpoint_of(self.request.listing).paged:
            return {}
        try:
            data = read_leniently(self.body)["data"]
        except UNREADABLE:  # one of the rows is not JSON, and is a reject
            return {}
        return {name: value for name, value in data.items() if name not in _PAGE_FIELDS}

    @property
    def rows(self) -> int:
        """Number of rows as sent, rejects included."""
        return len(self.items) + len(self.rejects)

    def row_ids(self) -> list[int]:
        """Return the ID of each row as sent; below 0 for a reject, by its bytes."""
        items: list[Any] = self.items
        ids = [item.row_id for item in items]
        for reject in self.rejects:
            ids.insert(reject.position, -1 - crc32(reject.raw))
        return ids

    def positions(self) -> list[int]:
        """Return the 0-based position of each item among the rows as sent, rejects included."""
        if self.places is not None:
            return list(self.places)
        gaps = {reject.position for reject in self.rejects}
        rows = range(len(self.items) + len(gaps))
        return [position for position in rows if position not in gaps]

    @property
    def last_page(self) -> int | None:
        """Number of the last page that follows from the total, or None."""
        if self.total_count is None:
            return None
        size = self.page_size or self.rows
        if not size:
            return None
        return max(1, -(-self.total_count // size))

    @property
    def denies_total(self) -> bool:
        """True if the page's own total says that rows are missing here or after it.

        Either the page is empty where a full page must be, or it says that there is no next page
        although at least one full page must follow. Less than a page proves nothing: the rows of a
        live ranking move, and its total changes, while it is read. Rows past the usual ceiling are
        counted in the total but never shown.
        """
        total = self.total_count
        # Most pages have items and a next page: they deny nothing.
        if not total or (self.has_next_page and self.items):
            return False
        size, number = self.page_size or self.rows, self.request.number
        if not self.rows:
            rows_expected = number == 1 or (size > 0 and number * size <= total)
            return rows_expected and (number - 1) * size < USUAL_CEILING
        return not self.has_next_page and (number + 1) * size <= min(total, USUAL_CEILING)

    def to_rows(self, *, mode: RowMode = "json") -> list[dict[str, Any]]:
        """Return the items as rows: flat dicts, with the columns before them that say their origin.

        The rows are those that JSON lines and exports have. Rejects are no rows: see `rejects`.

        Args:
            mode: "json" for values that `json.dumps`, FastAPI and Pydantic accept: money, rates and
                scores are text of an exact decimal number, `fetched_at` is text. "python" for
                `Decimal` and `datetime`.

        Raises:
            InvalidRequestError: There is no such mode.
        """
        return [row_in_mode(row, mode) for row in page_rows(self)]

    def _repr_html_(self) -> str:
        return page_html(self)

    def only(self, items: Sequence[I]) -> Page[I]:
        """Return the page with only some of its items, in their order and at their positions."""
        if len(items) == len(self.items):
            return self
        selected = {id(item) for item in items}
        pairs = zip(self.positions(), self.items, strict=True)
        places = [position for position, item in pairs if id(item) in selected]
        return msgspec.structs.replace(self, items=list(items), places=places)

    def __repr__(self) -> str:
        return (
            f"<Page {self.request}: {len(self.items)} items, {len(self.rejects)} rejects, "
            f"has_next_page={self.has_next_page}>"
        )


_PAGE_FIELDS = frozenset(
    ("page", "page_size", "has_next_page", "total_count", "filters", "items", "list"),
)


def read_reply(
    reply: Reply,
    request: PageRequest,
    *,
    now: datetime,
    attempts: int = 1,
    latency: float = 0.0,
    checks: EchoChecks | None = None,
    ids_only: bool = False,
) -> Page[Any] | errors.TMAPIError:
    """Read a reply as a page or as an error.

    Args:
        reply: Status, headers and body of an attempt.
        request: Requested listing and page number.
        now: Time at which the body had been read (aware, UTC); becomes `Page.fetched_at`.
        attempts: Attempts made for the page so far, this one included.
        latency: Duration of the attempt in seconds.
        checks: Compares the reply with the request; None for a reply that was accepted before.
        ids_only: Read no more than the IDs of the rows; see `ItemDecoder.decode`.

    Returns:
        The page, or the error. The error has no location yet (`TMAPIError.locate`), and its message
        may contain any text of the server.
    """
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's successes
        return _failure(reply, now)
    try:
        success, rejects = decoder(request.listing.endpoint).decode(reply.body, ids_only=ids_only)
    except UNREADABLE as error:
        return _unreadable(reply, now, error)
    if success.code != 200:  # noqa: PLR2004 - the API's success
        return _failure(reply, now)
    data = success.data
    has_next = data.has_next_page
    if has_next is None:
        has_next = _has_next(request, data, len(data.items) + len(rejects))
        if has_next is None:
            return _failure(reply, now, "it does not say if there is a next page")
    name_products(request.listing, data.items)
    echoed_page, page_size, total_count = data.page, data.page_size, data.total_count
    if not (
        type(echoed_page) is type(page_size) is type(total_count) is int
        and -1 < echoed_page < _LONG
        and -1 < page_size < _LONG
        and -1 < total_count < _LONG
    ):
        echoed_page = _valid_count(echoed_page)
        page_size, total_count = _valid_count(page_size), _valid_count(total_count)
    if checks is not None and (
        problem := checks.problem(request, data, echoed_page, has_next=has_next)
    ):
        return errors.MixedUpReplyError(problem, code=200, status=reply.status)
    age = 0.0
    if "age" in reply.headers and (age := read_age(reply.headers)):
        now -= timedelta(seconds=age)
    return Page(
        request=request,
        echoed_page=echoed_page,
        page_size=page_size,
        has_next_page=has_next,
        total_count=total_count,
        items=data.items,
        rejects=rejects,
        body=reply.body,
        fetched_at=now,
        attempts=attempts,
        latency=latency,
        age=age,
    )


def with_whole_items(page: Page[Any]) -> Page[Any]:
    """Return a page of which no more than the IDs were read (`ids_only`), with its whole items."""
    success, _ = decoder(page.request.listing.endpoint).decode(page.body)
    name_products(page.request.listing, success.data.items)
    return msgspec.structs.replace(page, items=success.data.items)


def _has_next(request: PageRequest, data: Data[Any], rows: int) -> bool | None:
    """Return True if a page without `has_next_page` shows that a page follows; None if unknown."""
    paging = endpoint_of(request.listing).paging
    if paging == "rows":
        return rows > 0
    if paging not in ("total_count", "both"):
        return None
    total = _valid_count(data.total_count)
    if total is None:
        return None
    # The echoed page size: a requested size cannot be trusted.
    return request.number * (_valid_count(data.page_size) or rows) < total


_LONG = 2**30  # a smaller number needs no more than a look


def _valid_count(value: object) -> int | None:
    if value is None:
        return None
    number = value if type(value) is int else _read_count(value)
    # Journals and exports store counts in 64 bits.
    return number if number is not None and 0 <= number <= MAX_ID else None


def _read_count(value: object) -> int | None:
    return count(value) if isinstance(value, int | float | str) else None


def _unreadable(reply: Reply, now: datetime, reason: Exception) -> errors.TMAPIError:
    failure = _failure(reply, now, str(reason) or type(reason).__name__)
    # The API's own word about a failure counts, however many rows come with it.
    if isinstance(reason, TooManyValuesError) and isinstance(failure, errors.MalformedReplyError):
        return errors.ReplyTooLargeError(str(reason), status=reply.status)
    return failure


def _failure(reply: Reply, now: datetime, detail: str = "") -> errors.TMAPIError:
    if 300 <= reply.status < 400:  # noqa: PLR2004 - HTTP's redirects
        target = _redirect_target(reply.headers.get("location", ""))
        return errors.RedirectError(f"HTTP {reply.status}{target}", status=reply.status)
    error = read_failure(reply.status, reply.headers, reply.body, now, detail)
    if error.recovery is errors.Recovery.GIVE_UP or error.halts or not _is_cached(reply.headers):
        return error
    # The API did not answer this request, so the old failure is none of its attempts.
    stale = errors.StaleReplyError(f"it repeats: {error}", status=reply.status)
    stale.retry_after = _seconds_until_forgotten(reply.headers)
    return stale


def _redirect_target(location: str) -> str:
    """Return " to" and the target of a redirect, without the parts that may hold a secret."""
    try:
        parts = urlsplit(location[:_LONGEST_LOCATION])
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    host = f"[{host}]" if ":" in host else host
    target = f"{scheme}//{host}{port}{parts.path}" if host else parts.path
    return f" to {target}" if target else ""


_LONGEST_LOCATION = 2000  # characters
_MAX_AGE = re.compile(r"(?:s-maxage|max-age)\s{0,9}=\s{0,9}\"?([0-9]{1,9})")
_CACHE_STATUSES = ("x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status")
_STALE_WAIT = 5.0
"""Seconds until the next attempt if it is not known when a cache forgets a failure."""
_LONGEST_AGE = 10.0**9


def read_age(headers: Mapping[str, str]) -> float:
    """Return for how many seconds a cache has kept a reply (RFC 9111, 5.1); 0 if it has not."""
    text = headers.get("age", "").strip()
    return min(float(text), _LONGEST_AGE) if text.isascii() and text.isdigit() else 0.0


def _is_cached(headers: Mapping[str, str]) -> bool:
    """Return True if a cache says that it had the reply before the request."""
    return read_age(headers) > 0 or any(
        "hit" in headers.get(name, "").lower() for name in _CACHE_STATUSES
    )


def _seconds_until_forgotten(headers: Mapping[str, str]) -> float:
    lifetime = _MAX_AGE.search(headers.get("cache-control", "")[:200].lower())
    if lifetime is None:
        return _STALE_WAIT
    return max(1.0, float(lifetime[1]) - read_age(headers))
