"""What the tests of the sandbox share."""

from __future__ import annotations

import aiohttp
import pytest_asyncio

from tmapi_async.sandbox.fixtures import tmapi_sandbox, tmapi_sandboxes

__all__ = ["tmapi_sandbox", "tmapi_sandboxes"]

ITEMS = "/1688/category/items"


class Asker:
    """A plain client that sends what it is told and hides nothing."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, sandbox, path=ITEMS, headers=None, **query):
        """Status, headers, body bytes of one request; `token=None` sends none."""
        token = query.pop("token", "sandbox")
        if token is not None:
            query["apiToken"] = token
        url = sandbox.url + path
        async with self.session.get(
            url, params=query, headers=headers, allow_redirects=False
        ) as reply:
            return reply.status, reply.headers, await reply.read()

    async def page(self, sandbox, cat_id, page=1, **query):
        """The decoded data of a page that must be a success."""
        url = sandbox.url + ITEMS
        query |= {"apiToken": "sandbox", "cat_id": cat_id, "page": page}
        async with self.session.get(url, params=query) as reply:
            whole = await reply.json()
        assert (reply.status, whole["code"]) == (200, 200)
        return whole["data"]

    async def walk(self, sandbox, cat_id, **query):
        """All rows of a listing, page after page while `has_next_page` is true."""
        rows, page, more = [], 0, True
        while more:
            page += 1
            data = await self.page(sandbox, cat_id, page, **query)
            rows += data["items"]
            more = data["has_next_page"]
        return rows


@pytest_asyncio.fixture
async def ask():
    """An `Asker` with connections enough for every test."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Asker(session)
