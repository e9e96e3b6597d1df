"""Plain data read from a journal: runs, starts, visits, pages."""

from __future__ import annotations

from typing import Any

import msgspec

from tmapi_async.api.listings import Listing

from .records import State, Totals


class RunInfo(msgspec.Struct, frozen=True):
    """A run.

    Attributes:
        id: Number of the run, from 1.
        started_at: Time when the run began, seconds since 1970, UTC.
        ended_at: Time when its last listing ended, or None while a listing is open.
        states: State -> number of listings in this state.
    """

    id: int
    started_at: float
    ended_at: float | None
    states: dict[State, int]

    @property
    def complete(self) -> bool:
        """True if every listing was walked to its end or to a ceiling, shifted ones included."""
        return not self.states.get("open") and not self.states.get("failed")


class TreeInfo(msgspec.Struct, frozen=True):
    """Summary of the category tree in a journal.

    Attributes:
        answers: Number of stored answers: one for each category that has subcategories.
        oldest: Time when the oldest answer was fetched, seconds since 1970, UTC.
        latest: Time when the latest answer was fetched.
        broken_off: True if the last fetch was interrupted, so that a part of the tree is missing.
    """

    answers: int
    oldest: float
    latest: float
    broken_off: bool


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Counts of a start at one moment. Every figure except the width only grows.

    Attributes:
        elapsed: Seconds since the start began.
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        pages: Pages committed by this start.
        items: Items on these pages.
        width: Width of the gate at that moment.
        codes: Code, or kind of failure -> number of times it came.
    """

    elapsed: float
    requests: int
    retries: int
    wasted: int
    pages: int
    items: int
    width: int
    codes: dict[str, int]


_CODES = msgspec.json.Decoder(dict[str, int])


def tick_of_row(elapsed: int, *rest: Any) -> Tick:
    """Return the counts of a row of the table `tick`."""
    requests, retries, wasted, pages, items, width, codes = rest
    counts = _CODES.decode(codes)
    return Tick(elapsed / 1000, requests, retries, wasted, pages, items, width, counts)


class StartInfo(msgspec.Struct, frozen=True):
    """One process that worked on the journal.

    Attributes:
        id: Number of the start, from 1.
        run: Number of the latest run when the start began.
        started_at: Time when the start began, seconds since 1970, UTC.
        ended_at: Time when the start ended, or None if the process runs or was killed.
        stopped_by: Reason that stopped the start, or None if it reached its end, runs or was
            killed.
        host: Host and port of the API.
        version: Version of this package.
        pid: Number of the process.
        totals: Last tick of the start, or None if it committed nothing.
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
        listing: The listing.
        state: State of the visit. An open visit is called *stopped* once its start has ended.
        begun: True if a page of the visit was requested.
        pages: Stored pages.
        items: Items on these pages.
        unique_items: Distinct item IDs among them.
        rejects: Rows that could not be decoded.
        last_page: Highest page number, or 0.
        total_count: Rows in the whole listing according to the server, or None.
        error_kind: Short name of the error that failed the visit, or None; "shifted" if it is that.
        error: Text of this error, or None.
        root: Number of the divided listing's visit if this visit is one of its parts, or None.
        parts: Number of parts whose figures are included, if the listing was divided.
        ended_at: Time when the visit ended, seconds since 1970, UTC; None if it has not.
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
    ended_at: float | None = None

    @property
    def totals(self) -> Totals:
        """Figures of the visit as `Totals`."""
        return Totals(
            self.pages,
            self.items,
            self.unique_items,
            self.rejects,
            self.last_page,
            self.total_count,
        )


class ListingVisits(msgspec.Struct, frozen=True):
    """Visits of a listing over all runs.

    Attributes:
        visits: Numbers of the visits, oldest first.
        best: Number of the latest finished visit (complete, capped or shifted); if there is none,
            of the latest visit with pages; otherwise of the latest visit.
    """

    visits: tuple[int, ...]
    best: int

    @property
    def superseded(self) -> bool:
        """True if a later visit exists that is not finished."""
        return self.best != self.visits[-1]


class Division(msgspec.Struct, frozen=True):
    """Result of a divided listing.

    Attributes:
        root: Number of the listing's visit.
        complete: True if every row that the totals of the parts promise is proven to be stored.
        pages: Pages of the listing and of all its parts.
        items: Items on these pages.
        unique_items: Distinct items among them.
        rejects: Rows that could not be decoded.
        promised: Sum of the totals of the walked parts.
        account: The result as text, with the gaps and their reasons.
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
    """A stored page.

    Attributes:
        seq: Position in the order of commits. Later pages have larger numbers.
        visit: Number of the visit.
        run: Number of the run.
        listing: The listing.
        number: 1-based page number.
        fetched_at: Time when the body had been read, seconds since 1970, UTC.
        attempts: Attempts made for the page.
        latency: Seconds of the successful attempt.
        has_next_page: True if the server said that more pages follow.
        items: Number of rows that could be decoded when the page was stored.
        rejects: Number of rows that could not be decoded.
        body: Body of the reply, byte for byte.
        again: True if a later start requested the page once more, because rows had moved: the
            visit has another page of this number.
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
    again: bool = False


class StoredReject(msgspec.Struct, frozen=True, gc=False):
    """A row that could not be decoded, and its place in the journal."""

    seq: int
    position: int
    listing: Listing
    number: int
    reason: str
    raw: bytes
    visit: int


class FailedPage(msgspec.Struct, frozen=True):
    """A page that failed in the last start that requested it."""

    run: int
    listing: Listing
    number: int
    attempts: int
    kind: str
    error: str
