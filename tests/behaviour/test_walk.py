"""Every item exactly once, within the account's limit, whatever else the process does."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import pytest

from tests.support.watching import (
    FAST,
    all_slots_back,
    client,
    ids_by_category,
    suspended_in,
    tasks_of_walks,
    truth,
    until,
    workers,
)
from tmapi_async import InvalidRequestError, ListingsFailedError
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")

WIDTH = 8
BUSY = {"limit": WIDTH, "latency": 0.005, "latency_sigma": 0.5}


async def test_every_item_of_many_categories_comes_exactly_once(tmapi_sandboxes):
    """200 skewed categories: each item once and in page order, no refusal, never above 8."""
    sandbox = await tmapi_sandboxes(categories=200, mean=60, **BUSY)
    async with client(sandbox) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        found = await ids_by_category(walk.pages())
        assert found == truth(sandbox)
        assert walk.statistics().complete == 200
        assert sandbox.stats.codes == {"200": walk.statistics().requests}
        assert sandbox.stats.peak_in_flight == WIDTH
        assert sandbox.stats.pages_served_twice == 0
        await all_slots_back(api)


async def _left_by_break(api, ids):
    async for _ in api.category_items(ids):
        break


async def _left_by_aclose(api, ids):
    async with api.category_items(ids) as walk:
        async for _ in walk.pages():
            break


async def _left_by_timeout(api, ids):
    with suppress(TimeoutError):
        async with asyncio.timeout(0.004):
            async for _ in api.category_items(ids):
                pass


async def _left_by_cancellation(api, ids):
    async def walk():
        async for _ in api.category_items(ids):
            pass

    task = asyncio.create_task(walk())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


LEAVING = (_left_by_break, _left_by_aclose, _left_by_timeout, _left_by_cancellation)


async def _leave(api, ids, count):
    manners = itertools.islice(itertools.cycle(LEAVING), count)
    await asyncio.gather(*(manner(api, ids[n % 50 :]) for n, manner in enumerate(manners)))


@pytest.mark.slow
@pytest.mark.parametrize("ghosts", [False, True])
async def test_abandoned_walks_cost_no_item_no_slot_and_no_refusal(tmapi_sandboxes, ghosts):
    """100 walks left before and during a full one: no 503, peak 8, all items, all slots back."""
    # A fixed latency: what a server does with abandoned work is then known to the client too.
    sandbox = await tmapi_sandboxes(
        categories=200, mean=40, ghosts=ghosts, **BUSY | {"latency_sigma": 0.0}
    )
    ids = sandbox.catalogue.category_ids
    async with client(sandbox) as api:
        await api.category_items(ids[0])  # so that the client knows a latency
        await _leave(api, ids, 60)
        full = api.category_items(ids)
        found, _ = await asyncio.gather(ids_by_category(full.pages()), _leave(api, ids, 60))
        assert found == truth(sandbox)
        await until(lambda: not tasks_of_walks())
        await all_slots_back(api)
        # A machine that is busy delays the server's work, but not our estimate of it: where the
        # server goes on with what was abandoned, a few of 120 may meet it still busy.
        assert sandbox.stats.codes["503"] <= (10 if ghosts else 0)
        assert sandbox.stats.peak_in_flight <= WIDTH
        assert api.statistics().requests >= sandbox.stats.requests
        if sandbox.stats.codes["503"]:
            return  # the gate has learned to stand narrower
        sandbox.hold()
        firsts = [asyncio.create_task(_first(api, cat_id)) for cat_id in ids[:20]]
        await sandbox.until(lambda seen: seen.in_flight == WIDTH)
        sandbox.release()
        await asyncio.gather(*firsts)


async def _first(api, cat_id):
    return await api.category_items(cat_id)


@pytest.mark.slow
async def test_abandoned_walks_with_uneven_latency_lose_nothing(tmapi_sandboxes):
    """If the server works longer than estimated, 503s may come, but no item or slot is lost."""
    sandbox = await tmapi_sandboxes(categories=100, mean=40, ghosts=True, **BUSY)
    ids = sandbox.catalogue.category_ids
    async with client(sandbox) as api:
        await api.category_items(ids[0])
        full = api.category_items(ids)
        found, _ = await asyncio.gather(ids_by_category(full.pages()), _leave(api, ids, 60))
        assert found == truth(sandbox)
        await until(lambda: not tasks_of_walks())
        await all_slots_back(api)
        assert sandbox.stats.peak_in_flight <= WIDTH


async def test_a_bare_break_cleans_up_once_the_generator_is_collected(tmapi_sandboxes):
    """Leaving the loop without `aclosing` ends every task of the walk, and frees its slots."""
    sandbox = await tmapi_sandboxes(categories=50, mean=200)
    async with client(sandbox) as api:
        async for _ in api.category_items(sandbox.catalogue.category_ids):
            break
        await until(lambda: not tasks_of_walks())
        await all_slots_back(api)


async def test_leaving_the_block_ends_every_task_at_once(tmapi_sandboxes):
    """After `async with walk` not one task is left, though the server still holds its requests."""
    sandbox = await tmapi_sandboxes(categories=50)
    async with client(sandbox) as api:
        await api.category_items(sandbox.catalogue.category_ids[0])
        sandbox.hold()
        async with api.category_items(sandbox.catalogue.category_ids) as walk:
            taking = asyncio.create_task(_first_of(walk))
            await sandbox.until(lambda seen: seen.in_flight == WIDTH)
            taking.cancel()
        assert tasks_of_walks() == []
        assert walk.statistics().in_flight == 0
        sandbox.release()
        await asyncio.wait([taking])
        await all_slots_back(api)


async def _first_of(walk):
    return await anext(walk.items())


async def test_a_walk_cancelled_before_its_tasks_ran_leaves_nothing_in_flight(tmapi_sandboxes):
    """Workers that were started and cancelled before their first step give their pages back."""
    sandbox = await tmapi_sandboxes(categories=50)
    for turns in range(6):
        async with client(sandbox) as api:
            await api.category_items(sandbox.catalogue.category_ids[0])
            walk = api.category_items(sandbox.catalogue.category_ids)
            taking = asyncio.create_task(_first_of(walk))
            for _ in range(turns):
                await asyncio.sleep(0)
            taking.cancel()
            await asyncio.wait([taking])
            await walk.aclose()
            seen = walk.statistics()
            assert (seen.in_flight, tasks_of_walks()) == (0, [])
            assert seen.listings == seen.stopped
            await all_slots_back(api)


@pytest.mark.parametrize("lookahead", ["auto", "off", 1, 5])
async def test_one_listing_comes_in_page_order(tmapi_sandboxes, lookahead):
    """Pages of a listing come as 1, 2, 3, ..., however uneven the latency and whatever fails."""
    sandbox = await tmapi_sandboxes(
        seed=4,
        categories={1: 500, 2: 410, 3: 19},
        latency=0.004,
        latency_sigma=1.0,
        faults=Faults({"500": 0.1, "cut": 0.05}),
    )
    async with client(sandbox, lookahead=lookahead) as api:
        numbers: dict[int, list[int]] = {}
        walk = api.category_items([1, 2, 3])
        async for page in walk.pages():
            numbers.setdefault(page.request.listing.cat_id, []).append(page.number)
        assert numbers == {1: list(range(1, 26)), 2: list(range(1, 22)), 3: [1]}
        assert walk.statistics().requests == sandbox.stats.requests
        if lookahead == "off":
            assert walk.statistics().wasted == 0


async def test_many_listings_run_side_by_side(tmapi_sandboxes):
    """One listing after the other would keep one slot busy: eight listings keep eight."""
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 9), 30))
    async with client(sandbox, lookahead="off") as api:
        sandbox.hold()
        taking = asyncio.create_task(ids_by_category(api.category_items(range(1, 9)).pages()))
        await sandbox.until(lambda seen: seen.in_flight == 8)
        assert len(sandbox.stats.asked) == 8
        sandbox.release()
        assert await taking == truth(sandbox)


async def test_a_small_walk_beside_a_large_one_gets_its_turn(tmapi_sandboxes):
    """The gate is first come, first served: a large walk does not starve another's one listing."""
    sizes = {1: 200} | dict.fromkeys(range(2, 200), 60)
    sandbox = await tmapi_sandboxes(categories=sizes, latency=0.002)
    async with client(sandbox, concurrency=2, lookahead="off") as api:
        large = api.category_items(range(2, 200))
        small = api.category_items(1)
        pages = large.pages()
        await anext(pages)
        taking = asyncio.create_task(ids_by_category(pages))
        before = large.statistics().pages
        assert await ids_by_category(small.pages()) == {1: truth(sandbox)[1]}
        meanwhile = large.statistics().pages - before
        taking.cancel()
        await asyncio.wait([taking])
        # Ten pages of the small one; two slots, so the large one has about two for each of them.
        assert meanwhile <= 10 * 2 * 3
        await all_slots_back(api)


