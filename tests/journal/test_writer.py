"""The writer: a file that does not keep what is written to it stops the harvest."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.support.harvesting import begin, listings, record, reject, totals
from tmapi_async.errors import CorruptJournalError, DeadlineError
from tmapi_async.harvest import JournalCategories
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import Visit
from tmapi_async.journal.statements import (
    add_part,
    begin_visit,
    end_visit,
    fail_page,
    store_division,
)
from tmapi_async.journal.views import Division

IGNORE = "CREATE TRIGGER quiet BEFORE {event} ON {table} BEGIN SELECT RAISE(IGNORE); END"
UNDO = "CREATE TRIGGER quiet AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END"
NOW = 1_767_605_400.0


def change(path, statement):
    """Change the file from another connection, while the journal is open."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def fill(journal, visit, table):
    """Submit something that is stored in a table; return the ticket."""
    part = Visit(visit.id + 1, visit.run, listings(8)[0])
    if table == "reject":
        return journal.submit((visit, record(1, rejects=(reject(3),))))
    if table in ("listing", "part"):
        return journal.apply(*add_part(part, visit.id))
    if table == "division":
        return journal.apply(store_division(Division(visit.id, True, 1, 20, 20, 0, 20, "text")))
    if table == "failed_page":
        return journal.apply(fail_page(visit, 2, DeadlineError("slow"), start=1, now=NOW))
    if table == "visit":
        return journal.apply(begin_visit(visit, NOW))
    return journal.submit((visit, record(1)))  # and a tick


TABLES = ("page", "reject", "tick", "listing", "visit", "part", "division", "failed_page")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("trigger", [IGNORE, UNDO], ids=["ignore", "undo"])
async def test_a_trigger_that_appears_while_a_harvest_writes_stops_it(path, table, trigger):
    """Whatever table it drops rows of: nothing is called durable that the file does not keep."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    change(path, trigger.format(table=table, event="UPDATE" if table == "visit" else "INSERT"))
    with pytest.raises(CorruptJournalError, match="changed meanwhile: the trigger 'quiet'"):
        await journal.wait_durable(fill(journal, visit, table))
    assert journal.statistics().durable == 0
    await journal.close()


@pytest.mark.parametrize("table", ["run", "start", "visit"])
async def test_a_trigger_that_appears_before_the_start_stops_it(path, table):
    """The rows of the start itself are held to the same rule."""
    journal = Journal.open(path)
    change(path, IGNORE.format(table=table, event="INSERT"))
    with pytest.raises(CorruptJournalError, match="changed meanwhile"):
        begin(journal, listings(7))
    await journal.close()


async def test_statistics_that_another_program_adds_do_not_stop_a_harvest(path):
    """A harmless change of the tables is looked at once, and accepted."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    change(path, "ANALYZE")
    await journal.append(visit, record(1))
    change(path, "CREATE TABLE notes (x)")
    await journal.append(visit, record(2))
    await journal.close()


async def test_a_listing_does_not_end_with_pages_that_the_file_lost(path):
    """Pages that another program deletes meanwhile are missed when their listing ends."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 4):
        await journal.append(visit, record(number, last=number == 3))
    change(path, "DELETE FROM page WHERE number = 2")
    ended = end_visit(visit, "complete", totals(3), now=NOW)
    with pytest.raises(CorruptJournalError, match="does not keep what is written to it"):
        await journal.wait_durable(journal.apply(ended))
    await journal.close()
    (state,) = sqlite3.connect(path).execute("SELECT state FROM visit").fetchone()
    assert state != "complete"


async def test_the_category_tree_is_held_to_the_same_rule(path):
    """An answer about a category that the file does not keep is an error of the cache."""
    with JournalCategories(path) as cache:
        change(path, IGNORE.format(table="look", event="UPDATE"))
        with pytest.raises(CorruptJournalError):
            await cache.end(complete=True)
