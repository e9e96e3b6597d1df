"""A page that was paid for once is not requested again while it is young enough."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cache_files import all_bytes, kept_pages, make_older
from tests.support.ranking_server import serve_rankings
from tests.support.watching import FAST, client
from tmapi_async import (
    TMAPI,
    AuthenticationError,
    InvalidRequestError,
    ListingOutcome,
    RetryPolicy,
    ServerError,
)
from tmapi_async.harvest import Harvest
from tmapi_async.sandbox import Faults, Sandbox
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("tidy")

ONCE = RetryPolicy(max_attempts=1)
HOUR = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a cache file."""
    return tmp_path / "pages.db"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Return a sandbox with three categories."""
    async with Sandbox(categories={1: 100, 2: 30, 3: 0}) as running:
        yield running


def cached(sandbox: Any, path: Path | str, **options: Any) -> TMAPI:
    """Return a client with a cache of a day, and without look-ahead, so that requests are known."""
    return client(sandbox, **{"cache": path, "max_age": 24 * HOUR, "lookahead": "off", **options})


async def numbers(walk: Any) -> list[tuple[int, int, bool]]:
    """Walk to the end; return category, page number, and if the page came from the cache."""
    return [
        (page.request.listing.cat_id, page.number, page.from_cache) async for page in walk.pages()
    ]


async def ending(api: TMAPI, **options: Any) -> ListingOutcome:
    """Walk category 1 and return how it ended."""
    outcomes: list[ListingOutcome] = []
    await numbers(api.category_items(1, on_end=outcomes.append, **options))
    return outcomes[0]


# -- hits


async def test_page_is_paid_for_once(sandbox: Sandbox, path: Path) -> None:
    """Another call and another client get the page from the cache, and the page says so."""
    async with cached(sandbox, path) as api:
        first = await api.category_items(1)
        again = await api.category_items(1)
    async with cached(sandbox, path) as api:
        later = await api.category_items(1)
        assert api.statistics().cache_hits == 1
        assert api.statistics().requests == 0
    assert [page.from_cache for page in (first, again, later)] == [False, True, True]
    assert first.age == 0
    assert 0 < again.age < HOUR
    assert first.items == again.items == later.items
    # The file keeps milliseconds.
    assert abs((later.fetched_at - first.fetched_at).total_seconds()) < 0.002
    assert later.has_next_page
    assert later.attempts == 0
    assert sandbox.stats.requests == 1


async def test_walk_over_cached_pages_sends_nothing(sandbox: Sandbox, path: Path) -> None:
    """Not even look-ahead asks for a page: the cache says where each listing ends."""
    async with cached(sandbox, path) as api:
        await numbers(api.category_items([1, 2, 3]))
        paid = sandbox.stats.requests
    async with cached(sandbox, path, concurrency=32, lookahead="auto") as api:
        walk = api.category_items([1, 2, 3])
        pages = await numbers(walk)
        statistics = walk.statistics()
    assert sorted(pages) == [
        *((1, n, True) for n in range(1, 6)), (2, 1, True), (2, 2, True), (3, 1, True),
    ]  # fmt: skip
    assert sandbox.stats.requests == paid
    assert (statistics.complete, statistics.requests, statistics.cache_hits) == (3, 0, 8)


async def test_call_says_how_old_a_page_may_be(sandbox: Sandbox, path: Path) -> None:
    """The limit of a call wins over that of the client; 0 asks anew, and keeps the new page."""
    async with cached(sandbox, path) as api:
        await api.category_items(1)
    make_older(path, 2 * HOUR)
    async with cached(sandbox, path, max_age=3 * HOUR) as api:
        assert (await api.category_items(1)).from_cache
        assert not (await api.category_items(1, max_age=HOUR)).from_cache
        young = await api.category_items(1, max_age=HOUR)
        assert young.from_cache
        assert young.age < HOUR
        assert not (await api.category_items(1, max_age=0)).from_cache
    assert sandbox.stats.requests == 3
    make_older(path, 10_000 * HOUR)
    async with cached(sandbox, path, max_age=float("inf")) as api:
        assert (await api.category_items(1)).from_cache


async def test_hit_takes_no_slot_and_no_budget(sandbox: Sandbox, path: Path) -> None:
    """With the budget spent, cached pages still come."""
    async with cached(sandbox, path, max_requests=1) as api:
        await api.category_items(1)
        for _ in range(3):
            assert (await api.category_items(1)).from_cache
        assert api.statistics().budget_left == 0


async def test_cached_page_belongs_to_its_receiver(sandbox: Sandbox, path: Path) -> None:
    """A caller who changes the lists of a page changes no later hit."""
    async with cached(sandbox, path) as api:
        for _ in range(3):
            page = await api.category_items(1)
            assert len(page.items) == 20
            page.items.clear()
            page.rejects.append(page)  # type: ignore[arg-type]


async def test_tasks_that_only_hit_let_others_run(sandbox: Sandbox, path: Path) -> None:
    """A loop over cached pages waits for nothing, and gives other tasks their turns."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with cached(sandbox, path) as api:
        await api.category_items(1)
        task = asyncio.create_task(other())
        for _ in range(1000):
            await api.category_items(1)
        task.cancel()
    assert turns >= 10


