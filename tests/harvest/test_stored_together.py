"""Pages that workers decoded are stored together as they would be one by one."""

from __future__ import annotations

import asyncio
from array import array
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.harvesting import listings, record, reject
from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import Ending, ListingOutcome
from tmapi_async.errors import JournalError, TMAPIError
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.plan import Plan, Start
from tmapi_async.journal.records import PageRecord, Visit, VisitQueue
from tmapi_async.journal.statements import Statement
from tmapi_async.journal.summaries.tally import RunTally

LISTINGS = listings(1, 2, 3)
VISITS = [Visit(number, 2, listing) for number, listing in enumerate(LISTINGS, 1)]
MANY_SECONDS = 1e9
"""Age of a page that a refresh refuses."""

TOO_MANY = 15
"""Rejects that fail the listing of a page of 20 rows."""

UNKNOWN = Visit(9, 2, listings(9)[0])

PAGES = st.lists(
    st.tuples(
        st.sampled_from([*VISITS, UNKNOWN]),
        st.builds(
            lambda number, rejects, age: record(
                number,
                items=20 - rejects,
                rejects=tuple(reject(position) for position in range(rejects)),
                age=age,
            ),
            st.integers(1, 40),
            st.sampled_from([0, 0, 0, 1, TOO_MANY]),
            st.sampled_from([0.0, 0.0, 0.0, 1e-9, MANY_SECONDS]),
        ),
    ),
    max_size=12,
    unique_by=lambda pair: (pair[0].id, pair[1].number),
)


def key(pair: tuple[Visit, PageRecord]) -> tuple[int, int]:
    """Return the numbers of a page's visit and of the page."""
    return pair[0].id, pair[1].number


class ListJournal:
    """Journal that keeps what it is given."""

    def __init__(self, *, fails: bool = False) -> None:
        self.pages: list[tuple[Visit, PageRecord]] = []
        self.changes: list[Statement] = []
        self.fails = fails

    def submit(self, *pages: tuple[Visit, PageRecord]) -> int:
        """Keep the pages."""
        if self.fails:
            raise JournalError("the disk is full")
        self.pages += pages
        return len(self.pages)

    def apply(self, *changes: Statement) -> int:
        """Keep the changes."""
        self.changes += changes
        return len(self.changes)


class Case:
    """A recorder with three listings that are walked, of which the third has failed."""

    def __init__(self, *, fails: bool = False) -> None:
        self.journal = ListJournal(fails=fails)
        self.failed: list[Listing] = []
        self.broken: list[TMAPIError] = []
        queue = VisitQueue.of(VISITS)
        plan = Plan(
            new_run=False,
            run=2,
            unfinished=queue,
            finished=array("q"),
            tally=RunTally(listings=len(LISTINGS)),
            host=None,
        )
        self.recorder = Recorder(
            self.journal,  # type: ignore[arg-type] # as much of one as this test needs
            plan,
            max_pages=None,
            most_rejects=0.5,
            fail=lambda listing, _: self.failed.append(listing),
            broken=self.broken.append,
        )
        self.recorder.begin(Start(1, 2, queue))
        asyncio.run(self._begin_all())
        self.end(LISTINGS[2], "failed")

    async def _begin_all(self) -> None:
        async for _ in self.recorder.tasks():
            pass

    def end(self, listing: Listing, ending: Ending) -> None:
        """End a listing."""
        error = TMAPIError("no") if ending == "failed" else None
        self.recorder.ended(ListingOutcome(listing, ending, 0, 0, 0, 0, 0, error))

    def seen(self) -> tuple[Any, ...]:
        """Return all that the pages have changed when the listings have ended, in any order."""
        for listing in LISTINGS[:2]:
            self.end(listing, "complete")
        without_times = [
            [value for value in change.values if not isinstance(value, int) or value < 1e12]
            for change in self.journal.changes
        ]
        return (
            sorted(map(key, self.journal.pages)),
            sorted(map(repr, without_times)),
            self.recorder.pages,
            msgspec.structs.astuple(self.recorder.tally),
            {listing.identity for listing in self.failed},
        )


@given(PAGES)
def test_pages_that_are_stored_together_count_as_one_by_one(pages):
    """Old pages, pages with rejects and pages of failed and unknown listings are among them."""
    together, alone = Case(), Case()
    taken = together.recorder.store(pages)
    assert taken == sum(alone.recorder.store([pair]) for pair in pages)
    stored, tally = together.journal.pages, together.recorder.tally
    expected = [pair for pair in pages if pair[0] is not UNKNOWN and pair[1].age < MANY_SECONDS]
    assert sorted(map(key, stored)) == sorted(map(key, expected))
    assert taken == together.recorder.pages == tally.pages == len(stored)
    assert tally.items == sum(page.items for _, page in stored)
    assert tally.rejects == sum(len(page.rejects) for _, page in stored)
    too_many = {visit.listing for visit, page in stored if len(page.rejects) == TOO_MANY}
    stale = {visit.listing for visit, page in pages if page.age == MANY_SECONDS}
    assert set(together.failed) == (too_many | stale) & set(LISTINGS[:2])
    assert together.seen() == alone.seen()


def test_no_page_is_counted_that_a_broken_journal_has_refused():
    """The journal's error is reported once for all of them."""
    case = Case(fails=True)
    assert case.recorder.store([(VISITS[0], record(1)), (VISITS[1], record(1))]) == 0
    assert (case.recorder.pages, case.recorder.tally.pages) == (0, 0)
    assert len(case.broken) == 1
