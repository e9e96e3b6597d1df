"""Balance gone, token refused, endpoint missing: all work ends at once, and says what is left."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.watching import (
    all_slots_back,
    client,
    ids_by_category,
    tasks_of_walks,
    truth,
    until,
)
from tmapi_async import AccountError, AuthenticationError, BalanceError, RouteError
from tmapi_async.sandbox import Faults

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.slow]

FORMS = {
    "439 as status": ("439", {"style": "status"}, BalanceError),
    "439 in the body": ("439", {"style": "body"}, BalanceError),
    "439 in the body, text in message": ("439", {"style": "body", "text": "message"}, BalanceError),
    "439 bare": ("439", {"balance": "bare"}, BalanceError),
    "439 bare, as status 403": ("439", {"balance": "bare", "bare_status": 403}, AccountError),
    "439 bare, as status 500": ("439", {"balance": "bare", "bare_status": 500}, BalanceError),
    "bare-balance": ("bare-balance", {}, BalanceError),
    "402": ("402", {}, BalanceError),
    "401 as status": ("401", {"style": "status"}, AuthenticationError),
    "4011 in the body": ("401", {"style": "body"}, AuthenticationError),
    "403": ("403", {}, AuthenticationError),
    "404": ("404", {}, RouteError),
}


@pytest.mark.parametrize("form", FORMS)
async def test_no_new_attempt_starts_after_the_answer_is_read(tmapi_sandboxes, form):
    """With eight requests out when the account is refused, eight is all the server ever sees."""
    name, options, kind = FORMS[form]
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 60), 100), **options)
    async with client(sandbox) as api:
        sandbox.hold()
        walk = api.category_items(range(1, 60))
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        await sandbox.until(lambda seen: seen.in_flight == 8)
        sandbox.faults = Faults({name: 1.0})
        sandbox.release()
        with pytest.raises(kind):
            await taking
        assert sandbox.stats.requests == walk.statistics().requests == 8
        assert tasks_of_walks() == []
        await all_slots_back(api)


@pytest.mark.parametrize("form", FORMS)
async def test_pages_on_the_wire_are_delivered_and_the_error_says_what_is_left(
    tmapi_sandboxes, form
):
    """Pages paid for before a refusal are delivered first. The error names the rest."""
    name, options, kind = FORMS[form]
    sandbox = await tmapi_sandboxes(
        categories={1: 15, 2: 100, 3: 100, 4: 100, 5: 100, 6: 100},
        slow=0.05,
        faults=Faults(script={(1, 1): "slow", (2, 1): "slow", (3, 1): name, (4, 1): "slow"}),
        **options,
    )
    async with client(sandbox, concurrency=4) as api:
        sandbox.hold()
        walk = api.category_items(iter([1, 2, 3, 4, 5, 6]))
        found: dict[int, list[int]] = {}
        taking = asyncio.create_task(ids_by_category(walk.pages(), found))
        await sandbox.until(lambda seen: seen.in_flight == 4)
        sandbox.release()
        with pytest.raises(kind) as raised:
            await taking
        error, held = raised.value, truth(sandbox)
        assert found == {1: held[1], 2: held[2][:20], 4: held[4][:20]}
        assert sandbox.stats.requests == 4
        assert (error.listing, error.page, error.attempts) == ("category/items?cat_id=3", 1, 1)
        left = error.progress
        assert (left.pages, left.items, left.complete) == (3, 55, 1)
        assert "category/items?cat_id=2 from page 2" in left.open
        assert "category/items?cat_id=3 from page 1" in left.open
        assert "category/items?cat_id=4 from page 2" in left.open
        assert left.open_count == len(left.open)
        assert left.more or left.open_count == 5
        assert "Done: 1 listing complete, 3 pages, 55 items; left: " in str(error)
        seen = walk.statistics()
        assert (seen.complete, seen.failed, seen.stopped) == (1, 0, seen.listings - 1)
        await all_slots_back(api)


async def test_nothing_is_called_left_that_is_not(tmapi_sandboxes):
    """If every listing was begun, the error does not claim that some were not."""
    sandbox = await tmapi_sandboxes(categories={1: 100, 2: 100}, quota=1)
    async with client(sandbox, concurrency=1, lookahead="off") as api:
        with pytest.raises(BalanceError) as raised:
            await ids_by_category(api.category_items([1, 2]).pages())
        assert raised.value.progress.open_count == 2
        assert raised.value.progress.more is False


async def test_the_rest_can_be_walked_after_topping_up(tmapi_sandboxes):
    """The same client goes on from where the error said, and nothing is lost or asked twice."""
    sandbox = await tmapi_sandboxes(categories={1: 400}, quota=7, latency=0.001)
    async with client(sandbox, lookahead="off") as api:
        found: dict[int, list[int]] = {}
        with pytest.raises(BalanceError) as raised:
            await ids_by_category(api.category_items(1).pages(), found)
        assert raised.value.progress.open == ("category/items?cat_id=1 from page 8",)
        assert sandbox.stats.codes == {"200": 7, "439": 1}
        with pytest.raises(BalanceError):
            await api.category_items(1, start_page=8)
        sandbox.quota = None
        await ids_by_category(api.category_items(1, start_page=8).pages(), found)
        assert found == truth(sandbox)
        assert sandbox.stats.pages_served_twice == 0


async def test_other_walks_of_the_client_end_too(tmapi_sandboxes):
    """One refusal ends every walk begun before it; none asks once more to be told the same."""
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 80), 100))
    async with client(sandbox, concurrency=4) as api:
        sandbox.hold()
        walks = [api.category_items(range(first, 80, 4)) for first in range(1, 5)]
        single = asyncio.create_task(_first(api, 1))
        taking = [asyncio.create_task(ids_by_category(walk.pages())) for walk in walks]
        await sandbox.until(lambda seen: seen.in_flight == 4)
        sandbox.quota = 0
        sandbox.release()
        ends = await asyncio.gather(single, *taking, return_exceptions=True)
        assert [type(end) for end in ends] == [BalanceError] * 5
        assert len({id(end) for end in ends}) == 5
        assert sandbox.stats.requests == 4
        sandbox.quota = None
        late = await ids_by_category(api.category_items([1, 2, 3]).pages())
        assert late == {k: v for k, v in truth(sandbox).items() if k < 4}
        await all_slots_back(api)


async def _first(api, cat_id):
    return await api.category_items(cat_id)


async def test_a_retry_that_rests_is_ended_by_a_refusal(tmapi_sandboxes):
    """A page waiting for its back-off is not asked again once the account is refused."""
    sandbox = await tmapi_sandboxes(
        categories={1: 20, 2: 20}, faults=Faults(script={1: "500", 2: "439"})
    )
    async with client(sandbox, retry=None, concurrency=2) as api:
        sandbox.hold()
        walk = api.category_items([1, 2])
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        await sandbox.until(lambda seen: seen.in_flight == 2)
        sandbox.release()
        with pytest.raises(BalanceError) as raised:
            await taking
        assert sandbox.stats.requests == 2
        assert raised.value.progress.open_count == 2
        assert walk.statistics().failed == 0


async def test_waiting_for_the_pace_is_ended_by_a_refusal(tmapi_sandboxes):
    """An attempt that had its slot and waited for the pace is not sent, nor charged."""
    sandbox = await tmapi_sandboxes(categories={1: 100, 2: 100, 3: 100}, quota=0)
    async with client(sandbox, rate=0.01, concurrency=3) as api:
        walk = api.category_items([1, 2, 3])
        with pytest.raises(BalanceError):
            await ids_by_category(walk.pages())
        assert sandbox.stats.requests == api.statistics().requests == 1
        await all_slots_back(api)


async def test_a_wrong_token_costs_one_width_at_most(tmapi_sandboxes):
    """A wrong token is told from the first answer, and the pool is never asked again and again."""
    sandbox = await tmapi_sandboxes(categories=40, latency=0.002)
    async with client(sandbox, token="wrong", concurrency=4) as api:  # noqa: S106 - a wrong one
        with pytest.raises(AuthenticationError, match="TMAPI_TOKEN") as raised:
            await ids_by_category(api.category_items(sandbox.catalogue.category_ids).pages())
        assert raised.value.code in (401, 4011)
        assert sandbox.stats.requests <= 4
        assert raised.value.progress.pages == 0


async def test_a_drained_walk_keeps_its_counts_in_order(tmapi_sandboxes):
    """However often the balance ends in the middle, pages delivered and pages paid agree."""
    for quota in range(0, 40, 3):
        sandbox = await tmapi_sandboxes(
            categories=30, mean=50, quota=quota, latency=0.001, latency_sigma=1.0
        )
        async with client(sandbox, lookahead="off") as api:
            walk = api.category_items(sandbox.catalogue.category_ids)
            pages = []
            with pytest.raises(BalanceError) as raised:
                pages.extend([page async for page in walk.pages()])
            seen = walk.statistics()
            assert seen.pages == raised.value.progress.pages == sandbox.stats.billed == quota
            assert seen.codes["439"] == sandbox.stats.codes["439"] <= 8
            assert seen.complete + seen.capped + seen.stopped == seen.listings
            await until(lambda: not tasks_of_walks())
