"""Opening a journal: its values, references and counts are checked, at bounded cost."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.support import journals
from tests.support.stored_journal import copy_stored_journal
from tmapi_async.errors import CorruptJournalError
from tmapi_async.harvest import JournalReader
from tmapi_async.journal import schema
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.maintenance.verify import Verifier
from tmapi_async.journal.tables import contents

DAMAGE = {
    "a text in place of a number": (
        "UPDATE run SET started_at = 'x'",
        "started_at of the table run",
    ),
    "a fraction in place of a number": ("UPDATE visit SET pages = 1.5 WHERE id = 1", "pages"),
    "a number in place of a text": (
        "UPDATE tick SET codes = x'00' WHERE start = 1",
        "codes of the table tick",
    ),
    "a text in place of a body": ("UPDATE page SET body = 'x' WHERE seq = 39", "body"),
    "a text in place of a raw row": ("UPDATE reject SET raw = 'x'", "raw of the table reject"),
    "a time after the year 9999": ("UPDATE start SET started_at = 1 << 60 WHERE id = 1", "start"),
    "a negative count": ("UPDATE page SET items = -1 WHERE seq = 2", "items of the table page"),
    "a host that is bytes": ("UPDATE look SET host = x'00'", "host of the table look"),
    "a page of no visit": ("UPDATE page SET visit = 99 WHERE seq = 2", "missing row of visit"),
    "a visit of no listing": ("UPDATE visit SET listing = 99 WHERE id = 2", "row of listing"),
    "a visit of no run": ("UPDATE visit SET run = 9 WHERE id = 2", "missing row of run"),
    "a page without its dictionary": (
        "UPDATE page SET dictionary = 9 WHERE seq = 2",
        "missing row of dictionary",
    ),
    "a part of no listing": ("UPDATE part SET root = 99", "table part refers to a missing row"),
    "a lost page": ("DELETE FROM page WHERE seq = 3", "pages of a finished listing are missing"),
    "a lost count": ("UPDATE visit SET pages = NULL WHERE id = 1", "pages of a finished listing"),
    "rows that a page no longer counts": (
        "UPDATE page SET items = items - 1 WHERE seq = 3",
        "fewer rows than the listing",
    ),
    "a lost reject": ("DELETE FROM reject", "another number of rejects"),
}


def change(path, statement):
    """Change a journal behind the back of the package."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)


@pytest.mark.parametrize(("statement", "text"), DAMAGE.values(), ids=DAMAGE)
def test_wrong_contents_are_refused_when_a_journal_is_opened(path, statement, text):
    """Readers and writers refuse the file, say why, and point to a backup or a repair."""
    change(copy_stored_journal(path), statement)
    for opened in (JournalReader, Journal.open):
        with pytest.raises(CorruptJournalError, match=text) as refusal:
            opened(path)
        assert "tmapi repair" in str(refusal.value)
    assert not Verifier(path).run().ok


def of_many_pages(path):
    """Write a journal of 120 pages in one listing."""
    bodies = [journals.body([journals.row(n)], has_next=n < 120) for n in range(1, 121)]
    return journals.write(path, {7: bodies})


def steps(path):
    """Return the number of steps of SQLite that a check of the contents takes."""
    count = 0

    def count_step():
        nonlocal count
        count += 1

    connection = schema.connect(path, writing=False)
    with contextlib.closing(connection):
        connection.set_progress_handler(count_step, 1)
        contents.content_problems(connection, (schema.TABLES, *schema.MIGRATIONS))
    return count


def test_the_cost_of_opening_does_not_grow_with_the_journal(path, tmp_path, monkeypatch):
    """Of a large table, a bounded number of rows is read."""
    monkeypatch.setattr(contents, "END_ROWS", 5)
    monkeypatch.setattr(contents, "BETWEEN", 5)
    large = of_many_pages(path)
    small = journals.write(
        tmp_path / "small", {7: [journals.body([journals.row(n)]) for n in range(1, 31)]}
    )
    assert steps(large) < 1.5 * steps(small)


@pytest.mark.parametrize("seq", [1, 3, 60, 118, 120])
def test_both_ends_and_the_middle_of_a_large_table_are_read(path, monkeypatch, seq):
    """Damage at either end of a table and at even distances between them is found."""
    monkeypatch.setattr(contents, "END_ROWS", 5)
    monkeypatch.setattr(contents, "BETWEEN", 117)
    change(of_many_pages(path), f"UPDATE page SET attempts = 'x' WHERE seq = {seq}")  # noqa: S608 - a number
    with pytest.raises(CorruptJournalError, match="attempts of the table page"):
        JournalReader(path)


def test_a_full_check_finds_a_value_that_opening_does_not_read(path, monkeypatch):
    """`verify` checks every value."""
    change(of_many_pages(path), "UPDATE page SET attempts = 'x' WHERE seq = 40")
    monkeypatch.setattr(contents, "END_ROWS", 5)
    monkeypatch.setattr(contents, "BETWEEN", 1)
    JournalReader(path).close()
    result = Verifier(path).run()
    assert [text for text in result.texts if "attempts of the table page" in text]


def test_a_table_that_somebody_added_is_not_read(path):
    """`.recover` of SQLite adds a table for rows that it cannot place."""
    change(copy_stored_journal(path), "CREATE TABLE lost_and_found (x INTEGER NOT NULL)")
    change(path, "INSERT INTO lost_and_found VALUES ('x')")
    JournalReader(path).close()
