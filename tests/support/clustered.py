"""What the tests of the cluster share: harvests on it, what a journal holds, what there is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from tmapi_async import TMAPI, RetryPolicy
from tmapi_async.api.listings import Listing, category_items
from tmapi_async.harvest import Harvest, HarvestResult, JournalReader
from tmapi_async.limits.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tmapi_async.sandbox import Sandbox

LIMIT = 8
FAST = RetryPolicy(base=0.01)


def listed(sandbox: Sandbox) -> list[Listing]:
    """All that the sandbox has."""
    return [category_items(cat_id) for cat_id in sandbox.catalogue.category_ids]


def job(
    sandbox: Sandbox,
    path: Path,
    cluster: object,
    *,
    tokens: Sequence[str] = ("sandbox",),
    asked: list[Listing] | None = None,
    max_requests: int | None = None,
    most: dict[str, Any] | None = None,
    **options: Any,
) -> Harvest:
    """A harvest of everything; `options` are those of the clients, `most` those of the harvest."""
    budget = None if max_requests is None else Budget(max_requests)
    known = {"concurrency": LIMIT, "retry": FAST, "max_requests": budget, **options}
    clients = [TMAPI(token, base_url=sandbox.url, **known) for token in tokens]
    asked = listed(sandbox) if asked is None else asked
    return Harvest(clients, asked, journal=path, cluster=cluster, **(most or {}))


async def harvest(sandbox: Sandbox, path: Path, cluster: object, **options: Any) -> HarvestResult:
    """Run such a harvest to its end."""
    return await job(sandbox, path, cluster, **options).run()


def held(path: Path) -> dict[int, set[int]]:
    """Category to the item IDs that the journal holds; no page may be there twice."""
    found: dict[int, set[int]] = {}
    pages = []
    with JournalReader(path) as reader:
        reader.verify()
        for visit in reader.visits():
            found[visit.listing.cat_id or 0] = set()
        for page in reader.pages():
            pages.append((page.listing.cat_id, page.number))
            rows = msgspec.json.decode(page.body)["data"]["items"]
            found[page.listing.cat_id or 0].update(int(row["item_id"]) for row in rows)
    assert len(set(pages)) == len(pages)
    return found


def truth(sandbox: Sandbox) -> dict[int, set[int]]:
    """Category to the item IDs that there are."""
    catalogue = sandbox.catalogue
    return {cat_id: set(catalogue.item_ids(cat_id)) for cat_id in catalogue.category_ids}


def paid_twice(sandbox: Sandbox) -> int:
    """Servings of pages that exist, beyond the first of each."""
    catalogue = sandbox.catalogue
    return sum(
        count - 1
        for listing, pages in sandbox.stats.served.items()
        for number, count in pages.items()
        if number <= catalogue.pages(listing.cat_id or 0)
    )


async def until(holds: Callable[[], object], within: float = 30.0) -> None:
    """Let the loop run until a condition holds; `TimeoutError` if it never does."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def channels(work: Harvest) -> list[Any]:
    """The seats that are taken now."""
    coordinator = work._engine._coordinator
    return [] if coordinator is None else [*coordinator.channels.values()]
