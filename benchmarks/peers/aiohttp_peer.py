"""aiohttp by hand: a task for each listing, a semaphore, `response.json()`."""

from __future__ import annotations

import asyncio

import aiohttp
from common import Work, main, run


async def walk(work: Work) -> tuple[int, int]:
    """Walk all listings at once, with at most `width` requests in flight."""
    semaphore, pages, items = asyncio.Semaphore(work.width), 0, 0

    async def listing(session: aiohttp.ClientSession, cat_id: int) -> None:
        nonlocal pages, items
        page, more = 1, True
        while more:
            query = work.query(cat_id, page)
            async with semaphore, session.get(work.endpoint, params=query) as response:
                response.raise_for_status()
                data = (await response.json())["data"]
            more, page = data["has_next_page"], page + 1
            pages, items = pages + 1, items + len(data["items"])

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(listing(session, n) for n in range(1, work.listings + 1)))
    return pages, items


if __name__ == "__main__":
    main(lambda work: run(walk(work), work.loop))
