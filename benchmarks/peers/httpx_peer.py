"""httpx: one client, a task for each listing, a semaphore."""

from __future__ import annotations

import asyncio

import httpx
from common import Work, main, run


async def walk(work: Work) -> tuple[int, int]:
    """Walk all listings at once, with at most `width` requests in flight."""
    semaphore, pages, items = asyncio.Semaphore(work.width), 0, 0

    async def listing(client: httpx.AsyncClient, cat_id: int) -> None:
        nonlocal pages, items
        page, more = 1, True
        while more:
            async with semaphore:
                response = await client.get(work.endpoint, params=work.query(cat_id, page))
            data = response.raise_for_status().json()["data"]
            more, page = data["has_next_page"], page + 1
            pages, items = pages + 1, items + len(data["items"])

    async with httpx.AsyncClient() as client:
        await asyncio.gather(*(listing(client, n) for n in range(1, work.listings + 1)))
    return pages, items


if __name__ == "__main__":
    main(lambda work: run(walk(work), work.loop))
