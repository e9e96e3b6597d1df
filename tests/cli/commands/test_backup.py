"""The command `tmapi backup`."""

from __future__ import annotations

import sqlite3

import pytest

from tests.support.stored_journal import copy_stored_journal
from tmapi_async.cli.commands import backup as command
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.errors import DiskFullError


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    return copy_stored_journal(path)


def test_a_backup_tells_its_contents(journal, tmp_path, tmapi):
    """The copy is a journal for every command; the result names its pages, items and rejects."""
    copy = tmp_path / "copy.journal"
    done = tmapi("backup", str(journal), str(copy))
    assert (done.code, done.err) == (OK, "")
    assert done.out.decode() == (
        f"wrote {copy}: 39 pages of 16 listings in 2 runs, 647 items, 4 rejects\n"
    )
    assert tmapi("verify", str(copy)).code == OK
    assert tmapi("status", str(copy), "--json").rows == tmapi("status", str(journal), "--json").rows
    (summary,) = tmapi("backup", str(journal), str(tmp_path / "second"), "--json").rows
    assert (summary["pages"], summary["items"], summary["copy"]) == (39, 647, f"{tmp_path}/second")


@pytest.mark.parametrize("name", ["test.journal", "other", "test.journal-wal", "none/copy", "link"])
def test_nothing_is_overwritten(journal, tmp_path, tmapi, name):
    """A file that exists, a side file of the journal and a missing folder are refused."""
    (tmp_path / "other").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    before = {file.name: file.lstat().st_size for file in tmp_path.iterdir()}
    done = tmapi("backup", str(journal), str(tmp_path / name))
    assert (done.code, done.out) == (USAGE, b"")
    assert done.messages
    assert {file.name: file.lstat().st_size for file in tmp_path.iterdir()} == before


def test_a_damaged_journal_leaves_no_copy(journal, tmp_path, tmapi):
    """A copy that would be damaged does not appear, and no temporary file is left."""
    content = bytearray(journal.read_bytes())
    page = content.rindex(b"category/items?cat_id=3") // 32768 * 32768
    content[page : page + 8] = bytes(8)
    journal.write_bytes(content)
    done = tmapi("backup", str(journal), str(tmp_path / "copy"))
    assert done.code == PARTIAL
    assert "no copy was made" in done.err
    assert [file.name for file in tmp_path.iterdir()] == [journal.name]


def test_a_full_disk_leaves_no_copy(journal, tmp_path, tmapi, monkeypatch):
    """A copy that cannot be finished is removed, and the message names the file asked for."""

    def fill(_path, copy, _report):
        copy.write_bytes(b"half")
        raise DiskFullError(copy, "database or disk is full")

    monkeypatch.setattr(command, "back_up", fill)
    copy = tmp_path / "copy"
    done = tmapi("backup", str(journal), str(copy))
    assert done.code == PARTIAL
    assert done.messages == [
        f"tmapi: cannot copy to {copy}: database or disk is full; no copy was made"
    ]
    assert [file.name for file in tmp_path.iterdir()] == [journal.name]


def test_a_file_that_appears_meanwhile_stays(journal, tmp_path, tmapi, monkeypatch):
    """A file that another program creates during the copy is not replaced."""
    copy = tmp_path / "copy"

    def race(_path, temporary, _report):
        sqlite3.connect(temporary).close()
        copy.write_text("theirs")

    monkeypatch.setattr(command, "back_up", race)
    assert tmapi("backup", str(journal), str(copy)).code == USAGE
    assert copy.read_text() == "theirs"


def test_a_missing_journal_is_refused(tmp_path, tmapi):
    """Nothing is written for a journal that does not exist."""
    done = tmapi("backup", str(tmp_path / "none"), str(tmp_path / "copy"))
    assert (done.code, list(tmp_path.iterdir())) == (USAGE, [])