async def test_tasks_that_miss_at_once_are_billed_once(sandbox: Sandbox, path: Path) -> None:
    """Fifty tasks that ask for a page which is not in the cache send one request."""
    async with cached(sandbox, path) as api:
        pages = await asyncio.gather(*(first_page(api) for _ in range(50)))
        assert len(pages) == 50
    assert sandbox.stats.requests == 1


async def first_page(api: TMAPI) -> Any:
    """Return the first page of category 1."""
    return await api.category_items(1)


@pytest.mark.parametrize(
    "other",
    [{"free_shipping": True}, {"start_page": 2}, {"base_url": "/prefix"}],
    ids=["parameters", "page", "host"],
)
async def test_only_the_same_page_is_taken(
    sandbox: Sandbox, path: Path, other: dict[str, Any]
) -> None:
    """Another parameter, page, host or prefix is another page."""
    base = other.pop("base_url", "")
    async with cached(sandbox, path) as api:
        await api.category_items(1)
    async with cached(sandbox, path, base_url=f"{sandbox.url}{base}", retry=ONCE) as api:
        outcome = (await asyncio.gather(first_other(api, other), return_exceptions=True))[0]
    assert not getattr(outcome, "from_cache", False)
    assert sandbox.stats.requests == 2


async def first_other(api: TMAPI, options: dict[str, Any]) -> Any:
    """Return a page of category 1."""
    return await api.category_items(1, **options)


async def test_other_tokens_share_the_cache(sandbox: Sandbox, path: Path) -> None:
    """A page does not depend on the account that paid for it."""
    async with cached(sandbox, path) as api:
        await api.category_items(1)
    async with cached(sandbox, path, token="another") as api:  # noqa: S106 - opens nothing
        assert (await api.category_items(1)).from_cache


async def test_single_replies_are_cached(path: Path) -> None:
    """The details of a product, and the tree of categories, have the same options."""
    async with Sandbox(categories={1: 20}) as sandbox, cached(sandbox, path) as api:
        item_id = sandbox.catalogue.item_ids(1)[0]
        first = await api.item_detail(item_id)
        tree = await api.categories()
        paid = sandbox.stats.requests
        assert await api.item_detail(item_id) == first
        assert list(await api.categories()) == list(tree)
        assert sandbox.stats.requests == paid
        await api.item_detail(item_id, max_age=0, priority="bulk", timeout=5, retry=FAST)
        assert sandbox.stats.requests == paid + 1
        await api.categories(max_age=0, depth=1)
        assert sandbox.stats.requests > paid + 1


async def test_harvest_reads_no_cache(sandbox: Sandbox, path: Path, tmp_path: Path) -> None:
    """The journal of a harvest is the record of pages that it paid for itself."""
    async with cached(sandbox, path) as api:
        await numbers(api.category_items(1))
        paid = sandbox.stats.requests
        walk = api.category_items(1)
        report = await Harvest(api, walk.listings, journal=tmp_path / "j.journal").run()
        assert report.complete == 1
        assert sandbox.stats.requests >= paid + 5


# -- pages of different ages


async def test_pages_of_different_ages_are_never_called_complete(path: Path) -> None:
    """Rows slide over the border between old pages and new ones: the listing ends as shifted."""
    async with serve_rankings() as server:
        server.rankings[1] = list(range(100))
        async with cached(server, path) as api:
            await numbers(api.category_items(1, max_pages=3))
        make_older(path, HOUR)
        server.remove(1, range(10))  # rows 60 to 69 slide onto the third page
        async with cached(server, path) as api:
            outcome = await ending(api)
        assert outcome.ending == "shifted"
        assert "page 4 was read 60 min" in str(outcome.shifted)
        assert outcome.unique < 100
        assert server.requests == {(1, 1): 1, (1, 2): 1, (1, 3): 1, (1, 4): 1, (1, 5): 1}


