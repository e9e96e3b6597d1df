"""The plan of a start: no page is paid twice, except for listings that are refetched by name."""

from __future__ import annotations

import time

import pytest

from tests.support.harvesting import begin, listings, record, totals
from tmapi_async.errors import IncompleteListingError
from tmapi_async.harvest import JournalReader
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.statements import begin_visit, end_visit


async def work(path, requested, *, ends=None, pages=2, at=2.0, **options):
    """Run one start: every listing gets this number of pages and ends in its state."""
    journal = Journal.open(path)
    max_pages = options.get("max_pages")
    plan = journal.plan(requested, **options)
    planned = (plan.run, [visit.listing.cat_id for visit in plan.unfinished], len(plan.finished))
    if not plan.done:
        for visit in begin(journal, requested, **options).visits:
            journal.apply(begin_visit(visit, 1.0))
            for number in range(1, pages + 1):
                journal.submit((visit, record(number)))
            state = (ends or {}).get(visit.listing.cat_id, "complete")
            if state != "open":
                capped_at = max_pages if state == "capped" else None
                journal.apply(end_visit(visit, state, totals(pages), now=at, capped_at=capped_at))
    await journal.close()
    return planned


async def test_complete_listings_need_no_start(path):
    """Planning complete listings again finds no work, and writes no start and no run."""
    assert await work(path, listings(1, 2)) == (0, [1, 2], 0)
    assert await work(path, listings(1, 2)) == (1, [], 2)
    with JournalReader(path) as reader:
        assert (len(reader.runs()), len(reader.starts())) == (1, 1)


async def test_unfinished_listings_continue_in_their_run(path):
    """Open and failed listings continue with their stored pages; no other listing does."""
    await work(path, listings(1, 2, 3, 4), ends={2: "open", 3: "failed"})
    assert await work(path, listings(1, 2, 3, 4)) == (1, [2, 3], 2)
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 4}]


async def test_listings_added_later_join_the_run(path):
    """Adding categories between starts is normal use: only the new ones are walked."""
    await work(path, listings(1))
    assert await work(path, listings(1, 2)) == (1, [2], 1)
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 2}]


async def test_other_filters_are_other_listings_of_the_same_file(path):
    """A filter makes another listing; neither replaces the other."""
    await work(path, listings(1))
    assert (await work(path, listings(1, free_shipping=True)))[1] == [1]
    with JournalReader(path) as reader:
        names = [str(visit.listing) for visit in reader.visits(1)]
    assert names == ["category/items?cat_id=1", "category/items?cat_id=1&free_shipping=true"]


async def test_a_refresh_of_complete_listings_creates_a_run(path):
    """Both runs have the pages of the listing, and the new visit expects the old length."""
    await work(path, listings(1, 2))
    journal = Journal.open(path)
    plan = journal.plan(listings(1, 2), refresh=True)
    assert plan.new_run
    assert [visit.expected_pages for visit in plan.unfinished] == [2, 2]
    await journal.close()
    await work(path, listings(1, 2), refresh=True)
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 2}, {"complete": 2}]
        assert [len(list(reader.pages(run=run))) for run in (1, 2)] == [4, 4]


async def test_a_refresh_continues_unfinished_listings(path):
    """A new run is created only when all requested listings are complete."""
    await work(path, listings(1, 2), ends={2: "open"})
    assert await work(path, listings(1, 2), refresh=True) == (1, [2], 1)
    assert (await work(path, listings(1, 2), refresh=True))[1] == [1, 2]
    with JournalReader(path) as reader:
        assert len(reader.runs()) == 2


def runs_and_states(path):
    """Return the states of the listings of each run."""
    with JournalReader(path) as reader:
        return [run.states for run in reader.runs()]


async def fail(path, requested, *failing, stop=()):
    """Run one start with `refresh` in which some listings fail; return its run and listings."""
    journal = Journal.open(path)
    start = begin(journal, requested, refresh=True)
    for visit in start.visits:
        journal.apply(begin_visit(visit, time.time()))
        journal.submit((visit, record(1)))
        state = "failed" if visit.listing.cat_id in failing else "complete"
        state = "open" if visit.listing.cat_id in stop else state
        error = IncompleteListingError("60 of 500") if state == "failed" else None
        journal.apply(end_visit(visit, state, totals(1), now=time.time(), error=error))
    await journal.close()
    return start.run, [visit.listing.cat_id for visit in start.visits]


async def test_a_listing_that_fails_every_time_does_not_hold_up_a_refresh(path):
    """A failed listing is continued once; after that, every refresh is a new run."""
    requested = listings(1, 2, 3)
    assert await fail(path, requested, 2) == (1, [1, 2, 3])
    assert await fail(path, requested, 2) == (1, [2]), "the failed listing is continued once"
    assert await fail(path, requested, 2) == (2, [1, 2, 3])
    assert await fail(path, requested, 2) == (3, [1, 2, 3]), "it failed in two runs"
    assert await fail(path, requested) == (4, [1, 2, 3])
    failed = {"complete": 2, "failed": 1}
    assert runs_and_states(path) == [failed, failed, failed, {"complete": 3}]


