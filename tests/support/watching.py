"""Shared parts of the tests of behaviour: clients, waiting without sleeping, tasks."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from typing import TYPE_CHECKING, Any

from tmapi_async import TMAPI, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tmapi_async import Page
    from tmapi_async.sandbox import Sandbox

FAST = RetryPolicy(base=0)
"""Retries at once."""


def client(sandbox: Sandbox, **options: Any) -> TMAPI:
    """Return a client of a sandbox, by default with eight slots and no back-off."""
    options = {"base_url": sandbox.url, "concurrency": 8, "retry": FAST, **options}
    return TMAPI(options.pop("token", "sandbox"), **options)


async def until(holds: Callable[[], object], within: float = 20.0) -> None:
    """Let the loop run until a condition holds. Raises `TimeoutError` if it never does."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def tasks_of_walks() -> list[asyncio.Task[Any]]:
    """Return the tasks of walks that have not ended."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("tmapi ")]


def _links(awaitable: Any) -> Iterator[str]:
    while awaitable is not None:
        if name := getattr(awaitable, "__qualname__", ""):
            yield name
        for attribute in ("cr_await", "ag_await", "gi_yieldfrom"):
            if hasattr(awaitable, attribute):
                awaitable = getattr(awaitable, attribute)
                break
        else:
            return


def awaits(task: asyncio.Task[Any]) -> list[str]:
    """Return the qualified names of the coroutines a task is suspended in, outermost first."""
    return list(_links(task.get_coro()))


def workers() -> list[asyncio.Task[Any]]:
    """Return the tasks of walks that request pages; those that rest do not."""
    tasks = [task for task in tasks_of_walks() if task.get_name() == "tmapi worker"]
    return [task for task in tasks if "WorkerPool._rest" not in awaits(task)]


def suspended_in(name: str) -> bool:
    """Return True if a task of a walk is suspended in the coroutine of that name."""
    return any(name in awaits(task) for task in tasks_of_walks())


async def all_slots_back(api: TMAPI) -> None:
    """Wait until every slot is free, those kept for abandoned requests included."""
    await until(lambda: api.statistics().in_flight == 0)
    assert api.statistics().waiting == 0
    assert api.statistics().ghosts == 0


async def first_page(walk: Awaitable[Page]) -> Page:
    """Await a walk for its first page, as a coroutine that a task can be made of."""
    return await walk


def objects_below(*roots: object) -> list[object]:
    """Find the objects of the package that can be reached from others, by whatever attribute."""
    seen: dict[int, object] = {}
    remaining = list(roots)
    while remaining:
        thing = remaining.pop()
        ours = type(thing).__module__.startswith("tmapi_async")
        if id(thing) in seen or not (ours or isinstance(thing, dict | list | tuple | set | deque)):
            continue
        seen[id(thing)] = thing
        remaining += gc.get_referents(thing)
    return [thing for thing in seen.values() if type(thing).__module__.startswith("tmapi_async")]


async def ids_by_category(
    pages: Any, found: dict[int, list[int]] | None = None
) -> dict[int, list[int]]:
    """Return category ID -> item IDs in the order of delivery, added to `found` if given."""
    found = {} if found is None else found
    async for page in pages:
        found.setdefault(page.request.listing.cat_id, []).extend(i.item_id for i in page.items)
    return found


def truth(sandbox: Sandbox) -> dict[int, list[int]]:
    """Return category ID -> item IDs of the catalogue."""
    held = sandbox.catalogue
    return {cat_id: held.item_ids(cat_id) for cat_id in held.category_ids}