async def test_pages_of_one_sitting_are_complete(path: Path) -> None:
    """A walk that takes its first pages from the cache a moment later may be complete."""
    async with serve_rankings() as server:
        server.rankings[1] = list(range(100))
        async with cached(server, path) as api:
            await numbers(api.category_items(1, max_pages=3))
            assert (await ending(api)).ending == "complete"
        assert sum(server.requests.values()) == 5


async def test_first_page_that_is_requested_decides_for_all(path: Path) -> None:
    """If the first page has become too old, the others are requested, too: the walk is complete."""
    async with serve_rankings() as server:
        server.rankings[1] = list(range(100))
        async with cached(server, path) as api:
            await numbers(api.category_items(1))
        make_older(path, 25 * HOUR, "number = 1")
        make_older(path, 23 * HOUR, "number > 1")
        server.remove(1, range(10))
        async with cached(server, path) as api:
            outcome = await ending(api)
        assert (outcome.ending, outcome.unique) == ("complete", 90)
        assert sum(server.requests.values()) == 10


async def test_lone_first_page_is_requested_for_a_whole_listing(path: Path) -> None:
    """One request more makes the walk complete; who wants one page gets it from the cache."""
    async with serve_rankings() as server:
        server.rankings[1] = list(range(60))
        async with cached(server, path) as api:
            await api.category_items(1)
        make_older(path, HOUR)
        async with cached(server, path) as api:
            assert (await api.category_items(1)).from_cache
            assert await numbers(api.category_items(1, max_pages=1)) == [(1, 1, True)]
            assert (await ending(api)).ending == "complete"
        assert server.requests == {(1, 1): 2, (1, 2): 1, (1, 3): 1}


async def test_walk_keeps_the_limit_that_it_began_with(path: Path) -> None:
    """Pages that become too old while a listing is walked are still taken: they are of one age."""
    async with serve_rankings() as server:
        server.rankings[1] = list(range(100))
        async with cached(server, path) as api:
            await numbers(api.category_items(1))
        make_older(path, HOUR)
        async with cached(server, path, max_age=HOUR + 60) as api:
            cache = api.core.page_sources.cache
            assert cache is not None
            clock = cache.clock
            async for page in api.category_items(1).pages():
                assert page.from_cache
                cache.clock = lambda: clock() + HOUR
        assert sum(server.requests.values()) == 5


# -- failures


@pytest.mark.parametrize("stale", [True, 3 * HOUR])
async def test_older_page_is_given_if_the_api_fails(
    sandbox: Sandbox, path: Path, stale: bool | float
) -> None:
    """On request only, up to the age that the caller accepts; the page tells its age."""
    async with cached(sandbox, path) as api:
        await api.category_items(1)
    make_older(path, 2 * HOUR)
    sandbox.faults = Faults({"500": 1.0})
    async with cached(sandbox, path, max_age=HOUR, retry=ONCE) as api:
        with pytest.raises(ServerError):
            await api.category_items(1)
        with pytest.raises(ServerError):
            await api.category_items(1, stale_if_error=HOUR)
        page = await api.category_items(1, stale_if_error=stale)
        assert page.from_cache
        assert page.age > 2 * HOUR
        with pytest.raises(ServerError):  # there is no page of this one
            await api.category_items(2, stale_if_error=stale)


async def test_refused_token_is_told_whatever_is_in_the_cache(sandbox: Sandbox, path: Path) -> None:
    """A spent balance and a refused token are no failures of the API."""
    async with cached(sandbox, path) as api:
        await api.category_items(1)
    sandbox.faults = Faults({"401": 1.0})
    async with cached(sandbox, path, max_age=0, stale_if_error=True) as api:
        with pytest.raises(AuthenticationError):
            await api.category_items(1)


async def test_errors_are_not_kept(sandbox: Sandbox, path: Path) -> None:
    """After a failure the next call asks again; an empty page is a page, and is kept."""
    sandbox.faults = Faults({"500": 1.0})
    async with cached(sandbox, path, retry=ONCE) as api:
        with pytest.raises(ServerError):
            await api.category_items(1)
        sandbox.faults = Faults()
        assert not (await api.category_items(1)).from_cache
        assert not (await api.category_items(3)).from_cache
        assert (await api.category_items(3)).from_cache
    assert len(kept_pages(path)) == 2


