"""Code of somebody's own, for the tests beside it: the cheapest products of a category.

TMAPI_TOKEN=... python price_watch.py 1031910
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal

from tmapi_async import TMAPI, Item


def price_of(item: Item) -> Decimal:
    """Return the price by which items are sorted; those without one come last."""
    return Decimal("Infinity") if item.sale_price is None else item.sale_price


async def cheapest(api: TMAPI, cat_id: int, number: int = 3) -> list[Item]:
    """Return the cheapest items of a category. Raises if the category cannot be read to its end."""
    items = [item async for item in api.category_items(cat_id)]
    return sorted(items, key=price_of)[:number]


async def main(cat_id: int) -> None:
    """Print the cheapest items of a category of the account in the environment."""
    async with TMAPI.from_env() as api:
        for item in await cheapest(api, cat_id):
            print(item.item_id, item.sale_price, item.title)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
