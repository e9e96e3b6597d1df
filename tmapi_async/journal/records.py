"""What goes into a journal and what comes out, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.api.values import Reject

State: TypeAlias = Literal["open", "complete", "capped", "failed"]
"""How far a visit is. An open visit of a start that has ended is what a user calls *stopped*."""


class Totals(msgspec.Struct, frozen=True, gc=False):
    """What a visit brought, over all its starts.

    Attributes:
        pages: Pages held.
        items: Items on them.
        unique_items: Distinct item IDs among them.
        rejects: Rows that could not be decoded.
        last_page: Highest page number held, or 0.
        total_count: Rows in the whole listing as the server last told, or None.
    """

    pages: int
    items: int
    unique_items: int
    rejects: int
    last_page: int
    total_count: int | None = None


NOTHING = Totals(0, 0, 0, 0, 0)
"""What a visit holds before its first page."""


class HeldPage(NamedTuple):
    """A page that is durable.

    Attributes:
        number: 1-based page number.
        has_next: Its `has_next_page`.
        body: As the server sent it.
        fetched_at: When it had been read, seconds since 1970, UTC, to the millisecond.
    """

    number: int
    has_next: bool
    body: bytes
    fetched_at: float


class RunTally(msgspec.Struct):
    """What the listings of a start hold together, over all their starts.

    Attributes:
        listings: Listings asked for.
        complete: Walked to the end that the server told.
        capped: Ended exactly at a ceiling, or cut by a limit of pages.
        failed: Given up.
        pages: Pages held.
        items: Items on them.
        unique_items: Distinct items within a listing, summed; those of an open listing are added
            when it ends.
        rejects: Rows that could not be decoded.
    """

    listings: int = 0
    complete: int = 0
    capped: int = 0
    failed: int = 0
    pages: int = 0
    items: int = 0
    unique_items: int = 0
    rejects: int = 0

    @property
    def left(self) -> int:
        """Listings that have not ended."""
        return self.listings - self.complete - self.capped - self.failed

    def add(self, totals: Totals, sign: int = 1) -> None:
        """Count (or, with -1, take away) what a visit holds."""
        self.pages += sign * totals.pages
        self.items += sign * totals.items
        self.unique_items += sign * totals.unique_items
        self.rejects += sign * totals.rejects

    def ended(self, state: State, totals: Totals) -> None:
        """Count a listing that has ended, and what it holds."""
        self.listings += 1
        self.end(state)
        self.add(totals)

    def end(self, state: State) -> None:
        """Count the ending of a listing that is counted already."""
        setattr(self, state, getattr(self, state) + 1)


class Visit(msgspec.Struct, frozen=True, gc=False):
    """A listing in a run: what pages belong to.

    Attributes:
        id: Number of the visit in the journal.
        run: Number of the run.
        listing: What is walked.
        state: Its state when the plan was made.
        begun: Whether an earlier start began it, so that pages of it may be held.
        expected: Number of its last page in an earlier, finished visit, or None.
        totals: What it brought so far.
    """

    id: int
    run: int
    listing: Listing
    state: State = "open"
    begun: bool = False
    expected: int | None = None
    totals: Totals = NOTHING


class Packed(msgspec.Struct, frozen=True, gc=False):
    """Says that a body comes as the frame the journal keeps, compressed elsewhere.

    Attributes:
        dictionary: Number of the dictionary its frame needs, or None.
        size: Bytes of the body.
    """

    dictionary: int | None
    size: int


class PageRecord(msgspec.Struct, frozen=True, gc=False):
    """One page as the journal keeps it.

    Attributes:
        visit: The visit it belongs to.
        number: 1-based page number.
        body: The reply's body, or its frame.
        fetched_at: When the body had been read, seconds since 1970, UTC.
        attempts: Attempts made for it, the successful one included.
        latency: Seconds of the successful attempt.
        code: The API's code.
        page_size: Page size as echoed, or None.
        has_next_page: Whether the server says that more follows.
        total_count: Rows of the whole listing as told, or None.
        items: Rows that could be decoded.
        rejects: Rows that could not.
        packed: What the frame is, if it is one.
    """

    visit: Visit
    number: int
    body: bytes
    fetched_at: float
    attempts: int
    latency: float
    code: int
    page_size: int | None
    has_next_page: bool
    total_count: int | None
    items: int
    rejects: Sequence[Reject] = ()
    packed: Packed | None = None


class Counters(msgspec.Struct, frozen=True):
    """What a start has counted so far; every figure only grows, the width excepted.

    Attributes:
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Code, or kind of failure, to how often it came.
        width: The gate's width now.
    """

    requests: int = 0
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = {}
    width: int = 0


class JournalStatistics(msgspec.Struct, frozen=True, gc=False):
    """What the journal has done since it was opened.

    Attributes:
        waiting: Pages handed over whose commit has not returned.
        durable: Pages whose commit has returned.
        commits: Transactions committed.
        body_bytes: Bytes of their bodies.
        stored_bytes: Bytes of their bodies as stored.
    """

    waiting: int
    durable: int
    commits: int
    body_bytes: int
    stored_bytes: int


def milliseconds(seconds: float) -> int:
    """A time, seconds since 1970, as the journal keeps it."""
    return round(seconds * 1000)
