"""Pages that the recorder of a harvest refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harvesting import FAST
from tests.support.making import dumped, row
from tests.support.sessions import Server, send_reply
from tmapi_async import TMAPI, StaleReplyError, category_items
from tmapi_async.harvest import Harvest, JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from tmapi_async.harvest import HarvestResult

pytestmark = pytest.mark.usefixtures("tidy")


async def test_a_refresh_takes_no_page_that_is_older_than_itself(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Old pages of a cache would look like a category without changes: the listing fails."""
    ages: dict[int, int] = {2: 3000}

    async def keep(_: Server, request_head: str, writer: Any) -> None:
        number = int(re.search(r"page=(\d+)", request_head)[1])  # type: ignore[index]
        data = {"page": number, "has_next_page": number < 3, "items": [row(number)]}
        body = dumped({"code": 200, "msg": "success", "data": data})
        await send_reply(writer, body, "200 OK", f"Age: {ages.get(number, 0)}")

    async def harvest(server: Server, *, refresh: bool) -> HarvestResult:
        async with TMAPI("t0ken", base_url=server.url, retry=FAST, lookahead="off") as api:
            return await Harvest(api, [category_items(5)], journal=path, refresh=refresh).run()

    async with Server(keep) as server:
        first = await harvest(server, refresh=False)
        assert first.tally.complete == 1  # nobody asked for fresh pages
        assert caplog.text.count("a cache in between had kept the reply for 3000 s") == 1
        second = await harvest(server, refresh=True)
        assert second.tally.failed == 1
        assert second.tally.unique_items <= second.tally.items
        with JournalReader(path) as reader:
            assert 2 not in [one.number for one in reader.pages() if one.run == second.run]
            (failed,) = [visit for visit in reader.listings() if visit.state == "failed"]
            assert failed.error is not None
            assert failed.totals.unique_items <= failed.totals.items
            assert StaleReplyError.meaning in failed.error
        ages.clear()
        third = await harvest(server, refresh=False)
        assert (third.run, third.tally.complete, third.tally.pages) == (second.run, 1, 3)
