"""Journals for tests, written like those of a harvest, from rows or from a catalogue."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tmapi_async.api.decoding import decoder
from tmapi_async.api.listings import category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.api.values import Reject
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, State, Totals
from tmapi_async.journal.statements import begin_visit, end_visit
from tmapi_async.sandbox import Catalogue, Config
from tmapi_async.sandbox import Listing as Wire
from tmapi_async.sandbox.responses.drift import Drift
from tmapi_async.sandbox.responses.pages import PageBuilder

Row = Mapping[str, Any]
BEGAN = 1_767_605_400.25  # 2026-01-05T09:30:00.25Z


def row(item_id: Any = 1, **fields: Any) -> dict[str, Any]:
    """Return a row with some fields."""
    return {"item_id": item_id, **fields}


def body(rows: Sequence[Any], *, has_next: bool = False, name: str = "items") -> bytes:
    """Return the body of a reply with these rows in the field of this name."""
    data = {"page": 1, "page_size": 20, "has_next_page": has_next, "filters": {}, name: rows}
    return json.dumps({"code": 200, "msg": "success", "data": data}, ensure_ascii=False).encode()


def write(
    path: Path,
    listings: Mapping[int, Sequence[bytes]],
    *,
    refresh: bool = False,
    state: State = "complete",
    fetched_at: float = BEGAN,
    ended_at: float | None = None,
) -> Path:
    """Record one start: the bodies of the pages of each category. It ends now by default."""
    ended_at = time.time() if ended_at is None else ended_at
    asyncio.run(
        _write(
            path, listings, refresh=refresh, state=state, fetched_at=fetched_at, ended_at=ended_at
        )
    )
    return path


def _rejects(text: bytes) -> tuple[Reject, ...]:
    try:
        _, found = decoder("category/items").decode(text)
    except msgspec.DecodeError:  # a body that is damaged on purpose
        return ()
    return tuple(found)


def _items(text: bytes) -> int:
    try:
        return len(decoder("category/items").decode(text)[0].data.items)
    except msgspec.DecodeError:  # a body that is damaged on purpose
        return 0


async def _write(
    path: Path,
    listings: Mapping[int, Sequence[bytes]],
    *,
    refresh: bool,
    state: State,
    fetched_at: float,
    ended_at: float,
) -> None:
    journal = Journal.open(path)
    plan = journal.plan([category_items(cat_id) for cat_id in listings], refresh=refresh)
    start = journal.begin(plan, host="http://127.0.0.1", version="test", counts=RequestCounts)
    for visit in start.visits:
        bodies = listings[visit.listing.cat_id or 0]
        journal.apply(begin_visit(visit, fetched_at))
        stored = {page.number for page in journal.stored_pages(visit)}
        for number, text in enumerate(bodies, 1):
            if number in stored:
                continue
            last = number == len(bodies)
            bad = _rejects(text)
            items = _items(text)
            page = PageRecord(
                number, text, fetched_at, 1, 0.05, 200, 20, not last, None, items, bad
            )
            await journal.append(visit, page)
        spoilt = sum(len(_rejects(text)) for text in bodies)
        items = sum(map(_items, bodies))
        totals = Totals(len(bodies), items, items, spoilt, len(bodies))
        journal.apply(end_visit(visit, state, totals, now=ended_at))
    await journal.close()


def of_rows(path: Path, *rows: Row | Any, cat_id: int = 7) -> Path:
    """Write a journal of one page with these rows."""
    return write(path, {cat_id: [body(rows)]})


def of_catalogue(
    path: Path, sizes: Mapping[int, int], drift: Drift | None = None
) -> tuple[Path, Catalogue]:
    """Write a journal of whole categories of the sandbox. Returns its path and contents."""
    config = Config(categories=dict(sizes), drift=drift or Drift())
    catalogue = Catalogue(config.seed, dict(sizes))
    pages = PageBuilder(config, catalogue)
    listings = {
        cat_id: [
            pages.body(Wire("/1688/category/items", (("cat_id", str(cat_id)),)), number)
            for number in range(1, -(-size // 20) + 1)
        ]
        for cat_id, size in sizes.items()
    }
    return write(path, listings), catalogue
