"""Saving a damaged journal: what can be read is saved, and what is lost is told."""

from __future__ import annotations

import contextlib
import random
import sqlite3

import pytest

from tests.support.journal_fixture import DIVIDED, HOST, ITEMS, OPTIONS, api, v1
from tests.support.stored_journal import copy_stored_journal
from tmapi_async.errors import JournalError, NewerJournalError, NoJournalError, NotAJournalError
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.journal.maintenance.repair import repair
from tmapi_async.journal.maintenance.verify import Verifier

PAGE_SIZE = 32768


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    return copy_stored_journal(path)


@pytest.fixture
def copy(tmp_path):
    """Return the path of the new journal."""
    return tmp_path / "new.journal"


def change(path, *statements):
    """Change a journal behind the back of the package."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def rows(path, table):
    """Return all rows of a table."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - ours


TABLES = [
    "run", "start", "tick", "listing", "visit", "page", "reject", "failed_page", "dictionary",
    "look", "category", "part", "division",
]  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_a_whole_journal_is_saved_whole(journal, copy, table):
    """Every row of every table of an undamaged journal is in the new one."""
    before = journal.read_bytes()
    result = repair(journal, copy)
    assert (result.lossless, result.unreadable, result.names) == (True, 0, [])
    assert (result.listings, result.pages, result.items, result.rejects) == (19, 39, 647, 4)
    assert rows(copy, table) == rows(journal, table)
    assert journal.read_bytes() == before
    assert copy.stat().st_mode & 0o777 == 0o600


