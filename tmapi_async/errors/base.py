"""The base of every error: what it says, and what a client must do about it."""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec


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
