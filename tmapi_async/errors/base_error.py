"""Base of every error: its text, and the reaction that it asks of a client."""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from .quantities import quantity


class Recovery(enum.Enum):
    """Reaction of a client to an error."""

    RETRY = "retry"
    """Send the request again, a limited number of times."""
    BACK_PRESSURE = "back-pressure"
    """Send the request again and lower the number in flight; not a failure, but limited in time."""
    GIVE_UP = "give-up"
    """Do not send the request again: this listing or page cannot be fetched."""
    HALT = "halt"
    """End all work of the walk at once; the walk can be resumed later."""


class Progress(msgspec.Struct, frozen=True, gc=False):
    """Work done and work left when a walk was ended.

    Attributes:
        pages: Number of pages delivered.
        items: Number of items on these pages.
        complete: Number of listings walked to their end.
        open: Listings begun and not ended, each with the next page to request, as readable text
            (at most ten of them).
        open_count: Number of listings begun and not ended.
        more: True if listings that were never begun remain.
    """

    pages: int
    items: int
    complete: int
    open: tuple[str, ...]
    open_count: int
    more: bool

    def __str__(self) -> str:
        done = (
            f"done: {quantity(self.complete, 'listing')} complete, {quantity(self.pages, 'page')}, "
            f"{quantity(self.items, 'item')}"
        )
        remaining = list(self.open)
        if self.open_count > len(remaining):
            remaining.append(quantity(self.open_count - len(remaining), "more open listing"))
        if self.more:
            remaining.append("listings not begun")
        return f"{done}; left: {', '.join(remaining) or 'nothing'}"


class TMAPIError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        recovery: Reaction of a client to the error.
        kind: Short name of the failure, for counting.
        meaning: Text that says what happened.
        advice: Text that says what to do next.
        endpoint: Name of the endpoint (`"category/items"`), or None.
        listing: Readable identity of the listing, or None.
        page: 1-based page number, or None.
        attempts: Number of attempts made for the page, this one included.
        code: The API's code (from the body, else the HTTP status), or None if there is none.
        status: HTTP status, or None where no reply came.
        message: Text of the server or the transport, token removed, at most 300 characters.
        retry_after: Seconds that the server asked to wait, or None.
        progress: Work done and work left, if the error ended a walk.
        fatal: True if the failure of one page shows that no page can be fetched.
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
        """Record the page request that the error belongs to."""
        self.endpoint, self.listing, self.page = endpoint, listing, page
        self.attempts = attempts

    @property
    def halts(self) -> bool:
        """True if the error ends all work, not just one page or listing."""
        return self.fatal or self.recovery is Recovery.HALT

    @property
    def label(self) -> str:
        """Short key for counting: the code as text, or else the kind of failure."""
        return str(self.code) if self.code is not None else self.kind

    @property
    def reason(self) -> str:
        """Failure in words, without place and advice."""
        what = self.meaning or self.message
        if self.meaning and self.message:
            what = f"{self.meaning} ({self.message})"
        return f"code {self.code}: {what}" if self.code is not None else what

    def __str__(self) -> str:
        where = f"{self.listing} page {self.page}: " if self.listing else ""
        tries = f", after {self.attempts} attempts" if self.attempts > 1 else ""
        text = f"{where}{self.reason}{tries}"
        for sentence in (self.advice, str(self.progress or "")):
            text = f"{text}. {sentence[0].upper()}{sentence[1:]}" if sentence else text
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class InvalidRequestError(TMAPIError, ValueError):
    """The request is invalid. It was refused before anything was sent."""

    kind = "invalid"