async def test_a_refresh_continues_what_can_still_be_finished(path):
    """While a listing is not read to its end, no new run begins, whatever failed again."""
    requested = listings(1, 2, 3)
    await fail(path, requested, 2, stop=(3,))
    await fail(path, requested, 2, stop=(3,))
    assert await fail(path, requested, 2) == (1, [2, 3])
    assert await fail(path, requested) == (2, [1, 2, 3])


async def test_a_refresh_of_some_listings_does_not_change_the_others(path):
    """A refresh of one listing of two does not make the other one unfinished."""
    await work(path, listings(1, 2))
    await work(path, listings(1), refresh=True)
    assert (await work(path, listings(1, 2)))[1] == []


@pytest.mark.parametrize(
    ("limit", "unfinished_ids"), [(2, []), (1, []), (3, [1]), (None, [1])], ids=str
)  # fmt: skip
async def test_a_listing_cut_by_a_limit_continues_under_a_higher_limit(path, limit, unfinished_ids):
    """A listing cut by a limit of 2 pages is finished for limits up to 2, and not for more."""
    await work(path, listings(1), ends={1: "capped"}, max_pages=2)
    assert (await work(path, listings(1), max_pages=limit))[1] == unfinished_ids


async def test_a_listing_at_a_ceiling_is_finished(path):
    """A listing that ended at the ceiling of the API has nothing to continue."""
    await work(path, listings(1), ends={1: "capped"})
    assert (await work(path, listings(1)))[1] == []


async def test_repeated_listings_count_once(path):
    """A listing that is requested twice is walked once."""
    assert await work(path, listings(1, 2, 1)) == (0, [1, 2], 0)


async def test_the_tally_of_a_plan_counts_stored_pages(path):
    """Pages and items of earlier starts are counted, also those that a kill left open."""
    await work(path, listings(1, 2, 3), ends={2: "open", 3: "failed"})
    journal = Journal.open(path)
    tally = journal.plan(listings(1, 2, 3, 4)).tally
    await journal.close()
    assert (tally.listings, tally.complete, tally.failed, tally.left) == (4, 1, 0, 3)
    assert (tally.pages, tally.items, tally.unique_items) == (6, 120, 80)


async def test_a_plan_of_thousands_asks_for_many_at_a_time(path):
    """Hundreds of listings are looked up in one query, in the order they were given."""
    ids = list(range(5000, 3700, -1))
    await work(path, listings(*ids[::2]), pages=0)
    assert (await work(path, listings(*ids), pages=0))[1] == ids[1::2]


async def test_old_listings_are_walked_anew_and_the_others_continued(path):
    """Only listings finished before the time get a new visit, in one new run."""
    await work(path, listings(1), at=10.0)
    await work(path, listings(2, 3), ends={3: "failed"}, at=20.0)
    assert await work(path, listings(1, 2, 3, 4), renew_before=15.0, at=30.0) == (1, [1, 3, 4], 1)
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 3}, {"complete": 2}]
    assert await work(path, listings(1, 2, 3, 4), renew_before=15.0) == (2, [], 4)


async def test_an_old_listing_that_fails_every_time_is_walked_anew(path):
    """It is continued once; otherwise a job of each night would keep its first pages for ever."""
    requested, later = listings(1, 2), time.time() + 3600
    for failed_again in (0, 1):
        await fail(path, requested, 2)
        with JournalReader(path) as reader:
            plan = reader.plan(requested, renew_before=later)
            same_night = reader.plan(requested, renew_before=later - 7200)
        assert (plan.renewed, plan.failed_again, plan.new_run) == (1, failed_again, True)
        assert [bool(visit.id) for visit in plan.unfinished] == [False, not failed_again]
        assert [visit.state for visit in same_night.unfinished] == ["failed"]
        assert (same_night.new_run, same_night.failed_again) == (False, 0)


async def test_a_renewal_that_was_cut_short_goes_on_in_its_run(path):
    """The same start again finds fewer old listings, and makes no third run."""
    await work(path, listings(1, 2), at=10.0)
    ends = {2: "open"}
    assert await work(path, listings(1, 2), renew_before=15.0, ends=ends, at=20.0) == (1, [1, 2], 0)
    assert await work(path, listings(1, 2), renew_before=15.0, at=20.0) == (2, [2], 1)
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 2}, {"complete": 2}]
        plan = reader.plan(listings(1, 2), renew_before=25.0)
    assert (plan.renewed, plan.new_run, len(plan.unfinished)) == (2, True, 2)
