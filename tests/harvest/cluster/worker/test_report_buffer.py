"""Results of a session wait in a buffer until the next report, and pages keep their slots."""

from __future__ import annotations

import asyncio
import contextlib

import pytest_asyncio

from tests.support.making import REQUEST, envelope, page_of
from tests.support.virtual_time import settle
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.cluster.protocol import DictionaryMessage
from tmapi_async.harvest.cluster.task_batch import TaskBatch, TaskSpec
from tmapi_async.harvest.cluster.worker.batch_queue import BatchQueue
from tmapi_async.harvest.cluster.worker.report_buffer import ReportBuffer
from tmapi_async.limits.shares.share_gate import ShareGate
from tmapi_async.limits.shares.slot_share import SlotShare

LISTING = REQUEST.listing
VISIT = 12


class BufferCase:
    """A buffer whose session walks one listing, with a gate of two slots."""

    def __init__(self):
        self.batches = BatchQueue()
        self.gate = ShareGate(
            rate_limited=False,
            on_event=lambda: None,
            clock=lambda: 0.0,
            lease_clock=lambda: 0.0,
        )
        self.gate.apply_share(SlotShare(1, 2))
        self.gate.extend_lease(1.0)
        self.results = 0
        self.buffer = ReportBuffer(self.batches, self.gate, self.count)

    def count(self):
        """Count the calls for a report."""
        self.results += 1

    @property
    def open_slots(self):
        """Slots that the gate leaves open."""
        return self.gate.controller.width(0.0)


@pytest_asyncio.fixture
async def case():
    """Lend a buffer whose session walks `LISTING`."""
    case = BufferCase()
    batch = TaskBatch("session 1", 1, (TaskSpec.of(VISIT, ListingTask(listing=LISTING)),))
    walking = asyncio.create_task(case.batches.walk(batch))
    await settle()
    yield case
    case.batches.close()
    with contextlib.suppress(asyncio.CancelledError):
        await walking


async def test_a_page_keeps_its_slot_and_is_pending_until_it_is_durable(case):
    """Handing the page over frees its slot; only the coordinator makes it durable."""
    case.buffer.page(page_of(envelope()))
    assert (case.open_slots, case.buffer.pending, case.results) == (1, 1, 1)
    assert case.buffer.held_pages == 1
    pages, failed_pages, ended, _ = case.buffer.drain()
    assert [(visit, record.number) for visit, record in pages] == [(VISIT, 3)]
    assert (failed_pages, ended) == ([], [])
    assert case.buffer.drain() == ([], [], [], [])
    case.buffer.release(1)
    assert (case.open_slots, case.buffer.pending, case.buffer.held_pages) == (2, 1, 0)
    case.buffer.durable_pages = 1
    assert case.buffer.pending == 0


async def test_one_call_asks_for_the_report_of_all_pages_that_wait(case):
    """The next report needs a call of its own."""
    for _ in range(2):
        case.buffer.page(page_of(envelope()))
        case.buffer.page(page_of(envelope()))
        assert len(case.buffer.drain()[0]) == 2
    assert case.results == 2


async def test_there_is_room_for_a_request_only_if_a_slot_is_free_for_it(case):
    """A page that waits for its message keeps its slot; a request before a retry keeps none."""
    assert case.buffer.has_room(2, 1)
    case.buffer.page(page_of(envelope()))
    assert case.buffer.has_room(2, 0)
    await case.gate.enter(lambda: None)
    assert not case.buffer.has_room(2, 1)
    case.buffer.release(1)
    assert case.buffer.has_room(2, 1)
    assert case.buffer.has_room(2, 2)  # one of the two rests before a retry


async def test_there_is_no_room_beyond_two_widths_that_are_not_durable(case):
    """Pages that were sent free their slots, and still count until they are durable."""
    for _ in range(3):
        case.buffer.page(page_of(envelope()))
    case.buffer.release(3)
    assert (case.buffer.has_room(2, 0), case.buffer.has_room(2, 1)) == (True, False)
    case.buffer.durable_pages = 1
    assert case.buffer.has_room(2, 1)


async def test_a_body_is_compressed_once_there_is_a_dictionary(case):
    """The record then has the size of the body. Pages that wait for the report are among them."""
    page = page_of(envelope())
    case.buffer.page(page)
    ((_, plain),) = case.buffer.drain()[0]
    case.buffer.page(page)
    case.buffer.set_dictionary(DictionaryMessage(LISTING.endpoint, None, None))
    ((_, compressed),) = case.buffer.drain()[0]
    assert (plain.body, plain.uncompressed_size) == (page.body, 0)
    assert compressed.body != page.body
    assert compressed.uncompressed_size == len(page.body)


async def test_failures_and_outcomes_name_their_visit(case):
    """After its outcome a listing still takes late pages, and no failures."""
    case.buffer.failed(REQUEST, TMAPIError("no"))
    case.buffer.ended(ListingOutcome(LISTING, "failed", 1, 2, 2, 0, 0, TMAPIError("no")))
    case.buffer.failed(REQUEST, TMAPIError("late"))
    case.buffer.page(page_of(envelope()))
    pages, failed_pages, ended, _ = case.buffer.drain()
    assert [visit for visit, _ in pages] == [VISIT]
    assert [(failed.visit, failed.number) for failed in failed_pages] == [(VISIT, 3)]
    assert [(outcome.visit, outcome.error.message) for outcome in ended] == [(VISIT, "no")]


async def test_results_of_other_listings_are_dropped(case):
    """Another session has the listing: its results would be counted twice."""
    case.buffer.failed(PageRequest(category_items(1), 1), TMAPIError("no"))
    case.buffer.ended(ListingOutcome(category_items(1), "complete", 1, 2, 2, 0, 0))
    assert case.buffer.drain() == ([], [], [], [])
    assert case.results == 0
