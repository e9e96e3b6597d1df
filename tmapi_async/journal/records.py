"""Plain data that enters a journal: pages, visits and their totals."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing, missing_rows
from tmapi_async.api.replies import Page
from tmapi_async.api.values import Reject

SHIFTED_KIND = "shifted"
"""Kind of error of a visit that was walked in two sittings and shifted."""

PAGE_CODE = 200
"""Code of the API in the reply that carries a page."""

State: TypeAlias = Literal["open", "complete", "capped", "shifted", "failed"]
"""State of a visit. Users see an open visit as *stopped* once its start has ended."""

_IS_SHIFTED = f"state = 'capped' AND error_kind = '{SHIFTED_KIND}'"
STATE = f"CASE WHEN {_IS_SHIFTED} THEN 'shifted' ELSE state END"
"""State of a row of the table `visit`, as SQL."""

_LOOK_STRIDE = 1 << 20  # beyond every page number


class Totals(msgspec.Struct, frozen=True, gc=False):
    """Totals of a visit over all its starts.

    Attributes:
        pages: Number of pages.
        items: Items on these pages.
        unique_items: Distinct item IDs among them.
        rejects: Rows that could not be decoded.
        last_page: Highest page number, or 0.
        total_count: Rows in the whole listing according to the last page that had a total, or None.
    """

    pages: int
    items: int
    unique_items: int
    rejects: int
    last_page: int
    total_count: int | None = None

    @property
    def missing_rows(self) -> int:
        """Number of rows that the listing's own total promises and that did not come."""
        return missing_rows(self.unique_items + self.rejects, self.total_count)


EMPTY_TOTALS = Totals(0, 0, 0, 0, 0)
"""Totals of a visit before its first page."""


class Visit(msgspec.Struct, frozen=True, gc=False):
    """A listing in a run. Every page belongs to a visit.

    Attributes:
        id: Number of the visit in the journal.
        run: Number of the run.
        listing: The listing.
        state: State when the plan was made.
        begun: True if an earlier start began the visit, so that it may have pages.
        expected_pages: Number of the last page in an earlier, complete visit, or None.
        totals: Totals of the visit so far.
    """

    id: int
    run: int
    listing: Listing
    state: State = "open"
    begun: bool = False
    expected_pages: int | None = None
    totals: Totals = EMPTY_TOTALS


class VisitQueue:
    """Visits to begin or to continue, in the requested order.

    A job may have millions of listings. Those that are new, or that no start has reached, take a
    few bytes each here: each iteration makes their visits anew from the listings.

    Args:
        listings: Requested listings, which can be read again and again, each once.
        run: Number of the run that new listings join.
    """

    _SKIPPED, _NEW, _WAITING, _KEPT = range(4)

    def __init__(self, listings: Iterable[Listing], run: int) -> None:
        self._listings, self._run = listings, run
        self._marks = bytearray()
        self._waiting = array("q")  # number and run of each
        self._kept: list[Visit] = []
        self._first_number = 0

    @classmethod
    def of(cls, visits: Sequence[Visit]) -> VisitQueue:
        """Return a queue of some visits."""
        queue = cls([visit.listing for visit in visits], 0)
        for visit in visits:
            queue.add(visit)
        return queue

    def skip(self) -> None:
        """Leave out the next listing."""
        self._marks.append(self._SKIPPED)

    def add_new(self) -> None:
        """Add a visit of the next listing, which the journal does not know."""
        self._marks.append(self._NEW)

    def add(self, visit: Visit) -> None:
        """Add a visit of the next listing."""
        if visit == Visit(visit.id, visit.run, visit.listing) and visit.id:
            self._marks.append(self._WAITING)
            self._waiting.extend((visit.id, visit.run))
        else:
            self._marks.append(self._KEPT)
            self._kept.append(visit)

    def number(self, first: int, run: int) -> None:
        """Give the visits without a number the numbers from `first` on, in a run."""
        self._first_number, self._run = first, run

    @property
    def known(self) -> Sequence[Visit]:
        """The visits of which more is known than their number, such as begun and failed ones."""
        return self._kept

    def ids(self) -> Iterator[int]:
        """Yield the numbers of the visits, once all have one, in any order."""
        yield from self._waiting[::2]
        yield from (visit.id for visit in self._kept if visit.id)
        unnumbered = self._marks.count(self._NEW) + sum(not visit.id for visit in self._kept)
        yield from range(self._first_number, self._first_number + unnumbered)

    def __len__(self) -> int:
        return len(self._marks) - self._marks.count(self._SKIPPED)

    def __iter__(self) -> Iterator[Visit]:
        waiting, kept, number = iter(self._waiting), iter(self._kept), self._first_number
        for listing, mark in zip(self._listings, self._marks, strict=True):
            if mark == self._NEW:
                visit = Visit(0, self._run, listing)
            elif mark == self._WAITING:
                visit = Visit(next(waiting), next(waiting), listing)
            elif mark == self._KEPT:
                visit = next(kept)
            else:
                continue
            if self._first_number and not visit.id:
                visit = msgspec.structs.replace(visit, id=number, run=self._run)
                number += 1
            yield visit


class PageRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One page, as a worker sends it and as the journal stores it.

    The visit it belongs to goes beside the record: its number over the wire, the
    [`Visit`][tmapi_async.journal.records.Visit] in the coordinating process.

    Attributes:
        number: 1-based page number.
        body: Body of the reply, or its compressed frame if `uncompressed_size` is not 0.
        fetched_at: Time when the body had been read, seconds since 1970, UTC.
        attempts: Attempts made for the page, the successful one included.
        latency: Seconds of the successful attempt.
        code: Code of the API.
        page_size: Page size as echoed by the server, or None.
        has_next_page: True if the server says that more pages follow.
        total_count: Rows of the whole listing according to the server, or None.
        items: Number of rows that could be decoded.
        rejects: Rows that could not be decoded.
        dictionary: Number of the dictionary that a compressed body needs, or None.
        uncompressed_size: Bytes of the body if `body` is its compressed frame, else 0.
        age: Seconds for which a cache in between had kept the reply. Not stored.
    """

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
    dictionary: int | None = None
    uncompressed_size: int = 0
    age: float = 0.0

    @classmethod
    def of(
        cls, page: Page, frame: bytes | None = None, dictionary: int | None = None
    ) -> PageRecord:
        """Return the record of a decoded page.

        Args:
            page: The page.
            frame: Its compressed body, or None to leave the compression to the writer.
            dictionary: Number of the dictionary that `frame` needs, or None.
        """
        return cls(
            page.request.number,
            page.body if frame is None else frame,
            page.fetched_at.timestamp(),
            page.attempts,
            page.latency,
            PAGE_CODE,
            page.page_size,
            page.has_next_page,
            page.total_count,
            len(page.items),
            page.rejects,
            dictionary,
            0 if frame is None else len(page.body),
            page.age,
        )


class JournalStatistics(msgspec.Struct, frozen=True, gc=False):
    """Figures of a journal since it was opened.

    Attributes:
        waiting: Pages submitted whose commit has not returned.
        durable: Pages whose commit has returned.
        commits: Transactions committed.
        body_bytes: Bytes of the bodies of durable pages, uncompressed.
        stored_bytes: Bytes of the same bodies as stored.
    """

    waiting: int
    durable: int
    commits: int
    body_bytes: int
    stored_bytes: int


def look_number(start: int, number: int) -> int:
    """Return the stored number of a page that a later start requested once more.

    It is below 0, so that the page lies beside the one with its number and not in its place.

    Args:
        start: Number of the start.
        number: Number of the page, from 1.
    """
    return -(start * _LOOK_STRIDE + number)


def page_number(stored: int) -> int:
    """Return the number of a page, from 1, for its stored number."""
    return stored if stored > 0 else -stored % _LOOK_STRIDE


def to_milliseconds(seconds: float) -> int:
    """Convert a time in seconds since 1970 to the stored unit."""
    return round(seconds * 1000)
