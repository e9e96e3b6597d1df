"""Listings that never end are ended; rows that come again are counted, and dropped if asked."""

from __future__ import annotations

import pytest

from tests.support.watching import all_slots_back, client, ids_by_category, truth
from tmapi_async import EndlessListingError, GuardPolicy, ListingsFailedError

pytestmark = pytest.mark.usefixtures("tidy")

KINDS = {1: "same", 2: "no-new", 3: "empty"}
SIZES = {1: 50, 2: 50, 3: 50, 4: 70, 5: 130, 6: 0}


@pytest.mark.parametrize("lookahead", ["auto", "off", 6])
async def test_endless_listings_fail_and_the_others_are_walked(tmapi_sandboxes, lookahead):
    """All three kinds of endless listing end as failed, by name, after a bounded run of pages."""
    sandbox = await tmapi_sandboxes(categories=SIZES, endless=KINDS, latency=0.001)
    ended = {}
    async with client(sandbox, lookahead=lookahead) as api:
        walk = api.category_items(
            list(SIZES), on_end=lambda outcome: ended.update({outcome.listing.cat_id: outcome})
        )
        found: dict[int, list[int]] = {}
        with pytest.raises(ListingsFailedError) as raised:
            await ids_by_category(walk.pages(), found)
        assert [type(error) for error in raised.value.errors] == [EndlessListingError] * 3
        assert {n: outcome.ending for n, outcome in ended.items()} == {
            1: "failed",
            2: "failed",
            3: "failed",
            4: "complete",
            5: "complete",
            6: "complete",
        }
        for cat_id, items in truth(sandbox).items():
            assert set(found[cat_id]) == set(items)
            assert ended[cat_id].unique == len(items)
            assert ended[cat_id].duplicates == len(found[cat_id]) - len(items)
        for cat_id in KINDS:
            assert "the listing does not end" in str(ended[cat_id].error)
            assert f"cat_id={cat_id} page" in str(ended[cat_id].error)
        seen = walk.statistics()
        assert (seen.complete, seen.failed, seen.listings) == (3, 3, 6)
        # Three pages hold the items, and ten that bring nothing new end it; what came ahead of
        # its turn meanwhile was paid for, and is bounded by the width.
        ahead = 0 if lookahead == "off" else 8
        assert max(ended[cat_id].pages for cat_id in KINDS) <= 13 + ahead
        assert seen.requests == sandbox.stats.requests <= 3 * (13 + 16) + 13
        await all_slots_back(api)


@pytest.mark.parametrize("kind", ["same", "no-new", "empty"])
async def test_one_endless_listing_raises_its_own_error(tmapi_sandboxes, kind):
    """A walk of one listing raises the error of this listing itself, after its pages."""
    sandbox = await tmapi_sandboxes(categories={7: 50}, endless={7: kind})
    async with client(sandbox, guard=GuardPolicy(same=2, stale=4), lookahead="off") as api:
        walk = api.category_items(7)
        found: dict[int, list[int]] = {}
        with pytest.raises(EndlessListingError, match="cat_id=7 page") as raised:
            await ids_by_category(walk.pages(), found)
        assert set(found[7]) == set(truth(sandbox)[7])
        assert raised.value.listing == "category/items?cat_id=7"
        assert walk.statistics().pages <= 3 + 4
        await all_slots_back(api)


async def test_max_pages_caps_an_endless_listing_first(tmapi_sandboxes):
    """A listing cut at `max_pages` before the guard sees a loop is capped, not failed."""
    sandbox = await tmapi_sandboxes(categories={7: 50}, endless={7: "same"})
    async with client(sandbox) as api:
        walk = api.category_items(7, max_pages=3)
        await ids_by_category(walk.pages())
        seen = walk.statistics()
        assert (seen.capped, seen.failed, seen.pages) == (1, 0, 3)


@pytest.mark.parametrize("unique", [False, True])
async def test_rows_that_come_again_are_counted_and_dropped_only_if_asked(tmapi_sandboxes, unique):
    """Repeated rows: statistics tell how many; `unique` leaves each item once, in first order."""
    sandbox = await tmapi_sandboxes(categories=20, mean=100, repeats=0.5)
    async with client(sandbox) as api:
        walk = api.category_items(sandbox.catalogue.category_ids, unique=unique)
        found = await ids_by_category(walk.pages())
        held = truth(sandbox)
        delivered = sum(map(len, found.values()))
        seen = walk.statistics()
        assert seen.unique_items == sandbox.catalogue.total_items
        assert seen.duplicates == seen.items - seen.unique_items > 0
        assert delivered == (seen.unique_items if unique else seen.items)
        if unique:
            assert found == held
        assert {n: set(items) for n, items in found.items()} == {
            n: set(items) for n, items in held.items()
        }


async def test_short_pages_end_nothing(tmapi_sandboxes):
    """A page with fewer rows than usual does not end a walk while the server says there is more."""
    sandbox = await tmapi_sandboxes(categories=20, mean=100, short_pages=0.5)
    async with client(sandbox) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        assert walk.statistics().complete == 20
