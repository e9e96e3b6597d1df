"""A journal that an older version wrote is read and gone on with by this one.

`tests/data/journal-v3.journal.gz` is such a journal; `tests/support/journal_fixture.py` says how it
was written. The figures below are those that the older version printed for it.
"""

from __future__ import annotations

import gzip
import sqlite3

import msgspec
import pytest

from tests.support import journal_fixture
from tests.support.journal_fixture import DIVIDED, HOST, ITEMS, OPTIONS, SPLIT, api, v1, v2
from tests.support.paths import DATA
from tmapi_async.export.changes.comparison import compare_runs
from tmapi_async.harvest import Harvest, JournalCategories, JournalReader
from tmapi_async.journal import schema
from tmapi_async.report.facts import gather

# Visit: run, endpoint and category, state, pages, items, distinct items, rejects, parts.
LISTINGS = [
    (1, 1, "category/items", 1, "complete", 4, 64, 64, 1, 0),
    (2, 1, "category/items", 2, "complete", 1, 0, 0, 0, 0),
    (3, 1, "category/items", 3, "complete", 2, 30, 30, 0, 0),
    (4, 1, "category/items", 4, "failed", 1, 20, 20, 0, 0),
    (5, 1, "category/items", 5, "complete", 3, 41, 41, 0, 0),
    (6, 1, "category/items/v2", 6, "complete", 3, 59, 59, 1, 0),
    (7, 1, "category/items", 7, "capped", 2, 40, 40, 0, 0),
    (8, 1, "category/items/v2", 9, "complete", 13, 230, 129, 1, 7),
    (16, 2, "category/items", 1, "complete", 4, 71, 71, 1, 0),
    (17, 2, "category/items", 3, "complete", 2, 30, 30, 0, 0),
    (18, 2, "category/items", 5, "complete", 2, 22, 22, 0, 0),
    (19, 2, "category/items", 6, "open", 2, 40, 40, 0, 0),
]
# Start: run, what stopped it, requests, retries, pages, codes.
STARTS = [
    (1, 1, None, 22, 7, 14, {"200": 14, "417": 8}),
    (2, 1, None, 2, 0, 2, {"200": 2}),
    (3, 1, None, 13, 0, 13, {"200": 13}),
    (4, 2, None, 8, 0, 8, {"200": 8}),
    (5, 2, "budget", 2, 0, 2, {"200": 2}),
]


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    stored = DATA / "journal-v3.journal.gz"
    path.write_bytes(gzip.decompress(stored.read_bytes()))
    path.chmod(0o600)
    return path


@pytest.fixture
async def sandbox(tmapi_sandboxes):
    """Return a sandbox that serves what the first run was told."""
    return await tmapi_sandboxes(categories={**ITEMS, DIVIDED: 130}, **OPTIONS)


def test_every_table_is_read(journal):
    """Listings, starts, parts, rejects, failed pages and the tree have the figures of then."""
    with JournalReader(journal) as reader:
        assert [
            (
                visit.id,
                visit.run,
                visit.listing.endpoint,
                visit.listing.cat_id,
                visit.state,
                visit.pages,
                visit.items,
                visit.unique_items,
                visit.rejects,
                visit.parts,
            )
            for visit in reader.listings()
        ] == LISTINGS
        assert [
            (start.id, start.run, start.stopped_by, total.requests, total.retries, total.pages,
             total.codes)
            for start in reader.starts() if (total := start.totals) is not None
        ] == STARTS  # fmt: skip
        (failed,) = reader.failed_pages()
        assert (failed.listing.cat_id, failed.number, failed.kind, failed.attempts) == (
            4, 2, "417", 8,
        )  # fmt: skip
        (division,) = reader.divisions()
        assert (division.root, division.complete, division.promised) == (8, True, 131)
        assert "complete, 129 distinct items in 3 parts" in division.account
        assert [reject.listing.cat_id for reject in reader.rejects()] == [1, 6, 9, 1]
        tree = reader.tree()
        assert tree is not None
        assert (tree.answers, tree.broken_off) == (4, False)
        reader.verify()


def test_the_file_is_what_later_versions_must_read(journal):
    """The file has the first version's tables and frames with and without a dictionary."""
    connection = sqlite3.connect(journal)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("SELECT count(*) FROM dictionary").fetchone() == (2,)
    frames = "SELECT dictionary, count(*) FROM page GROUP BY dictionary"
    assert connection.execute(frames).fetchall() == [(None, 19), (1, 15), (2, 5)]
    connection.close()
    assert schema.version() >= 3


