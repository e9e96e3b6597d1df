"""Journals with pages of several endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.journals import BEGAN
from tmapi_async.api.decoding import decoder
from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Totals
from tmapi_async.journal.statements import begin_visit, end_visit

TREE = b'{"code": 200, "data": {"id": "5", "children": []}}'


def listing(endpoint: str) -> Listing:
    """Return a listing of an endpoint."""
    name = {"category": "cat_id", "item": "item_id"}.get(endpoint.partition("/")[0], "q")
    return Listing(endpoint, ((name, "7"),))


def write_endpoints(
    path: Path, pages: Mapping[str, Sequence[bytes]], *, refresh: bool = False
) -> Path:
    """Record one start with these page bodies for each endpoint."""

    async def main() -> None:
        journal = Journal.open(path)
        plan = journal.plan([listing(name) for name in pages], refresh=refresh)
        start = journal.begin(plan, host="http://127.0.0.1", version="test", counts=RequestCounts)
        for visit in start.visits:
            bodies = pages[visit.listing.endpoint]
            journal.apply(begin_visit(visit, BEGAN))
            total = rejects = 0
            for number, text in enumerate(bodies, 1):
                supported = visit.listing.endpoint in ENDPOINTS
                reply, bad = (
                    decoder(visit.listing.endpoint).decode(text) if supported else (None, ())
                )
                items = len(reply.data.items) if reply is not None else 1
                total, rejects = total + items, rejects + len(bad)
                page = (number, text, BEGAN, 1, 0.05, 200, 20, False, None, items, tuple(bad))
                await journal.append(visit, PageRecord(*page))
            totals = Totals(len(bodies), total, total, rejects, len(bodies))
            journal.apply(end_visit(visit, "complete", totals, now=time.time()))
        await journal.close()

    asyncio.run(main())
    return path
