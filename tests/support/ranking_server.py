"""A server of listings that a test changes: rows leave, come, and change their prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.support.making import dumped, row

PAGE_SIZE = 20


class RankingServer:
    """Serves `category/items` and `category/items/v2` from lists of row numbers.

    Attributes:
        url: Base URL.
        rankings: Category ID -> numbers of its rows (`making.row`), in the order of the ranking.
        fields: Number of a row -> fields that replace those of the row.
        requests: Number of requests of each category and page.
        failing: Categories and pages that are answered with code 417.
    """

    def __init__(self) -> None:
        self.url = ""
        self.rankings: dict[int, list[int]] = {}
        self.fields: dict[int, dict[str, Any]] = {}
        self.requests: Counter[tuple[int, int]] = Counter()
        self.failing: set[tuple[int, int]] = set()

    def remove(self, cat_id: int, numbers: Iterable[int]) -> None:
        """Let rows leave a listing."""
        gone = set(numbers)
        self.rankings[cat_id] = [n for n in self.rankings[cat_id] if n not in gone]

    async def answer(self, request: web.Request) -> web.Response:
        """Return a page."""
        cat_id, page = int(request.query["cat_id"]), int(request.query.get("page", "1"))
        self.requests[cat_id, page] += 1
        if (cat_id, page) in self.failing:
            return web.Response(body=dumped({"code": 417, "msg": "try again"}), status=417)
        ranking = self.rankings[cat_id]
        numbers = ranking[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        data = {
            "page": page,
            "page_size": PAGE_SIZE,
            "has_next_page": page * PAGE_SIZE < len(ranking),
            "items": [row(number, **self.fields.get(number, {})) for number in numbers],
        }
        if request.path.endswith("v2"):
            data |= {"total_count": len(ranking), "cat_id": cat_id}
        return web.Response(body=dumped({"code": 200, "msg": "success", "data": data}))


@asynccontextmanager
async def serve_rankings() -> AsyncIterator[RankingServer]:
    """Run a server without listings."""
    server = RankingServer()
    app = web.Application()
    for path in ("/1688/category/items", "/1688/category/items/v2"):
        app.router.add_get(path, server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
