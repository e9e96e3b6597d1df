"""The command `tmapi repair`."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.support.stored_journal import copy_stored_journal
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    return copy_stored_journal(path)


def test_a_whole_journal_loses_nothing(journal, tmp_path, tmapi):
    """The exit code is 0, and the new journal is fine."""
    copy = tmp_path / "new.journal"
    done = tmapi("repair", str(journal), str(copy))
    assert (done.code, done.err) == (OK, "")
    assert done.out.decode() == (
        f"wrote {copy}: 39 pages of 19 listings, 647 items, 4 rejects\n"
        "no page is known to be lost\n"
    )
    assert tmapi("verify", str(copy)).code == OK
    assert sorted(file.name for file in tmp_path.iterdir()) == [copy.name, journal.name]


def test_losses_are_named(journal, tmp_path, tmapi):
    """A lost page gives exit 3, its listing, and the way to request it again."""
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        connection.execute("UPDATE page SET body = zeroblob(9) WHERE visit = 1 AND number = 2")
        connection.commit()
    copy = tmp_path / "new.journal"
    done = tmapi("repair", str(journal), str(copy))
    assert done.code == PARTIAL
    assert done.out.decode().splitlines()[1:] == [
        "lost: 1 page; 0 listings with all pages; 0 answers of the category tree",
        "category/items?cat_id=1 (run 1): 3 of 4 pages saved",
        f"to request the lost pages again, run the same harvest with --journal {copy}",
    ]
    (summary,) = tmapi("repair", str(journal), str(tmp_path / "second"), "--json").rows
    assert (summary["lossless"], summary["pages"], summary["lost_pages"]) == (False, 38, 1)


def test_the_advice_about_a_damaged_journal_is_this_command(journal, tmapi):
    """A command that meets damage names `tmapi repair`."""
    content = bytearray(journal.read_bytes())
    content[32768:] = bytes(len(content) - 32768)
    journal.write_bytes(content)
    done = tmapi("status", str(journal))
    assert "`tmapi repair FILE NEW_FILE`" in done.err


@pytest.mark.parametrize("name", ["test.journal", "test.journal-wal", "none/copy"])
def test_nothing_is_overwritten(journal, tmp_path, tmapi, name):
    """An existing file, a side file of the journal and a missing folder are refused."""
    before = journal.read_bytes()
    done = tmapi("repair", str(journal), str(tmp_path / name))
    assert (done.code, done.out, journal.read_bytes()) == (USAGE, b"", before)
    assert [file.name for file in tmp_path.iterdir()] == [journal.name]


def test_a_file_that_is_no_journal_leaves_nothing(tmp_path, tmapi):
    """No file appears for a text that is no journal."""
    (tmp_path / "text").write_text("text " * 2000)
    done = tmapi("repair", str(tmp_path / "text"), str(tmp_path / "copy"))
    assert (done.code, done.out) == (USAGE, b"")
    assert [file.name for file in tmp_path.iterdir()] == ["text"]
