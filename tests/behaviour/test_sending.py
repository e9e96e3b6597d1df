"""Requests are prepared once and sent once for each attempt."""

from __future__ import annotations

import re

import aiohttp
import pytest
from aioresponses import aioresponses as mocked_aiohttp

from tests.support.watching import all_slots_back, client, ids_by_category, truth
from tmapi_async import TMAPI
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")

WIDTH = 4


@pytest.fixture
def prepared(monkeypatch):
    """The URLs for which aiohttp has prepared a request."""
    seen = []
    init = aiohttp.ClientRequest.__init__

    def counting(self, method, url, **options):
        seen.append(url)
        init(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientRequest, "__init__", counting)
    return seen


@pytest.mark.parametrize("auth", ["query", "header"])
async def test_a_request_is_prepared_once(tmapi_sandboxes, prepared, auth):
    """However many pages are walked by however many slots, aiohttp prepares one request."""
    sandbox = await tmapi_sandboxes(categories=30, mean=60)
    async with client(sandbox, concurrency=WIDTH, auth=auth) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        assert sandbox.stats.requests > 10 * WIDTH
        assert len(prepared) == 1
        await all_slots_back(api)


async def test_a_connection_that_failed_is_not_used_again(tmapi_sandboxes, prepared):
    """After a cut or reset connection the next attempt has another one, and arrives."""
    faults = Faults(script={(1, 2): ["cut", "cut"], (1, 4): ["reset"]})
    sandbox = await tmapi_sandboxes(categories={1: 120}, faults=faults)
    async with client(sandbox, concurrency=1, lookahead="off") as api:
        walk = api.category_items(1)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        assert walk.statistics().requests == sandbox.stats.requests == 9
        assert len(prepared) == 1


async def test_filters_and_pages_are_those_asked_for(tmapi_sandboxes):
    """A prepared request carries the address of its attempt, not of the one before."""
    sandbox = await tmapi_sandboxes(categories={1: 60, 2: 60})
    async with client(sandbox, concurrency=1, lookahead="off") as api:
        for free_shipping in (None, True, False):
            walk = api.category_items([1, 2], free_shipping=free_shipping)
            async for page in walk.pages():
                assert page.echoed_page == page.number
    asked = {dict(listing.params).get("free_shipping") for listing in sandbox.stats.asked}
    assert asked == {None, "true", "false"}


async def test_mocked_replies_are_walked():
    """Under aioresponses, which takes the place of aiohttp's session, a walk works as ever."""
    item = '{"item_id": %d}'
    body = '{"code": 200, "data": {"page": %d, "has_next_page": %s, "items": [' + item + "]}}"
    async with TMAPI("token", base_url="http://127.0.0.1:9", lookahead="off") as api:
        with mocked_aiohttp() as mocked:
            for page, more in ((1, "true"), (2, "true"), (3, "false")):
                where = re.compile(rf".*[?&]page={page}(&|$)")
                mocked.get(where, body=body % (page, more, 1000 + page))
            assert [item.item_id async for item in api.category_items(7)] == [1001, 1002, 1003]
            assert sum(map(len, mocked.requests.values())) == 3
        assert api.statistics().requests == 3
