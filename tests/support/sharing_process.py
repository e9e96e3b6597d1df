"""A process that walks categories of its own with a shared gate, until it is ended.

    python sharing_process.py URL FIRST_CATEGORY LAST_CATEGORY

Ends in order when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys

from tmapi_async import TMAPI


async def main(url: str, first: int, last: int) -> None:
    """Walk until standard input is closed."""
    async with (
        TMAPI("sandbox", base_url=url) as api,
        api.category_items(range(first, last)) as walk,
    ):
        async for page in walk.pages():
            del page


async def until_input_ends(url: str, first: int, last: int) -> None:
    """Cancel the walk when standard input is closed."""
    work = asyncio.create_task(main(url, first, last))
    await asyncio.to_thread(sys.stdin.read)
    work.cancel()
    await asyncio.wait([work])


if __name__ == "__main__":
    asyncio.run(until_input_ends(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