class _Counted:
    """An endless supply of category IDs that counts how many were taken."""

    def __init__(self):
        self.taken = 0

    def __iter__(self):
        while True:
            self.taken += 1
            yield self.taken

    async def __aiter__(self):
        while True:
            await asyncio.sleep(0)
            self.taken += 1
            yield self.taken


class _CountedAsync:
    """The same, as an async iterable alone."""

    def __init__(self, counted):
        self._counted = counted

    def __aiter__(self):
        return self._counted.__aiter__()


@pytest.mark.parametrize("kind", ["iterator", "async iterator"])
async def test_ids_are_taken_lazily(tmapi_sandboxes, kind):
    """Of an endless supply never more is taken than a small multiple of the width ahead."""
    sandbox = await tmapi_sandboxes(categories={1: 0}, latency=0.001)
    ids = _Counted()
    most = 0
    async with client(sandbox) as api:
        source = iter(ids) if kind == "iterator" else _CountedAsync(ids)
        async with api.category_items(source) as walk:
            delivered = 0
            async for _ in walk.pages():
                delivered += 1
                most = max(most, ids.taken - delivered)
                if delivered == 300:
                    break
        await all_slots_back(api)
    assert most <= 4 * WIDTH


@pytest.mark.parametrize("sizes", [dict.fromkeys(range(1, 200), 20), {1: 1990}])
async def test_what_nobody_takes_is_not_asked_for(tmapi_sandboxes, sizes):
    """While the consumer takes nothing, requests stop after a small multiple of the width."""
    sandbox = await tmapi_sandboxes(categories=sizes)
    async with client(sandbox) as api:
        async with api.category_items(list(sizes)) as walk:
            pages = walk.pages()
            await anext(pages)
            await until(lambda: not workers())
            assert sandbox.stats.requests <= 4 * WIDTH
            assert walk.statistics().waiting <= 3 * WIDTH
            found = [page async for page in pages]
        seen = walk.statistics()
        assert len(found) + 1 == seen.pages == sum(-(-size // 20) for size in sizes.values())
        assert seen.pages + seen.wasted == sandbox.stats.requests
        await all_slots_back(api)


async def test_a_supply_that_breaks_is_told_and_leaves_nothing(tmapi_sandboxes):
    """An exception out of the caller's own iterator reaches the caller, after what was paid for."""
    sandbox = await tmapi_sandboxes(categories={1: 30, 2: 30})

    async def ids():
        yield 1
        yield 2
        raise KeyError("the caller's own")

    async with client(sandbox) as api:
        with pytest.raises(KeyError, match="the caller's own"):
            await ids_by_category(api.category_items(ids()).pages())
        assert tasks_of_walks() == []
        await all_slots_back(api)


async def test_a_bad_id_in_a_supply_ends_the_walk(tmapi_sandboxes):
    """An ID that is none, met in an iterator, is told; what is on the wire is delivered first."""
    sandbox = await tmapi_sandboxes(categories={1: 10})
    async with client(sandbox) as api:
        walk = api.category_items(iter([1, "x", 2]))
        found = []
        with pytest.raises(InvalidRequestError, match="'x' is not a category ID"):
            found.extend([page.number async for page in walk.pages()])
        assert found in ([], [1])
        assert sandbox.stats.requests <= 1


async def test_a_supply_is_closed_with_the_walk(tmapi_sandboxes):
    """A caller's async generator that holds something open is closed when the walk is left."""
    sandbox = await tmapi_sandboxes(categories=50)
    closed = asyncio.Event()

    async def ids():
        try:
            for cat_id in itertools.count(1):
                yield cat_id
        finally:
            closed.set()

    async with client(sandbox) as api:
        async with api.category_items(ids()) as walk:
            async for _ in walk.pages():
                break
        assert closed.is_set()
        await all_slots_back(api)


async def test_a_supply_that_hangs_can_be_left(tmapi_sandboxes):
    """Leaving a walk whose supply of IDs hangs cancels the supply and ends at once."""
    sandbox = await tmapi_sandboxes(categories={1: 10})

    async def ids():
        yield 1
        await asyncio.Event().wait()

    async with client(sandbox) as api:
        async with api.category_items(ids()) as walk:
            async for page in walk.pages():
                assert page.number == 1
                break
        assert tasks_of_walks() == []


async def test_a_failing_callback_is_told_not_swallowed(tmapi_sandboxes):
    """An exception out of the caller's `on_end` reaches the caller's loop."""
    sandbox = await tmapi_sandboxes(categories={1: 30, 2: 30})

    def on_end(outcome):
        raise KeyError(outcome.listing.cat_id)

    async with client(sandbox) as api:
        with pytest.raises(KeyError):
            await ids_by_category(api.category_items([1, 2], on_end=on_end).pages())
        await until(lambda: not tasks_of_walks())
        await all_slots_back(api)


async def test_a_callback_that_fails_when_a_client_closes_leaves_nothing_open(tmapi_sandboxes):
    """Every walk and every connection is closed, and then the exception is raised."""
    sandbox = await tmapi_sandboxes(categories={1: 100, 2: 100})

    def on_end(outcome):
        if outcome.listing.cat_id == 1:
            raise KeyError(outcome.ending)

    api = client(sandbox)
    await api.__aenter__()
    left = [api.category_items([1, 2], on_end=on_end).pages() for _ in range(3)]
    for pages in left:
        await anext(pages)
    with pytest.raises(KeyError, match="stopped"):
        await api.aclose()
    await until(lambda: not tasks_of_walks())


async def test_two_walks_share_one_gate(tmapi_sandboxes):
    """Many tasks with one client stay within its width together, and each gets its items."""
    sandbox = await tmapi_sandboxes(categories=40, mean=60, **BUSY)
    ids = sandbox.catalogue.category_ids
    async with client(sandbox) as api:
        parts = [ids_by_category(api.category_items(ids[start::4]).pages()) for start in range(4)]
        found: dict[int, list[int]] = {}
        for part in await asyncio.gather(*parts):
            found |= part
    assert found == truth(sandbox)
    assert sandbox.stats.codes == {"200": sandbox.stats.requests}
    assert sandbox.stats.peak_in_flight <= WIDTH


async def test_stopping_lets_what_is_on_the_wire_come_in(tmapi_sandboxes):
    """`stop` starts nothing more, and the loop still gets every page that was paid for."""
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 30), 100))
    async with client(sandbox) as api:
        sandbox.hold()
        walk = api.category_items(range(1, 30))
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        await sandbox.until(lambda seen: seen.in_flight == WIDTH)
        walk.stop()
        sandbox.release()
        found = await taking
        assert sandbox.stats.requests == WIDTH
        assert sum(map(len, found.values())) == WIDTH * 20
        seen = walk.statistics()
        assert (seen.complete, seen.failed, seen.stopped) == (0, 0, seen.listings)
        await all_slots_back(api)


