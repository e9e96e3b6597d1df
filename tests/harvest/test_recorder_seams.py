"""Listings that are read in two sittings while their ranking moves, over real sockets."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest

from tests.support.harvesting import harvest, listings
from tests.support.making import row
from tests.support.ranking_server import serve_rankings
from tmapi_async import TMAPI
from tmapi_async.api.endpoints import CATEGORY_ITEMS_V2
from tmapi_async.api.listings import describe
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.journal.summaries.verdict import SHIFTED

pytestmark = pytest.mark.usefixtures("tidy")

ROWS = 300
ONE_BY_ONE = {"lookahead": "off", "concurrency": 1}


@pytest.fixture
async def server():
    """Return a server with one category of 300 rows."""
    async with serve_rankings() as ranking_server:
        ranking_server.rankings[1] = list(range(1, ROWS + 1))
        yield ranking_server


async def sitting(server, path, cats=(1,), requests=None, **options):
    """Run one start."""
    return await harvest(
        server, path, list(cats), api={**ONE_BY_ONE, "max_requests": requests}, **options
    )


def numbers_seen(path, run=0):
    """Return the numbers of all rows in the journal."""
    first = row(0)["item_id"]
    with JournalReader(path) as reader:
        bodies = [page.body for page in reader.pages(run=run)]
        reader.verify()
    return [
        item["item_id"] - first
        for body in bodies
        for item in msgspec.json.decode(body)["data"]["items"]
    ]


def change(path, statement):
    """Change the journal by SQL."""
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def visit_of(path):
    """Return the only visit of the journal."""
    with JournalReader(path) as reader:
        (visit,) = reader.listings()
    return visit


async def test_nothing_moved_costs_one_request_and_stores_nothing_twice(server, path):
    """The last page before the seam is requested once more, and is not stored again."""
    await sitting(server, path, requests=8)
    result = await sitting(server, path)
    assert (result.requests, result.pages, result.second_looks) == (8, 7, 1)
    assert (server.requests[1, 8], server.requests.total()) == (2, 16)
    assert sorted(numbers_seen(path)) == list(range(1, ROWS + 1))
    assert (result.tally.complete, visit_of(path).state) == (1, "complete")


@pytest.mark.parametrize(
    ("leaving", "looks"),
    [(1, 1), (19, 1), (20, 2), (40, 3), (77, 4)],
)
async def test_rows_that_slid_across_the_seam_are_read(server, path, leaving, looks):
    """After rows left, the listing is complete only with the rows that slid onto earlier pages."""
    await sitting(server, path, requests=8)
    server.remove(1, range(11, 11 + leaving))
    result = await sitting(server, path)
    assert result.second_looks == looks
    assert set(server.rankings[1]) <= set(numbers_seen(path))
    visit = visit_of(path)
    assert (result.tally.complete, visit.state, visit.unique_items) == (1, "complete", ROWS)
    assert visit.items == len(numbers_seen(path))


@pytest.mark.parametrize("coming", [1, 25, 130])
async def test_a_listing_to_which_rows_came_is_shifted(server, path, tmapi, coming):
    """Rows that came before the seam are not seen: every command says so in the same words."""
    await sitting(server, path, requests=8)
    server.rankings[1][10:10] = range(1001, 1001 + coming)
    result = await sitting(server, path)
    assert (result.tally.shifted, result.tally.complete, result.tally.left) == (1, 0, 0)
    visit = visit_of(path)
    assert (visit.state, visit.error_kind) == ("shifted", "shifted")
    assert SHIFTED in (visit.error or "")
    status = tmapi("status", str(path))
    assert f"SHIFTED: 0 of 1 listing complete, 1 {SHIFTED}" in status.out.decode()
    assert b"--refresh" in status.out
    assert (await sitting(server, path)).requests == 0


async def test_a_ranking_of_other_rows_is_shifted(server, path):
    """If no row is known on several pages, the search is given up, and the listing is shifted."""
    await sitting(server, path, requests=8)
    server.rankings[1] = list(range(2001, 2301))
    result = await sitting(server, path)
    assert (result.second_looks, result.tally.shifted) == (6, 1)


async def test_a_seam_that_cannot_be_looked_at_is_shifted(server, path):
    """If the page cannot be had again, the rest is read, and the listing is not called complete."""
    await sitting(server, path, requests=8)
    server.failing.add((1, 8))
    result = await sitting(server, path)
    assert (result.tally.shifted, visit_of(path).pages) == (1, 15)


async def test_pages_before_gaps_are_looked_at_when_rows_left(server, path):
    """A page missing in the middle is a seam of its own: its rows slide onto the page before it."""
    await sitting(server, path, requests=8)
    change(path, "DELETE FROM page WHERE number = 5")
    server.remove(1, range(11, 16))
    result = await sitting(server, path)
    assert result.second_looks == 2
    assert set(server.rankings[1]) <= set(numbers_seen(path))
    assert result.tally.complete == 1


async def test_a_shift_is_remembered_over_starts(server, path):
    """A listing that shifted between its first two sittings stays shifted after the third one."""
    await sitting(server, path, requests=8)
    server.rankings[1].insert(0, 1001)
    assert (await sitting(server, path, requests=3)).stopped_by == "budget"
    result = await sitting(server, path)
    assert (result.tally.shifted, result.second_looks) == (1, 0)


async def test_a_start_without_a_page_does_not_look_twice(server, path):
    """Starts with a budget of one request reach the end: a look is good for the next start."""
    while (await sitting(server, path, requests=1)).stopped_by == "budget":
        pass
    assert visit_of(path).state == "complete"
    assert sorted(numbers_seen(path)) == list(range(1, ROWS + 1))
    assert server.requests.total() == 15 + 14


async def test_a_restart_at_once_after_a_kill_does_not_look(server, path):
    """A process that dies and is started again in a loop does not pay for every seam."""
    await sitting(server, path, requests=8)
    change(path, "UPDATE start SET ended_at = NULL, stopped_by = NULL")
    result = await sitting(server, path)
    assert (result.requests, result.second_looks, result.tally.complete) == (7, 0, 1)


async def test_a_listing_that_another_account_takes_over_keeps_its_seam(server, path):
    """Several accounts share the listings: whichever walks the listing looks at the seam first."""
    await sitting(server, path, requests=8)
    server.remove(1, range(11, 16))
    clients = [
        TMAPI(token, base_url=server.url, max_requests=most, concurrency=1)
        for token, most in (("one", 1), ("two", 100))
    ]
    async with clients[0], clients[1]:
        result = await Harvest(clients, listings(1), journal=path).run()
    assert (result.second_looks, result.tally.complete) == (1, 1)
    assert set(server.rankings[1]) <= set(numbers_seen(path))


@pytest.mark.parametrize(("moved", "state"), [("left", "complete"), ("came", "shifted")])
async def test_a_listing_to_be_split_is_continued_across_a_seam(server, path, moved, state):
    """A listing that fits under the ceiling, and so every part, looks at its seam, too."""

    async def sitting_of_split(requests=None):
        options = {**ONE_BY_ONE, "max_requests": requests}
        async with TMAPI("token", base_url=server.url, **options) as client:
            asked = [describe(CATEGORY_ITEMS_V2, {"cat_id": 1})]
            return await Harvest(client, asked, journal=path, split=True).run()

    await sitting_of_split(8)
    if moved == "left":
        server.remove(1, range(11, 41))
    else:
        server.rankings[1].insert(3, 1001)
    result = await sitting_of_split()
    assert result.second_looks == (2 if moved == "left" else 1)
    assert visit_of(path).state == state
    missing = set(server.rankings[1]) - set(numbers_seen(path))
    assert missing == ({1001} if moved == "came" else set())
    assert (await sitting_of_split()).requests == 0


async def test_a_limit_of_pages_that_is_raised_is_a_seam_too(server, path):
    """A listing that --max-pages cut is continued across a seam."""
    await sitting(server, path, max_pages=8)
    server.remove(1, range(11, 16))
    result = await sitting(server, path)
    assert (result.second_looks, result.tally.complete) == (1, 1)
    assert set(server.rankings[1]) <= set(numbers_seen(path))
