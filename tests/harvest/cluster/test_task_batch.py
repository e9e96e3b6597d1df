"""Listings arrive at a session with all that the journal holds of them."""

from __future__ import annotations

from tmapi_async.api.listings import category_items
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.crawl.seam import Seam
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
        seam=Seam((4, 2), {1: (10, 11), 2: (), 4: (2**62,)}, 4),
        shifted="rows have left",
    )
    batch = TaskBatch("session 1", 1, (TaskSpec.of(12, task),))
    unpacked = TaskBatch.unpack(batch.pack()).tasks[0].unpack()
    assert unpacked.listing == listing
    assert unpacked.seam is not None
    assert (unpacked.seam.pages, unpacked.seam.last) == ((4, 2), 4)
    rows = {number: tuple(ids) for number, ids in unpacked.seam.rows.items()}
    assert rows == {1: (10, 11), 2: (), 4: (2**62,)}
    assert unpacked.shifted == "rows have left"
    assert unpacked.stored_pages == {2: True, 1: True, 4: False}
    assert set(unpacked.stored_ids) == {3, 2**62}
    assert (unpacked.max_pages, unpacked.hint, unpacked.stored_rows, unpacked.first) == (9, 5, 0, 1)
