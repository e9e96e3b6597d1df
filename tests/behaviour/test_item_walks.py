"""Details in bulk: a walk over products, each of which is one request."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tests.support.watching import all_slots_back, tasks_of_walks, until
from tmapi_async import (
    TMAPI,
    BudgetSpentError,
    ClosedError,
    EndlessListingError,
    InvalidRequestError,
    ItemDescription,
    ItemDetail,
    ItemRating,
    ItemSales,
    ItemShipping,
    ListingsFailedError,
    MalformedReplyError,
    ParameterError,
    TMAPIError,
)
from tmapi_async.crawl.page_queue import ORDER_WINDOW
from tmapi_async.sandbox import Catalogue, Faults
from tmapi_async.sandbox.responses.item_replies import ratings_of

pytestmark = pytest.mark.usefixtures("tidy")

DETAIL = "/1688/item_detail"


def refusing(*item_ids: int, fault: str = "422") -> Faults:
    """Return faults of the details of some products, at every attempt."""
    refused = {str(item_id) for item_id in item_ids}

    def script(attempt) -> str | None:
        is_refused = dict(attempt.params).get("item_id") in refused
        return fault if attempt.path == DETAIL and is_refused else None

    return Faults(script=script)


def listed(values):
    """Return the values as a list."""
    return list(values)


async def streamed(values):
    """Yield the values in time."""
    for value in values:
        await asyncio.sleep(0)
        yield value


async def collect(walk, details, name="item_id"):
    """Add the IDs of a walk to a list, also those before an error."""
    async for detail in walk:
        details.append(getattr(detail, name))


@pytest.mark.parametrize("form", [listed, iter, streamed])
@pytest.mark.parametrize("ordered", [False, True])
async def test_each_product_comes_once_from_any_iterable(tmapi_sandboxes, form, ordered):
    """The details of many products are a walk; each of them costs one request."""
    sandbox = await tmapi_sandboxes(categories={7: 60}, limit=8, latency=0.002, latency_sigma=1.5)
    ids = sandbox.catalogue.item_ids(7)
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=8) as api:
        async with api.item_details(form(ids), ordered=ordered) as walk:
            details = [detail async for detail in walk]
            assert all(isinstance(detail, ItemDetail) for detail in details)
            assert sorted(detail.item_id for detail in details) == sorted(ids)
            assert walk.statistics().complete == len(ids)
        if ordered:
            assert [detail.item_id for detail in details] == ids
    assert sandbox.stats.pages_served == len(ids)


async def test_another_walk_gives_the_ids(tmapi_sandboxes):
    """Items stand for their IDs, so that search, then detail, is one loop over one gate."""
    sandbox = await tmapi_sandboxes(categories={7: 45}, limit=4, latency=0.001)
    ids = sandbox.catalogue.item_ids(7)
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api:
        found = api.category_items(7, unique=True)
        async with api.item_details(found, ordered=True) as walk:
            assert [detail.item_id async for detail in walk] == ids
        item = (await api.category_items(7)).items[0]
        assert (await api.item_details(item)).items[0].item_id == item.item_id
    assert sandbox.stats.peak_in_flight <= 4


async def test_leaving_the_details_ends_the_walk_that_gave_the_ids(tmapi_sandboxes):
    """No task of either walk is left behind, and every slot is free again."""
    sandbox = await tmapi_sandboxes(categories={7: 400}, latency=0.001)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        async with aclosing(api.item_details(api.category_items(7)).items()) as details:
            async for _ in details:
                break
        assert tasks_of_walks() == []
        await all_slots_back(api)


@pytest.mark.parametrize("good", [True, False])
async def test_the_failure_of_the_listings_comes_after_their_products(tmapi_sandboxes, good):
    """A category that fails costs no detail of the others, and is told at the end."""
    ids = Catalogue(categories={7: 30, 8: 30}).item_ids(7)

    def script(attempt) -> str | None:
        is_bad = not good and dict(attempt.params).get("item_id") == str(ids[0])
        return "422" if attempt.cat_id == 8 or is_bad else None

    sandbox = await tmapi_sandboxes(categories={7: 30, 8: 30}, faults=Faults(script=script))
    details: list[int] = []
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.item_details(api.category_items([8, 7]))
        with pytest.raises(TMAPIError) as caught:
            await collect(walk, details)
    assert sorted(details) == sorted(ids if good else ids[1:])
    told = f"{caught.value}{getattr(caught.value, '__notes__', '')}"
    assert "category/items?cat_id=8" in told
    assert good or f"item_id={ids[0]}" in told


async def test_a_spent_budget_ends_both_walks(tmapi_sandboxes):
    """An error that ends all work is raised at once, and the budget holds for both walks."""
    sandbox = await tmapi_sandboxes(categories={7: 60})
    async with TMAPI("sandbox", base_url=sandbox.url, max_requests=20) as api:
        with pytest.raises(BudgetSpentError):
            await collect(api.item_details(api.category_items(7)), [])
    assert sandbox.stats.requests == 20


@pytest.mark.parametrize("ordered", [False, True])
async def test_products_fail_one_by_one(tmapi_sandboxes, ordered):
    """A product that fails is named with its error, and all others come."""
    ids = Catalogue(categories={7: 30}).item_ids(7)
    bad = [ids[0], ids[11], ids[12], ids[29]]
    sandbox = await tmapi_sandboxes(categories={7: 30}, limit=4, faults=refusing(*bad))
    outcomes, details = [], []
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api:
        walk = api.item_details(ids, ordered=ordered, on_end=outcomes.append)
        with pytest.raises(ListingsFailedError, match="4"):
            await collect(walk, details)
    good = [item_id for item_id in ids if item_id not in bad]
    assert (details if ordered else sorted(details)) == (good if ordered else sorted(good))
    errors = {dict(one.listing.params)["item_id"]: one.error for one in outcomes if one.error}
    assert {int(item_id) for item_id in errors} == set(bad)
    assert all(isinstance(error, ParameterError) for error in errors.values())


async def test_a_slow_product_holds_back_no_more_than_the_window(tmapi_sandboxes):
    """In order, products wait for a slow one before them, and only so many are asked for."""
    size = ORDER_WINDOW + 40
    ids = Catalogue(categories={7: size}).item_ids(7)
    faults = refusing(ids[0], fault="499")
    sandbox = await tmapi_sandboxes(categories={7: size}, faults=faults)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.item_details(ids, ordered=True)
        first = asyncio.ensure_future(anext(walk.items()))
        await until(lambda: sandbox.stats.pages_served >= ORDER_WINDOW - 1)
        assert not first.done()
        assert sandbox.stats.pages_served == ORDER_WINDOW - 1
        await walk.aclose()
        with pytest.raises(ClosedError):
            await first


async def test_a_detail_that_is_none_is_a_failure_of_its_product(tmapi_sandboxes):
    """A success without a product is no empty detail."""
    ids = Catalogue(categories={7: 3}).item_ids(7)
    sandbox = await tmapi_sandboxes(categories={7: 3}, faults=refusing(ids[1], fault="data-null"))
    outcomes = []
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.item_details(ids, on_end=outcomes.append)
        with pytest.raises(ListingsFailedError):
            [detail async for detail in walk]
    errors = [one.error for one in outcomes if one.error]
    assert [type(error) for error in errors] == [MalformedReplyError]


async def test_two_walks_over_one_product_share_its_request(tmapi_sandboxes):
    """A detail that several tasks ask for at once is paid for once."""
    sandbox = await tmapi_sandboxes(categories={7: 10}, latency=0.05)
    ids = sandbox.catalogue.item_ids(7)

    async def walk_all(api: TMAPI) -> int:
        return len([detail async for detail in api.item_details(ids)])

    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=20) as api:
        assert await asyncio.gather(walk_all(api), walk_all(api)) == [10, 10]
    assert sandbox.stats.pages_served == 10


async def test_options_of_pages_are_refused(tmapi_sandboxes):
    """A product has no pages: an option that counts them is named before anything is sent."""
    sandbox = await tmapi_sandboxes(categories={7: 3})
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        for option in ({"max_pages": 1}, {"split": True}, {"unique": True}):
            with pytest.raises(InvalidRequestError, match=next(iter(option))):
                api.item_details([1], **option)
        with pytest.raises(InvalidRequestError, match="ordered"):
            api.category_items([1], ordered=True)
    assert sandbox.stats.requests == 0


async def test_replies_without_an_id_have_that_of_their_request(tmapi_sandboxes):
    """The cost of shipping and the sales of a product name no product: the client does."""
    sandbox = await tmapi_sandboxes(categories={7: 12})
    ids = sandbox.catalogue.item_ids(7)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walks = {
            ItemDescription: api.item_descriptions(ids, ordered=True),
            ItemShipping: api.item_shipping(ids, province="广东", ordered=True),
            ItemSales: api.item_sales(ids, ordered=True),
        }
        for kind, walk in walks.items():
            replies = [reply async for reply in walk]
            assert all(isinstance(reply, kind) and reply.extra == {} for reply in replies)
            assert [reply.item_id for reply in replies] == ids
        with pytest.raises(InvalidRequestError, match="province"):
            api.item_shipping(ids, province=None)


@pytest.mark.parametrize("short_pages", [0.0, 0.7])
async def test_the_ratings_of_a_product_end_with_an_empty_page(tmapi_sandboxes, short_pages):
    """All ratings of each product come once, also behind a short page; then it is complete."""
    sandbox = await tmapi_sandboxes(categories={7: 25}, limit=8, short_pages=short_pages)
    ids = sandbox.catalogue.item_ids(7)
    expected = {(item_id, rating["id"]) for item_id in ids for rating in ratings_of(item_id, "")}
    outcomes = []
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.item_ratings(ids, on_end=outcomes.append, lookahead="off")
        ratings = [rating async for rating in walk]
        assert walk.statistics().wasted == 0
    assert all(isinstance(rating, ItemRating) and rating.extra == {} for rating in ratings)
    assert len(ratings) == len(expected)
    assert {(rating.item_id, rating.id) for rating in ratings} == expected
    assert {outcome.ending for outcome in outcomes} == {"complete"}
    for listing, pages in sandbox.stats.served.items():
        count = len(ratings_of(int(dict(listing.params)["item_id"]), ""))
        assert sorted(pages) == list(range(1, 2 + -(-count // 10))), count


async def test_ratings_that_never_end_are_not_called_complete(tmapi_sandboxes):
    """A server that repeats its last page proves no end: the product fails, its ratings came."""
    sandbox = await tmapi_sandboxes(categories={7: 9}, past_end="last")
    item_id = next(one for one in sandbox.catalogue.item_ids(7) if ratings_of(one, ""))
    ratings = []
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        with pytest.raises(EndlessListingError):
            await collect(api.item_ratings(item_id), ratings, name="id")
    assert set(ratings) == {rating["id"] for rating in ratings_of(item_id, "")}


async def test_the_newest_ratings_of_a_product_cost_one_request(tmapi_sandboxes):
    """With one page, a product with ratings is capped: nobody knows that there are no more."""
    sandbox = await tmapi_sandboxes(categories={7: 9})
    item_id = next(one for one in sandbox.catalogue.item_ids(7) if len(ratings_of(one, "")) > 1)
    outcomes = []
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.item_ratings(item_id, sort="latest", max_pages=1, on_end=outcomes.append)
        shown = [rating.id async for rating in walk]
    newest = [rating["id"] for rating in ratings_of(item_id, "latest")]
    assert shown == newest[:10]
    assert ([one.ending for one in outcomes], sandbox.stats.requests) == (["capped"], 1)
