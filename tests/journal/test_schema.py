"""Opening a journal: files that are refused stay as they are; older journals are upgraded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3

import pytest

from tests.support.harvesting import begin, listings, record, stored
from tmapi_async.errors import (
    CorruptJournalError,
    JournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
    ReadOnlyJournalError,
)
from tmapi_async.harvest import JournalReader
from tmapi_async.journal import lock, schema
from tmapi_async.journal.journal import Journal


async def filled(path, pages=3):
    """A finished journal with some pages."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, pages + 1):
        await journal.append(visit, record(number))
    await journal.close()
    return visit


def test_a_database_without_tables_becomes_a_journal(path):
    """A start killed before it created the tables leaves a file that the next start uses."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert path.stat().st_size
    with pytest.raises(NoJournalError, match="no start has written to it"):
        JournalReader(path)
    Journal.open(path)


@pytest.mark.parametrize(
    "content",
    [b"not a database at all\n" * 100, b"SQLite format 3\0" + bytes(5000), b"x\n"],
    ids=["text", "a header alone", "two bytes"],
)
def test_a_file_that_is_no_journal_is_left_as_it_is(path, content):
    """A file that is no journal is refused by name and not changed."""
    path.write_bytes(content)
    for opened in (Journal.open, JournalReader):
        with pytest.raises(JournalError, match=r"is not a journal|is damaged"):
            opened(path)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_another_database_is_left_as_it_is(path):
    """An SQLite file with other tables is refused and not changed."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    for opened in (Journal.open, JournalReader):
        with pytest.raises(NotAJournalError, match="it was not changed"):
            opened(path)
    assert path.read_bytes() == before


def test_a_folder_is_no_journal(tmp_path):
    """A folder is refused like any other path that is no journal."""
    with pytest.raises(NotAJournalError):
        Journal.open(tmp_path)
    with pytest.raises(NoJournalError):
        JournalReader(tmp_path)


async def test_a_journal_of_a_newer_version_is_refused(path):
    """Tables of a newer version are not changed, and the message says to upgrade."""
    await filled(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.version() + 1}")
    connection.close()
    before = path.read_bytes()
    for opened in (Journal.open, JournalReader):
        with pytest.raises(NewerJournalError, match="Upgrade tmapi-async"):
            opened(path)
    assert path.read_bytes() == before


async def test_a_writer_upgrades_an_older_journal(path, monkeypatch):
    """A writer adds the new tables and keeps all data. Until then, readers are refused."""
    visit = await filled(path)
    added = "CREATE TABLE extra (x);\nCREATE TABLE more (y);"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
    with pytest.raises(OlderJournalError, match="tmapi harvest"):
        JournalReader(path)
    await Journal.open(path).close()
    with JournalReader(path) as reader:
        assert [page.number for page in reader.pages()] == [1, 2, 3]
        assert [stored_visit.id for stored_visit in reader.visits()] == [visit.id]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM extra, more").fetchall() == [(0,)]
    connection.close()


async def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    """After a failed migration the file has its old version and opens as before."""
    await filled(path)
    with monkeypatch.context() as patch:
        added = "CREATE TABLE extra (x);\nCREATE TABLE page (y);"
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
        with pytest.raises(JournalError, match="already exists"):
            Journal.open(path)
    with JournalReader(path) as reader:
        assert len(list(reader.pages())) == 3


async def test_a_journal_cut_short_is_refused_at_once(path):
    """A file that lost its end is refused when it is opened."""
    await filled(path, pages=200)
    os.truncate(path, path.stat().st_size - schema.PAGE_SIZE)
    for opened in (Journal.open, JournalReader):
        with pytest.raises(CorruptJournalError, match="tmapi repair FILE NEW_FILE"):
            opened(path)


async def test_damage_inside_is_found_by_a_full_check(path):
    """The full check finds a flipped byte in a stored body."""
    await filled(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"\x28\xb5\x2f\xfd")  # how a zstd frame begins
    content[place + 200] ^= 0xFF
    path.write_bytes(content)
    with JournalReader(path) as reader, pytest.raises(JournalError, match="damaged"):
        reader.verify()


async def test_a_whole_journal_passes_the_full_check(path):
    """All stored pages pass the full check."""
    await filled(path)
    with JournalReader(path) as reader:
        reader.verify()


@pytest.mark.parametrize("locked", ["file", "folder"])
def test_a_read_only_journal_is_refused_before_any_request(path, monkeypatch, locked):
    """A read-only file or folder is refused by name, and no file is left behind."""
    asyncio.run(Journal.open(path).close())
    where = path if locked == "file" else path.parent
    # Root may write anywhere: the answer of the system is put in its place.
    monkeypatch.setattr(schema.os, "access", lambda name, mode: name != where or mode != os.W_OK)
    with pytest.raises(ReadOnlyJournalError, match="no permission to write"):
        Journal.open(path)
    assert not lock.lock_path(path).exists()


