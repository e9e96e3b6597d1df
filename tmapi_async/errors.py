"""Every way a request can end badly, and the redaction that keeps the token out of all of them.

The classes follow the code table of the API document (`GET /1688/category/items`, "Response
codes"); what a client must do about each is in `TMAPIError.recovery`.
"""

from __future__ import annotations

import enum
import html
import re
from typing import ClassVar

import msgspec

HIDDEN = "[token]"
"""What stands in a message where the token stood."""

_LONGEST_MESSAGE = 300


class Recovery(enum.Enum):
    """What a client must do about an error."""

    RETRY = "retry"
    """Ask again, a limited number of times."""
    BACK_PRESSURE = "back-pressure"
    """Ask again and lower the number in flight; not a failure, but bounded in time."""
    GIVE_UP = "give-up"
    """Never ask again: this listing or page cannot be had."""
    HALT = "halt"
    """End all work of the walk at once; it can be resumed later."""


class Progress(msgspec.Struct, frozen=True, gc=False):
    """What a walk had done when it was ended, and what is left.

    Attributes:
        pages: Pages delivered.
        items: Items on them.
        complete: Listings walked to their end.
        open: Listings begun and not ended, each with the next page to ask, as readable text
            (at most ten of them).
        open_count: How many listings were open.
        more: Whether listings that were never begun remain.
    """

    pages: int
    items: int
    complete: int
    open: tuple[str, ...]
    open_count: int
    more: bool

    def __str__(self) -> str:
        done = f"done: {self.complete} listings complete, {self.pages} pages, {self.items} items"
        left = list(self.open)
        if self.open_count > len(left):
            left.append(f"{self.open_count - len(left)} more open listings")
        if self.more:
            left.append("listings not begun")
        return f"{done}; left: {', '.join(left) or 'nothing'}"


class TMAPIError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        endpoint: Name of the endpoint (`"category/items"`), or None.
        listing: Readable identity of the listing, or None.
        page: 1-based page number, or None.
        attempts: How many attempts were made for the page, this one included.
        code: The API's code (from the body, else the HTTP status), or None where none came.
        status: HTTP status, or None where no reply came.
        message: What the server or the transport said, token removed, at most 300 characters.
        retry_after: Seconds the server asked us to wait, or None.
        progress: What was done and what is left, when the error ended a walk.
        fatal: Set where an error that would fail one page shows that no page can be had.
    """

    recovery: ClassVar[Recovery] = Recovery.GIVE_UP
    kind: ClassVar[str] = "error"
    meaning: ClassVar[str] = ""
    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str = "",
        *,
        code: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.endpoint: str | None = None
        self.listing: str | None = None
        self.page: int | None = None
        self.attempts = 0
        self.progress: Progress | None = None
        self.fatal = False

    def locate(self, endpoint: str, listing: str, page: int, attempts: int) -> None:
        """Say which page request the error belongs to."""
        self.endpoint, self.listing, self.page = endpoint, listing, page
        self.attempts = attempts

    @property
    def halts(self) -> bool:
        """Whether this ends all work, not just one page or listing."""
        return self.fatal or self.recovery is Recovery.HALT

    @property
    def label(self) -> str:
        """Short key for counting: the code as text, else the kind of failure."""
        return str(self.code) if self.code is not None else self.kind

    def __str__(self) -> str:
        what = self.meaning or self.message
        if self.meaning and self.message:
            what = f"{self.meaning} ({self.message})"
        if self.code is not None:
            what = f"code {self.code}: {what}"
        where = f"{self.listing} page {self.page}: " if self.listing else ""
        tries = f", after {self.attempts} attempts" if self.attempts > 1 else ""
        text = f"{where}{what}{tries}"
        for more in (self.advice, str(self.progress or "")):
            text = f"{text}. {more[0].upper()}{more[1:]}" if more else text
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class InvalidRequestError(TMAPIError, ValueError):
    """The request makes no sense; it was refused before anything was sent."""

    kind = "invalid"


class AccountError(TMAPIError):
    """The account cannot go on: every other request would be refused too."""

    recovery = Recovery.HALT


class AuthenticationError(AccountError):
    """Code 401 (body code 4011) or 403: the token is missing, wrong or not allowed."""

    kind = "auth"
    meaning = "the token was refused"
    advice = "check TMAPI_TOKEN and how it is sent (query or header), then run the same again"


class BalanceError(AccountError):
    """Code 439 or 402: the subscription has expired or the balance is gone."""

    kind = "balance"
    meaning = "the balance is spent or the subscription has expired"
    advice = "top up the account, then run the same again to go on"


class RouteError(TMAPIError):
    """Code 404: the path is wrong, or the plan does not include this endpoint."""

    recovery = Recovery.HALT
    kind = "route"
    meaning = "the server does not offer this endpoint"
    advice = "check the base URL and that your plan includes the endpoint"


class ParameterError(TMAPIError):
    """Code 422: the server refused a parameter; asking again cannot help."""

    kind = "parameter"
    meaning = "the server refused a parameter"
    advice = "check the category ID and the filters"


class RetrievalError(TMAPIError):
    """Code 417: the API failed to retrieve the data; may be permanent for one page."""

    recovery = Recovery.RETRY
    kind = "retrieval"
    meaning = "the API failed to retrieve the data"


class TryAgainError(TMAPIError):
    """Code 499: the API asks to try again, with a time-out of 60 s."""

    recovery = Recovery.RETRY
    kind = "try-again"
    meaning = "the API asks to try again"


class ServerError(TMAPIError):
    """Code 500, or another code from 500 to 599: an unexpected error of the API."""

    recovery = Recovery.RETRY
    kind = "server"
    meaning = "unexpected error of the API"


class ConcurrencyError(TMAPIError):
    """Code 503: too many requests ran at once, and went on being too many."""

    recovery = Recovery.BACK_PRESSURE
    kind = "concurrency"
    meaning = "the account's concurrency limit is exceeded"
    advice = "is another job using the same account? Lower --concurrency, or run the same later"


class RateLimitError(ConcurrencyError):
    """Code 429: too many requests in a time; treated as 503."""

    kind = "rate"
    meaning = "the account's rate limit is exceeded"
    advice = "lower --rate or --concurrency, or run the same later"


class UnexpectedCodeError(TMAPIError):
    """A code that no document names; not retried, because nobody knows what it means."""

    kind = "unexpected"
    meaning = "the API answered with a code that is not documented"


class TransportError(TMAPIError):
    """No usable reply came."""

    recovery = Recovery.RETRY
    kind = "transport"


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke before the reply was whole."""

    kind = "connection"
    meaning = "the connection failed"
    advice = "check the base URL and the network"


