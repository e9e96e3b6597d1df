"""A session without a network, for tests that run a crawler."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from tmapi_async import Page, PageRequest, ServerError
from tmapi_async.api.replies import Reply, read_reply
from tmapi_async.crawl.outcomes import ListingTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FakeSession:
    """Answers each page request at once: two new items a page, one of them shown before."""

    epoch = 0

    def __init__(self, pages: int, *, width: int = 2, failing: int = 0) -> None:
        self.pages = pages
        self.failing = failing
        self.gate = SimpleNamespace(width=width)
        self.sent = 0

    async def fetch(self, request: PageRequest, _: object) -> Page:
        """Return the page, or raise for the failing one."""
        await asyncio.sleep(0)
        self.sent += 1
        if request.number == self.failing:
            raise ServerError("broken", code=500)
        first = request.number * 2
        rows = [{"item_id": number} for number in (first - 1, first, first + 1)]
        data = {"page": request.number, "page_size": 3, "items": rows}
        data["has_next_page"] = request.number < self.pages
        body = msgspec.json.encode({"code": 200, "msg": "success", "data": data})
        page = read_reply(Reply(200, {}, body), request, now=datetime.now(UTC))
        assert isinstance(page, Page)
        return page


async def tasks(*listings: Any) -> AsyncIterator[ListingTask]:
    """Yield a task for each listing."""
    for listing in listings:
        yield ListingTask(listing=listing)