async def test_a_walk_stopped_before_it_began_sends_nothing(tmapi_sandboxes):
    """`stop` counts also where the loop has not begun yet."""
    sandbox = await tmapi_sandboxes(categories={1: 100})
    async with client(sandbox) as api:
        walk = api.category_items(1)
        walk.stop()
        assert await ids_by_category(walk.pages()) == {}
    assert sandbox.stats.requests == 0


async def test_some_listings_fail_and_the_others_are_walked(tmapi_sandboxes):
    """422 ends its listing alone, unasked again; the failure is raised after the last page."""
    sandbox = await tmapi_sandboxes(
        categories=dict.fromkeys(range(1, 20), 50), faults=Faults(script={5: "422", 9: "422"})
    )
    async with client(sandbox) as api:
        walk = api.category_items(range(1, 20))
        found: dict[int, list[int]] = {}
        with pytest.raises(ListingsFailedError) as raised:
            await ids_by_category(walk.pages(), found)
        assert raised.value.count == 2
        assert {error.listing for error in raised.value.errors} == {
            "category/items?cat_id=5",
            "category/items?cat_id=9",
        }
        assert found == {k: v for k, v in truth(sandbox).items() if k not in (5, 9)}
        assert sandbox.stats.codes["422"] == 2
        seen = walk.statistics()
        assert (seen.listings, seen.complete, seen.failed) == (19, 17, 2)


async def test_waiting_tasks_show_where_they_are(tmapi_sandboxes):
    """The helper that other tests lean on tells truly where a walk's tasks are suspended."""
    sandbox = await tmapi_sandboxes(categories={1: 100})
    async with client(sandbox, retry=FAST) as api:
        sandbox.hold()
        async with api.category_items(1) as walk:
            taking = asyncio.create_task(_first_of(walk))
            await sandbox.until(lambda seen: seen.in_flight == 1)
            await until(lambda: suspended_in("PageSender.send"))
            assert not suspended_in("AdaptiveSemaphore.acquire")
            taking.cancel()
        await asyncio.wait([taking])
        sandbox.release()
