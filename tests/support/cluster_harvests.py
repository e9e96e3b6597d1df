"""Harvests on a cluster, for tests: how to make one, look into it, and check its journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from tmapi_async import TMAPI, RetryPolicy
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest, HarvestResult, JournalReader
from tmapi_async.harvest.cluster.engine import ClusterEngine
from tmapi_async.limits.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tmapi_async.harvest.cluster.coordinator.channel import Channel
    from tmapi_async.harvest.cluster.token_source import TokenSource
    from tmapi_async.sandbox import Sandbox

LIMIT = 8
FAST = RetryPolicy(base=0.01)


def cluster_harvest(
    sandbox: Sandbox,
    path: Path,
    cluster: object,
    *,
    tokens: Sequence[str] = ("sandbox",),
    token_source: TokenSource | None = None,
    lookahead: int | None = None,
    max_requests: int | None = None,
    **options: Any,
) -> Harvest:
    """Return a harvest of all categories of the sandbox; `options` are those of the clients."""
    budget = None if max_requests is None else Budget(max_requests)
    options = {"concurrency": LIMIT, "retry": FAST, "max_requests": budget, **options}
    base_url = options.pop("base_url", sandbox.url)
    clients = [TMAPI(token, base_url=base_url, **options) for token in tokens]
    listings = [category_items(cat_id) for cat_id in sandbox.catalogue.category_ids]
    return Harvest(
        clients, listings, journal=path, cluster=cluster, tokens=token_source, lookahead=lookahead
    )


async def run_harvest(
    sandbox: Sandbox, path: Path, cluster: object, **options: Any
) -> HarvestResult:
    """Run such a harvest to its end."""
    return await cluster_harvest(sandbox, path, cluster, **options).run()


def engine_of(harvest: Harvest) -> ClusterEngine:
    """Return the engine of a harvest on a cluster."""
    engine = harvest.engine
    assert isinstance(engine, ClusterEngine)
    return engine


def channels(harvest: Harvest) -> list[Channel]:
    """Return the channels to the sessions that are open now."""
    coordinator = engine_of(harvest).coordinator
    return [] if coordinator is None else [*coordinator.channels.values()]


def stored_items(path: Path) -> dict[int, set[int]]:
    """Return category to the item IDs in the journal. Fails if a page is there twice."""
    items: dict[int, set[int]] = {}
    pages = []
    with JournalReader(path) as reader:
        reader.verify()
        for visit in reader.visits():
            items[visit.listing.cat_id or 0] = set()
        for page in reader.pages():
            pages.append((page.listing.cat_id, page.number))
            rows = msgspec.json.decode(page.body)["data"]["items"]
            items[page.listing.cat_id or 0].update(int(row["item_id"]) for row in rows)
    assert len(set(pages)) == len(pages)
    return items


def expected_items(sandbox: Sandbox) -> dict[int, set[int]]:
    """Return category to the item IDs in the sandbox's catalogue."""
    catalogue = sandbox.catalogue
    return {cat_id: set(catalogue.item_ids(cat_id)) for cat_id in catalogue.category_ids}


def repeated_pages(sandbox: Sandbox) -> int:
    """Return how often the sandbox served a page that exists, beyond the first time."""
    catalogue = sandbox.catalogue
    return sum(
        count - 1
        for listing, pages in sandbox.stats.served.items()
        for number, count in pages.items()
        if number <= catalogue.pages(listing.cat_id or 0)
    )


async def until(condition: Callable[[], object], within: float = 60.0) -> None:
    """Let the loop run until a condition holds; `TimeoutError` if it never does."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - no event says that the condition holds
            await asyncio.sleep(0.002)