@pytest.mark.parametrize(
    ("endpoint", "rows", "ids"),
    [("category-v1", 358, 133215049806341), ("category-v2", 289, 107495776793322)],
)
def test_every_row_is_exported(journal, tmapi, endpoint, rows, ids):
    """An export has the rows of all runs, each with its item ID and price."""
    target = journal.with_name("rows.jsonl")
    done = tmapi(
        "export", str(journal), "--to", str(target), "--run", "all", "--endpoint", endpoint
    )
    assert done.code == 0
    exported = [msgspec.json.decode(line) for line in target.read_bytes().splitlines()]
    assert len(exported) == rows
    assert sum(row["item_id"] for row in exported) == ids
    if endpoint == "category-v1":
        assert exported[0]["price_info_sale_price"] == "18.16"
        assert exported[0]["fetched_at"] == "2026-11-25T23:01:48.190000Z"
        assert exported[0]["title"] == "通勤轻熟蕾丝五分袖双肩包跨境专供长袖镂空免费拿样"


def test_status_tells_the_same(journal, tmapi):
    """The summary of the latest run is the one that the older version printed, and newer keys."""
    done = tmapi("status", str(journal), "--json")
    (summary,) = done.rows
    assert summary == {
        "listings": 4, "complete": 3, "capped": 0, "failed": 0, "stopped": 1, "pages": 10,
        "items": 163, "unique_items": 163, "rejects": 1, "requests": 10, "retries": 0, "wasted": 0,
        "codes": {"200": 10}, "seconds": 0.066, "pages_per_second": 151.5, "stopped_by": "budget",
        "unreached": 0, "waited": 0.0, "cache_hits": 0, "shifted": 0, "second_looks": 0,
        "empty": 0, "contradicted": 0, "suspects": [], "verdict": "incomplete",
    }  # fmt: skip


def test_a_report_has_the_figures_of_then(journal):
    """A report of the first run counts its listings, pages and requests."""
    facts = gather(journal, run=1, endpoint="category-v1")
    assert facts.states == {"complete": 4, "empty": 1, "capped": 1, "failed": 1}
    counts = facts.counts
    assert (facts.pages, facts.rejects, counts.requests, counts.retries) == (13, 1, 37, 7)
    assert facts.items.distinct == 195


def test_runs_are_compared(journal):
    """The items that the second run did not find are gone, where both runs read every row."""
    comparison = compare_runs(journal, endpoint="category-v1")
    assert (comparison.total.gone, comparison.total.new) == (19, 0)
    assert (comparison.partial, comparison.listings, comparison.left_out) == (1, 3, 4)
    whole_runs = compare_runs(journal, before=1, endpoint="category-v1")
    assert (whole_runs.total.gone, whole_runs.total.new) == (19, 0)
    assert (whole_runs.partial, whole_runs.listings, whole_runs.unsure) == (5, 7, 107)


async def test_a_harvest_goes_on(journal, sandbox):
    """The missing pages are asked for: of the failed, the cut and the stopped listing."""
    asked = [*v1(1, 2, 3, 4, 5, 6, 7), *v2(6)]
    async with api(sandbox) as client:
        result = await Harvest(client, asked, journal=journal, host=HOST).run()
    assert result.complete
    # Three of the listings had pages: the last page of each is looked at again.
    assert (result.requests, result.second_looks, result.pages) == (13, 3, 10)
    assert (result.tally.listings, result.tally.complete) == (8, 8)
    with JournalReader(journal) as reader:
        assert {visit.state for visit in reader.listings()} == {"complete"}
        assert reader.failed_pages() == []
        reader.verify()


def test_details_of_its_products_can_be_fetched(journal, tmapi):
    """The products of all its listings are found, without changing the file."""
    before = journal.read_bytes()
    done = tmapi("details", str(journal), "--dry-run", "--json", "-q", token="")
    cost = msgspec.json.decode(done.out)
    assert done.code == 0
    assert cost["found"] == cost["requests"] == 371
    assert journal.read_bytes() == before


async def test_a_divided_listing_and_the_tree_are_not_asked_for_again(journal, sandbox):
    """All their answers are in the journal."""
    async with api(sandbox) as client:
        again = Harvest(client, v2(DIVIDED), journal=journal, host=HOST, split=SPLIT)
        result = await again.run()
        assert (result.requests, result.tally.unique_items) == (0, 129)
        with JournalCategories(journal, host=HOST) as cache:
            await client.categories(cache=cache)
    assert sandbox.stats.requests == 0


async def test_the_program_that_wrote_the_file_writes_the_same_today(path):
    """This version counts and stores what the older one did."""
    await journal_fixture.write(path)
    with JournalReader(path) as reader:
        written = [(visit.id, visit.state, visit.pages, visit.items) for visit in reader.listings()]
    assert written == [(row[0], row[4], row[5], row[6]) for row in LISTINGS]