async def test_a_finished_journal_is_read_in_a_read_only_folder(path):
    """A finished journal can be read in a read-only folder."""
    await filled(path)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with JournalReader(path) as reader:
            assert len(list(reader.pages())) == 3
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    finally:
        path.parent.chmod(0o700)


async def test_readers_see_commits_while_a_writer_works(path):
    """Readers see whole commits while a harvest writes."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    with JournalReader(path) as reader:
        assert list(reader.pages()) == []
        for number in range(1, 4):
            await journal.append(visit, record(number))
            assert [page.number for page in reader.pages()] == list(range(1, number + 1))
        assert [page.number for page in reader.pages(after=2)] == [3]
    await journal.close()


async def test_a_reader_in_the_middle_does_not_stop_a_close(path):
    """While another process reads, the journal still closes. The log stays until the next start."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    reading = sqlite3.connect(path)
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM page").fetchone()
    await journal.close()
    reading.close()
    assert stored(path) == [(visit.id, 1)]
    await Journal.open(path).close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


TAMPERED = {
    "a trigger": ("CREATE TRIGGER t BEFORE INSERT ON page BEGIN SELECT RAISE(IGNORE); END", "t"),
    "a view": ("CREATE VIEW v AS SELECT * FROM page", "v"),
    "a foreign table": ("CREATE TABLE theirs (x)", "theirs"),
    "a missing table": ("DROP TABLE category", "category is missing"),
    "a missing index": ("DROP INDEX page_place", "page_place is missing"),
    "another column": ("ALTER TABLE page ADD COLUMN more", "page is not as"),
}


@pytest.mark.parametrize("case", TAMPERED)
async def test_differences_of_the_tables_are_named(path, case):
    """Each table, index, trigger or view that no version of this package makes is named."""
    await filled(path)
    statement, expected = TAMPERED[case]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert schema.schema_differences(connection) == []
        connection.execute(statement)
        (difference,) = schema.schema_differences(connection)
    assert expected in difference


def test_a_journal_of_an_older_version_has_the_tables_of_that_version(path, monkeypatch):
    """An older journal is compared with its own version; SQLite's statistics are no difference."""
    migrations = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", ())
    schema.connect(path, writing=True).close()
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    with contextlib.closing(schema.connect_unchecked(path)) as connection:
        assert schema.schema_differences(connection) == []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("ANALYZE")
        assert schema.schema_differences(connection) == []


@pytest.mark.parametrize("content", [None, b"", b"text " * 2000], ids=["none", "empty", "text"])
def test_a_file_without_a_journal_is_refused_unchecked_too(path, content):
    """A file that is missing, empty or of another kind is no journal to save."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((NoJournalError, NotAJournalError)):
        schema.connect_unchecked(path)


FOREIGN = {
    "trigger": "CREATE TRIGGER quiet BEFORE INSERT ON page BEGIN SELECT RAISE(IGNORE); END",
    "view": "CREATE VIEW pages AS SELECT * FROM page",
    "index": "CREATE UNIQUE INDEX one ON page (number)",
}


@pytest.mark.parametrize("statement", FOREIGN.values(), ids=FOREIGN)
async def test_a_journal_with_foreign_triggers_views_or_indexes_is_refused(path, statement):
    """A trigger that ignores inserts would drop pages that were paid for, without an error."""
    await filled(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    for opened in (Journal.open, JournalReader):
        with pytest.raises(NotAJournalError, match="does not belong to a journal"):
            opened(path)
    assert path.read_bytes() == before


async def test_a_journal_with_a_changed_table_is_refused(path):
    """A constraint that ignores conflicts would drop rows without an error."""
    await filled(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE failed_page")
    with pytest.raises(CorruptJournalError, match="the table failed_page is missing"):
        Journal.open(path)


async def test_a_table_that_somebody_added_is_left_alone(path):
    """The `.recover` of SQLite adds a table of rows that it could not place."""
    await filled(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE lost_and_found (row)")
    JournalReader(path).close()


async def test_a_page_that_the_file_does_not_keep_is_an_error(path):
    """A commit that returns without an error is not enough: the page must be in the file."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(FOREIGN["trigger"])
    with pytest.raises(CorruptJournalError, match="changed meanwhile"):
        await journal.append(visit, record(1))
    await journal.close()


@pytest.mark.skipif(os.name == "nt", reason="the system has a place of its own there")
def test_temporary_files_go_beside_the_journal_where_there_is_no_other_place(tmp_path, monkeypatch):
    """The usual folders come first; the journal's own folder is used only without any of them."""
    other = tmp_path / "tmp"
    other.mkdir()
    monkeypatch.setenv("TMPDIR", str(other))
    assert not schema.provide_temporary_folder(tmp_path)
    assert os.environ["TMPDIR"] == str(other)
    monkeypatch.setattr(os, "access", lambda name, _: str(name) == str(tmp_path))
    assert schema.provide_temporary_folder(tmp_path)
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert schema.provide_temporary_folder(tmp_path)
