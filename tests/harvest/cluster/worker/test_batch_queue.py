"""Batches on a session: a Dask task returns when its listings have ended, or have to make room."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.virtual_time import settle
from tmapi_async.api.listings import category_items
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.harvest.cluster.task_batch import TaskBatch, TaskSpec
from tmapi_async.harvest.cluster.worker.batch_queue import BatchQueue


def batch(number, *ids):
    """Return a batch of categories; the visit of each is its category ID."""
    tasks = (TaskSpec.of(cat_id, ListingTask(listing=category_items(cat_id))) for cat_id in ids)
    return TaskBatch("session 1", number, tuple(tasks))


async def take(queue, count):
    """Take listings as a crawler does."""
    tasks = queue.tasks()
    return [(await anext(tasks)).listing.cat_id for _ in range(count)]


async def test_a_batch_returns_when_its_listings_have_ended():
    """The result counts the listings; each listing ends once."""
    queue = BatchQueue()
    walking = asyncio.create_task(queue.walk(batch(1, 7, 8)))
    assert await take(queue, 2) == [7, 8]
    assert queue.end_listing(category_items(7)) == 7
    await settle()
    assert not walking.done()
    assert queue.end_listing(category_items(8)) == 8
    assert queue.end_listing(category_items(8)) is None
    assert await walking == {"listings": 2, "ended": 2, "going_on": 0}


async def test_a_batch_makes_room_for_the_next_once_all_its_listings_have_begun():
    """Until then the next batch waits, so that a worker is never without work."""
    queue = BatchQueue()
    walking = asyncio.create_task(queue.walk(batch(1, 7, 8)))
    await settle()
    queue.set_submitted(2)
    assert await take(queue, 1) == [7]
    await settle()
    assert not walking.done()
    assert await take(queue, 1) == [8]
    assert await walking == {"listings": 2, "ended": 0, "going_on": 2}
    assert len(queue) == 2


async def test_listings_are_found_by_visit_until_they_have_ended():
    """Late pages of an ended listing still belong to its visit; nothing else does."""
    queue = BatchQueue()
    walking = asyncio.create_task(queue.walk(batch(1, 7, 8)))
    await settle()
    assert queue.listings_of(7) == [category_items(7)]
    assert (queue.visit(category_items(7)), queue.running_visit(category_items(7))) == (7, 7)
    queue.end_listing(category_items(7))
    assert queue.listings_of(7) == []
    assert (queue.visit(category_items(7)), queue.running_visit(category_items(7))) == (7, None)
    assert queue.visit(category_items(9)) is None
    queue.close()
    assert await walking == {"listings": 2, "ended": 1, "going_on": 1}


async def test_listings_end_after_finish():
    """The crawler gets the listings that wait, and then the end."""
    queue = BatchQueue()
    walking = asyncio.create_task(queue.walk(batch(1, 7)))
    await settle()
    queue.finish()
    tasks = queue.tasks()
    assert (await anext(tasks)).listing == category_items(7)
    with pytest.raises(StopAsyncIteration):
        await anext(tasks)
    queue.close()
    await walking
