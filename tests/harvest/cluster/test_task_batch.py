"""Listings arrive at a session with all that the journal holds of them."""

from __future__ import annotations

import pickle

from tmapi_async.api.listings import category_items
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.harvest.cluster.task_batch import TaskBatch, TaskSpec


def test_a_listing_arrives_with_its_stored_pages():
    """The pages, the pages that say that more follow, and the items seen are the same."""
    listing = category_items(7, free_shipping=True)
    task = ListingTask(
        listing=listing,
        max_pages=9,
        hint=5,
        stored_pages={2: True, 1: True, 4: False},
        stored_ids={3, 2**62},
    )
    batch = TaskBatch("session 1", 1, (TaskSpec.of(12, task),))
    unpacked = pickle.loads(pickle.dumps(batch)).tasks[0].unpack()  # noqa: S301 - our own
    assert unpacked.listing == listing
    assert unpacked.stored_pages == {2: True, 1: True, 4: False}
    assert set(unpacked.stored_ids) == {3, 2**62}
    assert (unpacked.max_pages, unpacked.hint, unpacked.stored_rows, unpacked.first) == (9, 5, 0, 1)