class RedirectError(TransportError):
    """The server redirects elsewhere. Not followed: the token would go to a host nobody chose."""

    recovery = Recovery.GIVE_UP
    kind = "redirect"
    meaning = "the server redirects to another address, which is not followed"
    advice = "set the base URL to the address that serves the API"


class CertificateError(TransportError):
    """The server's TLS certificate could not be verified. Verification is never turned off."""

    recovery = Recovery.HALT
    kind = "certificate"
    meaning = "the server's certificate could not be verified"
    advice = (
        "another host may serve the API (--base-url https://api.tmapi.io); a custom CA goes into a "
        "connector of your own; http://api.tmapi.top works without TLS but exposes the token to "
        "the network"
    )


class DeadlineError(TransportError):
    """The reply was not whole within the time-out, counted from when the gate was passed."""

    kind = "timeout"
    meaning = "no whole reply within the time-out"


class MalformedReplyError(TransportError):
    """The reply is not JSON, has no code, is a success without the expected shape, or another page.

    Another page in the place of the one asked for is told where the endpoint's replies have shown
    that they tell their own number.
    """

    kind = "malformed"
    meaning = "the reply cannot be understood"


class ReplyTooLargeError(TransportError):
    """The reply, decompressed, is longer than the limit; reading was broken off."""

    recovery = Recovery.GIVE_UP
    kind = "too-large"
    meaning = "the reply is too large"
    advice = "raise max_body if such replies are expected"


class BudgetSpentError(TMAPIError):
    """The request budget (`max_requests`) is used up; nothing more was sent."""

    recovery = Recovery.HALT
    kind = "budget"
    meaning = "the request budget is spent"
    advice = "run the same again, or with a larger --max-requests, to go on"


class EndlessListingError(TMAPIError):
    """The listing goes on without bringing anything new; the walk of it was ended."""

    kind = "endless"
    meaning = "the listing does not end"


class ListingsFailedError(TMAPIError):
    """Some listings of a walk failed; all others were walked and delivered.

    Attributes:
        errors: The failures in the order they came, at most 100 of them.
        count: How many listings failed.
    """

    kind = "listings"

    def __init__(self, errors: tuple[TMAPIError, ...] = (), count: int = 0) -> None:
        first = "; ".join(str(error) for error in errors[:3])
        more = f"; and {count - 3} more" if count > 3 else ""  # noqa: PLR2004 - three fit a message
        super().__init__(f"{count} listings failed{': ' if first else ''}{first}{more}")
        self.errors = errors
        self.count = count
        # BaseException.__reduce__ calls the class with args: keep it picklable.
        self.args = (errors, count)


class ClosedError(TMAPIError, RuntimeError):
    """The client or the walk was used after it was closed, or before it was opened."""

    recovery = Recovery.HALT
    kind = "closed"


def _spellings(char: str) -> str:
    """A pattern for every way in which a server may send a character of the token back."""
    number = f"{ord(char):x}"
    # In a URL, quoted once or more, by any rule of what needs it; in HTML; in JSON inside JSON.
    quoted = rf"(?i:%(?:25)*{number}|&#0*{ord(char)};|&#x0*{number};|u00{number})"
    return rf"(?:\\*(?:{quoted}|{re.escape(char)})|{re.escape(html.escape(char))})"


class Redactor:
    """Removes a token from text that came from elsewhere, however it was encoded.

    The token is kept out of `repr`, so that a redactor is safe in a traceback with locals.
    """

    __slots__ = ("_pattern", "_token")

    def __init__(self, token: str) -> None:
        self._token = token
        self._pattern: re.Pattern[str] | None = None

    def __call__(self, text: str) -> str:
        """Return `text` without the token, on one line, at most 300 characters."""
        if self._pattern is None:  # made when first needed: it takes a second for 4,000 characters
            self._pattern = re.compile("".join(map(_spellings, self._token)) or "(?!)")
        text = self._pattern.sub(HIDDEN, text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."

    def __repr__(self) -> str:
        return "Redactor()"
