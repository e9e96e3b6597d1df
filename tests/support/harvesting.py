"""Shared parts of the tests of the harvest: pages, journals, waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tmapi_async import TMAPI, RetryPolicy
from tmapi_async.api.listings import Listing, category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.api.values import Reject
from tmapi_async.harvest import Harvest, HarvestResult
from tmapi_async.journal import schema, writer
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.lock import WriteLock
from tmapi_async.journal.plan import Start
from tmapi_async.journal.records import PageRecord, Totals
from tmapi_async.journal.trouble import TroubleWait

if TYPE_CHECKING:
    from tmapi_async.sandbox import Sandbox

FAST = RetryPolicy(base=0)
"""Retries at once."""


def body(number: int, items: int = 20) -> bytes:
    """Return a body that differs from all others only in its number."""
    rows = [
        {"item_id": number * 1000 + n + 1, "title": f"连衣裙 {number}/{n}"} for n in range(items)
    ]
    data = {"page": number, "page_size": 20, "has_next_page": True, "filters": {}, "items": rows}
    return json.dumps({"code": 200, "msg": "success", "data": data}, ensure_ascii=False).encode()


def record(number: int, *, last: bool = False, **fields: Any) -> PageRecord:
    """Return the record of a page."""
    known = {
        "body": body(number),
        "fetched_at": 1_767_605_400.0 + number,
        "attempts": 1,
        "latency": 0.05,
        "code": 200,
        "page_size": 20,
        "has_next_page": not last,
        "total_count": None,
        "items": 20,
    }
    return PageRecord(number, **(known | fields))


def reject(position: int) -> Reject:
    """Return a row that cannot be decoded."""
    return Reject(position, "Expected `int`, got `str`", b'{"item_id":"x"}')


def listings(*ids: int, **filters: bool) -> list[Listing]:
    """Return the listings of categories."""
    return [category_items(cat_id, **filters) for cat_id in ids]


def begin(
    journal: Journal,
    asked: Iterable[Listing],
    *,
    counts: Callable[[], RequestCounts] = RequestCounts,
    width: Callable[[], int] = int,
    trouble_wait: TroubleWait | None = None,
    **options: Any,
) -> Start:
    """Plan and begin a start."""
    return journal.begin(
        journal.plan(asked, **options),
        host="api.example",
        version="test",
        counts=counts,
        width=width,
        trouble_wait=trouble_wait,
    )


def open_with(path: Path, pragma: str) -> Journal:
    """Open a journal whose writing connection has a setting of SQLite."""
    lock = WriteLock(path)
    lock.acquire()
    connection = schema.connect(path, writing=True)
    connection.execute(f"PRAGMA {pragma}")
    return Journal(path, connection, lock)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a journal, as a database browser with unsaved changes does."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def totals(pages: int) -> Totals:
    """Return the totals of a number of full pages."""
    return Totals(pages, 20 * pages, 20 * pages, 0, pages)


def stored(path: Path) -> list[tuple[int, int]]:
    """Return visit and number of each committed page, as another process reads them now."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT visit, number FROM page ORDER BY seq").fetchall()
    finally:
        connection.close()


def hold_commits(
    monkeypatch: pytest.MonkeyPatch,
    *,
    until: threading.Event,
    inside: threading.Event | None = None,
) -> None:
    """Block each commit of pages until an event is set. `inside` is set at the first one.

    A commit that is held for longer than 20 seconds fails.
    """
    real = writer.transaction

    @contextlib.contextmanager
    def held(connection: sqlite3.Connection) -> Iterator[None]:
        if inside is not None:
            inside.set()
        assert until.wait(20)
        with real(connection):
            yield

    monkeypatch.setattr(writer, "transaction", held)


def client(sandbox: Sandbox, **options: Any) -> TMAPI:
    """Return a client of a sandbox, by default with four slots and no back-off."""
    options = {"base_url": sandbox.url, "concurrency": 4, "retry": FAST, **options}
    return TMAPI(options.pop("token", "sandbox"), **options)


async def harvest(
    sandbox: Sandbox,
    path: Path,
    ids: Sequence[int] | None = None,
    *,
    filters: dict[str, bool] | None = None,
    api: dict[str, Any] | None = None,
    **options: Any,
) -> HarvestResult:
    """Run a harvest of some categories of the sandbox (default: all) to its end."""
    asked = listings(*(sandbox.catalogue.category_ids if ids is None else ids), **(filters or {}))
    async with client(sandbox, **(api or {})) as opened:
        return await Harvest(opened, asked, journal=path, **options).run()


async def until(holds: Callable[[], object], within: float = 20.0) -> None:
    """Let the loop run until a condition holds. Raises `TimeoutError` if it never does."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
