"""Fixtures of the sandbox tests."""

from __future__ import annotations

import json

import aiohttp
import pytest_asyncio

from tmapi_async.sandbox.fixtures import tmapi_sandbox, tmapi_sandboxes

__all__ = ["tmapi_sandbox", "tmapi_sandboxes"]

ITEMS = "/1688/category/items"


class Asker:
    """A plain HTTP client without retries or checks."""

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
            reply_data = await reply.json()
        assert (reply.status, reply_data["code"]) == (200, 200)
        return reply_data["data"]

    async def data(self, sandbox, path, **query):
        """The decoded data of a reply of any endpoint, which must be a success."""
        status, _, body = await self.get(sandbox, path, **query)
        reply_data = json.loads(body)
        assert (status, reply_data["code"]) == (200, 200), reply_data
        return reply_data["data"]

    async def pages(self, sandbox, path, **query):
        """All pages of a listing, by whichever paging signal its endpoint has."""
        pages, has_next = [], True
        while has_next:
            data = await self.data(sandbox, path, page=len(pages) + 1, **query)
            pages.append(data)
            rows = len(pages) * data["page_size"]
            has_next = data.get("has_next_page", rows < int(data.get("total_count", 0)))
        return pages

    async def ids(self, sandbox, path, **query):
        """The IDs of all rows of a listing, as numbers."""
        pages = await self.pages(sandbox, path, **query)
        return [int(row["item_id"]) for page in pages for row in page["items"]]

    async def walk(self, sandbox, cat_id, **query):
        """All rows of a listing, page after page while `has_next_page` is true."""
        rows, page, has_next = [], 0, True
        while has_next:
            page += 1
            data = await self.page(sandbox, cat_id, page, **query)
            rows += data["items"]
            has_next = data["has_next_page"]
        return rows


@pytest_asyncio.fixture
async def ask():
    """An `Asker` with connections enough for every test."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Asker(session)