def leaves(path, table):
    """Return the offsets of the leaves of a table. Each database page begins with its kind."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
    content = path.read_bytes()
    inner = content[(root - 1) * PAGE_SIZE :][:PAGE_SIZE]
    assert inner[0] == 5  # an inner page of a table
    cells = int.from_bytes(inner[3:5], "big")
    places = [int.from_bytes(inner[12 + 2 * n :][:2], "big") for n in range(cells)]
    pages = [int.from_bytes(inner[place:][:4], "big") for place in places]
    return [(page - 1) * PAGE_SIZE for page in [*pages, int.from_bytes(inner[8:12], "big")]]


@pytest.mark.parametrize("which", range(4))
def test_a_lost_leaf_costs_only_its_own_pages(journal, copy, which):
    """With a leaf of the table of pages destroyed, all other pages are saved; losses are named."""
    all_leaves = leaves(journal, "page")
    offset = all_leaves[which * (len(all_leaves) - 1) // 3]
    content = bytearray(journal.read_bytes())
    cells = int.from_bytes(content[offset + 3 : offset + 5], "big")
    content[offset : offset + PAGE_SIZE] = bytes(PAGE_SIZE)
    journal.write_bytes(content)
    result = repair(journal, copy)
    assert (result.pages, result.lost_pages) == (39 - cells, cells)
    assert (result.lossless, result.lost_listings) == (False, 0)
    assert len(result.names) == result.incomplete > 0
    assert "pages saved" in result.names[0]
    assert Verifier(copy).run().texts == []
    with JournalReader(copy) as reader:
        assert sum(page.items for page in reader.pages()) == result.items


def test_a_row_that_cannot_be_decoded_costs_one_page(journal, copy):
    """Pages beside the damaged one are saved, and their listing is open again."""
    change(journal, "UPDATE page SET body = zeroblob(99) WHERE visit = 1 AND number = 2")
    result = repair(journal, copy)
    assert (result.pages, result.lost_pages, result.incomplete) == (38, 1, 1)
    assert result.names == ["category/items?cat_id=1 (run 1): 3 of 4 pages saved"]
    with JournalReader(copy) as reader:
        (first, *_) = reader.visits()
        assert (first.state, first.pages, first.begun) == ("open", 3, True)
    assert Verifier(copy).run().ok


async def test_a_harvest_requests_only_the_lost_pages(journal, copy, tmapi_sandboxes):
    """The new journal is continued like one whose harvest was killed."""
    change(journal, "UPDATE page SET body = zeroblob(99) WHERE visit = 5 AND number = 2")
    change(journal, "DELETE FROM visit WHERE run = 2")
    repair(journal, copy)
    sandbox = await tmapi_sandboxes(categories={**ITEMS, DIVIDED: 130}, **OPTIONS)
    async with api(sandbox) as client:
        result = await Harvest(client, v1(1, 3, 5), journal=copy, host=HOST).run()
    assert (result.complete, result.pages, result.second_looks) == (True, 1, 1)
    assert result.requests == 2
    assert Verifier(copy).run().ok


def test_a_divided_listing_that_lost_a_page_is_divided_again(journal, copy):
    """The division of a listing whose part lost a page no longer says that it is complete."""
    change(journal, "UPDATE page SET body = zeroblob(9) WHERE visit = 11 AND number = 2")
    repair(journal, copy)
    assert rows(copy, "division") == []
    with JournalReader(copy) as reader:
        assert {v.id for v in reader.visits() if v.state == "open"} == {8, 11, 19}


def test_a_lost_visit_is_saved_from_its_index(journal, copy):
    """Pages of visits whose rows are destroyed keep their listing; the visits are open."""
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'visit'"
        ).fetchone()
    content = bytearray(journal.read_bytes())
    content[(root - 1) * PAGE_SIZE : root * PAGE_SIZE] = bytes(PAGE_SIZE)
    journal.write_bytes(content)
    result = repair(journal, copy)
    assert (result.pages, result.items, result.listings, result.lost_listings) == (39, 647, 19, 0)
    assert Verifier(copy).run().ok


def test_counts_and_rejects_come_from_the_bodies(journal, copy):
    """Changed figures, counts and rejects are right again."""
    change(
        journal,
        "UPDATE page SET items = 7, rejects = 3, has_next_page = 9, code = 1",
        "UPDATE visit SET items = 1, rejects = 1 WHERE state = 'complete'",
        "DELETE FROM reject",
    )
    result = repair(journal, copy)
    assert (result.lossless, result.items, result.rejects) == (True, 647, 4)
    assert Verifier(copy).run().ok
    assert len(rows(copy, "reject")) == 4


def test_pages_of_a_listing_with_damaged_parameters_go_to_no_other_listing(journal, copy):
    """A listing whose parameters changed is lost, and does not take the name of another one."""
    params = """UPDATE listing SET params = replace(params, '"2"', '"4711"') WHERE id = 2"""
    change(journal, params)
    result = repair(journal, copy)
    assert (result.lost_listings, result.lost_pages, result.pages) == (1, 1, 38)
    assert Verifier(copy).run().ok


def test_a_file_that_was_cut_is_saved_up_to_the_cut(journal, copy):
    """Pages before the cut are saved."""
    journal.write_bytes(journal.read_bytes()[: 10 * PAGE_SIZE + 100])
    with contextlib.suppress(NotAJournalError):
        repair(journal, copy)
        assert Verifier(copy).run().ok


def test_flipped_bits_never_raise_and_the_result_is_whole(journal, tmp_path):
    """From bytes changed anywhere comes a journal without a problem, or an error of the journal."""
    content = journal.read_bytes()
    chance = random.Random(41)  # noqa: S311 - a known order, no secret
    saved = 0
    for round_ in range(60):
        damaged = bytearray(content)
        for _ in range(1 + 10 * (round_ % 3)):
            place = chance.randrange(PAGE_SIZE if round_ % 6 == 0 else len(content))
            damaged[place] ^= 1 << chance.randrange(8)
        journal.write_bytes(damaged)
        copy = tmp_path / f"copy {round_}"
        try:
            result = repair(journal, copy)
        except JournalError:
            continue
        saved += result.pages > 0
        assert Verifier(copy).run().texts == [], round_
    assert saved > 40


def test_what_cannot_be_saved_is_refused(journal, copy, tmp_path):
    """A missing file, a text, another database and a newer journal are refused by name."""
    with pytest.raises(NoJournalError):
        repair(tmp_path / "none", copy)
    (tmp_path / "text").write_text("text " * 2000)
    with pytest.raises(NotAJournalError):
        repair(tmp_path / "text", copy)
    change(tmp_path / "other", "CREATE TABLE theirs (x)")
    with pytest.raises(NotAJournalError):
        repair(tmp_path / "other", copy)
    change(journal, "PRAGMA user_version = 99")
    with pytest.raises(NewerJournalError):
        repair(journal, copy)
    assert not copy.exists()
