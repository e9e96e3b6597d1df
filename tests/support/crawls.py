"""A session without a network, for tests that run a crawler."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
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
    waited = 0.0
    direct = None

    def __init__(self, pages: int, *, width: int = 2, failing: int = 0) -> None:
        self.pages = pages
        self.failing = failing
        self.gate = SimpleNamespace(width=width, calling=lambda _: nullcontext())
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


Rows = tuple[int, bool, int]
"""Reply for a page: number of rows, has_next_page, total_count."""


class TotalSession(FakeSession):
    """Answers page by page from a script, with totals; the last reply of a page is repeated.

    Args:
        replies: Page number -> replies in the order of the requests.
        size: Page size that is echoed.
        readable: False if no row can be decoded.
    """

    def __init__(
        self, replies: dict[int, list[Rows]], *, size: int = 20, readable: bool = True
    ) -> None:
        super().__init__(len(replies))
        self.replies = {number: [*script] for number, script in replies.items()}
        self.size = size
        self.readable = readable

    async def fetch(self, request: PageRequest, _: object) -> Page:
        """Return the next reply of the page's script."""
        await asyncio.sleep(0)
        self.sent += 1
        script = self.replies.get(request.number, [(0, False, 0)])
        rows, has_next, total = script.pop(0) if len(script) > 1 else script[0]
        first = request.number * 1000
        ids = [first + n if self.readable else f"a{first + n}" for n in range(rows)]
        data = {"page": request.number, "page_size": self.size, "has_next_page": has_next}
        items = [{"item_id": item_id} for item_id in ids]
        body = {"code": 200, "data": {**data, "total_count": total, "items": items}}
        reply = Reply(200, {}, msgspec.json.encode(body))
        page = read_reply(reply, request, now=datetime.now(UTC))
        assert isinstance(page, Page)
        return page


async def tasks(*listings: Any) -> AsyncIterator[ListingTask]:
    """Yield a task for each listing."""
    for listing in listings:
        yield ListingTask(listing=listing)