async def test_page_that_denies_its_total_is_not_kept(path: Path) -> None:
    """A reply that contradicts itself is given to the caller, and asked for again next time."""
    async with serve_rankings() as server:
        server.rankings[1] = []
        server.rankings[2] = list(range(20))
        async with cached(server, path) as api:
            real, server.rankings[1] = server.rankings[1], Contradiction()
            assert not (await api.category_items_v2(1)).items
            server.rankings[1] = real
            assert not (await api.category_items_v2(1)).from_cache
            await api.category_items_v2(2)
            assert (await api.category_items_v2(2)).from_cache


class Contradiction(list[int]):
    """A ranking that states a total of 500 rows and shows none."""

    def __len__(self) -> int:
        return 500

    def __getitem__(self, _: Any) -> Any:
        return []


# -- secrets


async def test_token_is_not_in_the_file(canary: Any, path: Path, caplog: Any) -> None:
    """Neither as a key, nor in a reply that repeats it."""
    caplog.set_level(logging.DEBUG)
    async with serve_rankings() as server:
        server.rankings |= {1: list(range(20)), 2: list(range(20, 40))}
        server.fields[20] = {"title": f"your token is {canary.token}"}
        async with cached(server, path, token=canary.token) as api:
            for _ in range(2):
                await api.category_items([1, 2]).aclose()
                await api.category_items(1)
                await api.category_items(2)
                assert canary.absent_from(all_bytes(path))
            cache = api.core.page_sources.cache
            assert canary.absent_from(repr(cache))
        assert kept_pages(path) == [("category/items?cat_id=1", 1)]
    assert canary.absent_from(all_bytes(path))
    assert canary.loggers_leaking(caplog.records) == set()


# -- life


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_client_whose_loop_was_closed_uses_its_cache_again(path: Path) -> None:
    """A loop that is closed on an open client takes neither the file nor the client with it."""
    with SandboxThread(categories={1: 20}) as sandbox:

        async def is_hit(api: TMAPI) -> bool:
            async with api:
                return (await api.category_items(1)).from_cache

        assert not asyncio.run(is_hit(cached(sandbox, path)))
        api = cached(sandbox, path)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(api.core.open())
        loop.close()
        assert asyncio.run(is_hit(api))
        del api
        gc.collect()  # or a later test is told of the session that nobody could close


async def test_walk_over_many_listings_forgets_those_that_ended(path: Path) -> None:
    """Memory does not grow with their number; the pages come all the same."""
    async with Sandbox(categories=dict.fromkeys(range(1, 31), 20)) as sandbox:
        async with cached(sandbox, path) as api:
            await numbers(api.category_items(range(1, 31)))
        paid = sandbox.stats.requests
        async with cached(sandbox, path) as api:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tmapi_async.crawl.page_cache.cached_pages._MAX_LISTINGS", 4)
                pages = await numbers(api.category_items(range(1, 31)))
        assert len(pages) == 30
        assert sandbox.stats.requests == paid


# -- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_age": -1}, "max_age"),
        ({"max_age": "6h"}, "max_age"),
        ({"stale_if_error": "yes"}, "stale_if_error"),
        ({"cache_bytes": 1000}, "cache_bytes"),
        ({"cache_bytes": 2.5e9}, "cache_bytes"),
        ({"cache": 7}, "cache"),
        ({"cache": ":memory:"}, "cache"),
        ({"cache": "http://host/"}, "cache"),
        ({"cache": "/no/such/folder/pages.db"}, "folder"),
        ({"cache": "/tmp"}, "not a file"),  # noqa: S108 - nothing is written
    ],
)
def test_wrong_option_is_refused_at_construction(options: dict[str, Any], words: str) -> None:
    """The message names the option, with and without a cache."""
    with pytest.raises(InvalidRequestError, match=words):
        TMAPI("token", **options)


@pytest.mark.parametrize("options", [{"start_page": 2}, {"max_ages": 5}, {"timeout": 0}])
async def test_wrong_option_of_a_single_reply_is_refused(
    sandbox: Sandbox, options: dict[str, Any]
) -> None:
    """A method for one reply has the options of a request, and no others."""
    async with client(sandbox) as api:
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            await api.item_detail(5, **options)
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            api.categories(**options)
    assert sandbox.stats.requests == 0


async def test_max_age_without_a_cache_asks(sandbox: Sandbox) -> None:
    """A limit is a permission: without a cache every page is requested."""
    async with client(sandbox, max_age=HOUR) as api:
        for _ in range(2):
            assert not (await api.category_items(1, max_age=HOUR)).from_cache
    assert sandbox.stats.requests == 2
