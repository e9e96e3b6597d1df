"""What a journal gives back: runs, starts, visits, pages, as plain data."""

from __future__ import annotations

import msgspec

from tmapi_async.api.listings import Listing

from .records import State, Totals


class RunInfo(msgspec.Struct, frozen=True):
    """A run.

    Attributes:
        id: Its number, from 1.
        started_at: When it was begun, seconds since 1970, UTC.
        ended_at: When its last listing ended, or None while some have not.
        states: State to how many of its listings are in it.
    """

    id: int
    started_at: float
    ended_at: float | None
    states: dict[State, int]

    @property
    def complete(self) -> bool:
        """Whether every listing was walked to its end, or to a ceiling."""
        return not self.states.get("open") and not self.states.get("failed")


class TreeInfo(msgspec.Struct, frozen=True):
    """What a journal holds of the tree of categories.

    Attributes:
        answers: Answers held: one for each category that has others below it.
        oldest: When the oldest of them was fetched, seconds since 1970, UTC.
        latest: When the latest was.
        broken_off: Whether the last look was broken off: something of it is missing.
    """

    answers: int
    oldest: float
    latest: float
    broken_off: bool


class Tick(msgspec.Struct, frozen=True, gc=False):
    """What a start had counted at one moment; every figure but the width only grows.

    Attributes:
        elapsed: Seconds since the start began.
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        pages: Pages committed by this start.
        items: Items on them.
        width: The gate's width at that moment.
        codes: Code, or kind of failure, to how often it came.
    """

    elapsed: float
    requests: int
    retries: int
    wasted: int
    pages: int
    items: int
    width: int
    codes: dict[str, int]


class StartInfo(msgspec.Struct, frozen=True):
    """One process that worked on the journal.

    Attributes:
        id: Its number, from 1.
        run: The latest run when it began.
        started_at: Seconds since 1970, UTC.
        ended_at: When it ended, or None: it runs, or was killed.
        stopped_by: What stopped it, or None: it went to its end, runs, or was killed.
        host: Host and port of the API.
        version: Version of this package.
        pid: Its process.
        totals: Its last tick, or None if it committed nothing.
    """

    id: int
    run: int
    started_at: float
    ended_at: float | None
    stopped_by: str | None
    host: str
    version: str
    pid: int
    totals: Tick | None


class VisitInfo(msgspec.Struct, frozen=True):
    """A listing in a run.

    Attributes:
        id: Number of the visit.
        run: Number of the run.
        listing: What is walked.
        state: How far it is; an open one of a start that has ended is what is called stopped.
        begun: Whether anything of it was asked for.
        pages: Pages held.
        items: Items on them.
        unique_items: Distinct item IDs among them.
        rejects: Rows that could not be decoded.
        last_page: Highest page number held, or 0.
        total_count: Rows in the whole listing as told, or None.
        error_kind: Short name of what failed it, or None.
        error: What failed it, or None.
        root: Number of the visit that it is a part of, or None.
        parts: Parts that its listing was divided into, where they are counted with it.
    """

    id: int
    run: int
    listing: Listing
    state: State
    begun: bool
    pages: int
    items: int
    unique_items: int
    rejects: int
    last_page: int
    total_count: int | None
    error_kind: str | None
    error: str | None
    root: int | None = None
    parts: int = 0

    @property
    def totals(self) -> Totals:
        """Its figures."""
        return Totals(
            self.pages,
            self.items,
            self.unique_items,
            self.rejects,
            self.last_page,
            self.total_count,
        )


class Division(msgspec.Struct, frozen=True):
    """What came of a listing that was divided.

    Attributes:
        root: Number of its visit.
        complete: Whether all that the totals of its parts promise is proven to have been found.
        pages: Pages of the listing and of all its parts.
        items: Items on them.
        unique_items: Distinct items among them.
        rejects: Rows that could not be decoded.
        promised: Sum of the totals of the parts that were walked.
        account: The same for people, with what is not proven and why.
    """

    root: int
    complete: bool
    pages: int
    items: int
    unique_items: int
    rejects: int
    promised: int
    account: str


class StoredPage(msgspec.Struct, frozen=True, gc=False):
    """A page as held.

    Attributes:
        seq: Its place in the order of commits; later pages have larger ones.
        visit: Number of its visit.
        run: Number of its run.
        listing: The listing.
        number: 1-based page number.
        fetched_at: When its body had been read, seconds since 1970, UTC.
        attempts: Attempts made for it.
        latency: Seconds of the successful attempt.
        has_next_page: Whether the server said that more follows.
        items: Items that could be decoded then.
        rejects: Rows that could not.
        body: The reply's body, byte for byte.
    """

    seq: int
    visit: int
    run: int
    listing: Listing
    number: int
    fetched_at: float
    attempts: int
    latency: float
    has_next_page: bool
    items: int
    rejects: int
    body: bytes


class StoredReject(msgspec.Struct, frozen=True, gc=False):
    """A row that could not be decoded, and where it is."""

    seq: int
    position: int
    listing: Listing
    number: int
    reason: str
    raw: bytes


class FailedPage(msgspec.Struct, frozen=True):
    """A page that could not be had in the start that tried it last."""

    run: int
    listing: Listing
    number: int
    attempts: int
    kind: str
    error: str
