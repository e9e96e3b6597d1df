"""Copying a whole journal: with its log, at one moment, and never half."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3

import pytest

from tests.support.harvesting import begin, listings, record, stored
from tests.support.stored_journal import copy_stored_journal
from tmapi_async.errors import CorruptJournalError, JournalError, NoJournalError
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.maintenance.backup import back_up
from tmapi_async.journal.maintenance.verify import Verifier


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    return copy_stored_journal(path)


@pytest.fixture
def copy(tmp_path):
    """Return the path of the copy."""
    return tmp_path / "copy.journal"


def test_a_copy_is_whole_and_private(journal, copy):
    """The copy has every row, is one file for its owner alone, and the journal is unchanged."""
    before = journal.read_bytes()
    contents = back_up(journal, copy)
    assert (contents.runs, contents.listings, contents.visits) == (2, 16, 19)
    assert (contents.pages, contents.items, contents.rejects) == (39, 647, 4)
    assert Verifier(copy).run().ok
    assert journal.read_bytes() == before
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in copy.parent.iterdir()} == {journal.name, copy.name}
    with contextlib.closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


async def test_pages_that_are_only_in_the_log_are_copied(path, copy, tmp_path):
    """While a harvest writes and after a kill, a copy has each committed page; `cp` has none."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 6):
        await journal.append(visit, record(number))
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in path.parent.glob("test.journal*"):
        shutil.copy(file, killed)
    assert back_up(path, copy).pages == 5
    assert back_up(killed / path.name, killed / "copy").pages == 5
    await journal.append(visit, record(6, last=True))
    await journal.close()
    assert stored(copy) == [(visit.id, number) for number in range(1, 6)]
    plain = tmp_path / "plain.journal"
    plain.write_bytes((killed / path.name).read_bytes())
    with pytest.raises(JournalError):  # the state before: the tables themselves were in the log
        back_up(plain, tmp_path / "copy of plain")


async def test_commits_during_the_copy_are_not_in_it_and_do_not_begin_it_anew(path, copy):
    """A copy is of the moment at which it began, however much is committed meanwhile."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    with contextlib.closing(sqlite3.connect(path)) as writer:
        calls = []

        def commit(done, total):
            calls.append((done, total))
            writer.execute("UPDATE visit SET error = ?", ("x" * 100 * len(calls),))
            writer.commit()

        contents = back_up(path, copy, commit)
    await journal.close()
    assert contents.pages == 1
    assert calls[-1][0] == calls[-1][1]
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT error FROM visit").fetchone() == (None,)


def test_a_journal_of_an_older_version_is_copied(journal, copy):
    """A copy before an upgrade has the version of the journal."""
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        connection.executescript("DROP TABLE division; DROP TABLE part; PRAGMA user_version = 2")
    assert back_up(journal, copy).pages == 39
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_damaged_journal_is_not_copied_in_silence(journal, copy):
    """With damage that SQLite can see, the copy is refused: it would be damaged too."""
    content = bytearray(journal.read_bytes())
    page = content.rindex(b"category/items?cat_id=3") // 32768 * 32768
    content[page : page + 8] = bytes(8)  # the header of the leaf
    journal.write_bytes(content)
    with pytest.raises(CorruptJournalError):
        back_up(journal, copy)


def test_flipped_bits_raise_no_raw_exception(journal, tmp_path):
    """A damaged journal is copied or refused by an error of the journal."""
    content = journal.read_bytes()
    chance = random.Random(4)  # noqa: S311 - a known order, no secret
    for round_ in range(80):
        damaged = bytearray(content)
        for _ in range(5):
            damaged[chance.randrange(4096 if round_ % 3 == 0 else len(content))] ^= 8
        journal.write_bytes(damaged)
        copy = tmp_path / f"copy {round_}"
        with contextlib.suppress(JournalError):
            back_up(journal, copy)
        copy.unlink(missing_ok=True)


def test_a_missing_journal_is_refused(tmp_path, copy):
    """Nothing is created in place of a journal that does not exist."""
    with pytest.raises(NoJournalError):
        back_up(tmp_path / "none", copy)
    assert not copy.exists()
