"""The command `tmapi verify`."""

from __future__ import annotations

import pytest

from tests.support.stored_journal import copy_stored_journal
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    return copy_stored_journal(path)


def spoil(journal):
    """Change one byte of a stored reply."""
    content = bytearray(journal.read_bytes())
    place = content.rindex(b"\x28\xb5\x2f\xfd") + 40  # the magic number of a zstd frame
    content[place] ^= 1
    journal.write_bytes(content)


def test_a_whole_journal_is_fine(journal, tmapi):
    """The result says which checks were made and what was read; the exit code is 0."""
    done = tmapi("verify", str(journal))
    text = done.out.decode()
    assert (done.code, done.err) == (OK, "")
    assert "39 pages of 19 listings, 647 items, 4 rejects" in text
    assert text.endswith(f"{journal}: everything in the journal is fine\n")


def test_a_damaged_journal_is_named(journal, tmapi):
    """One changed byte gives exit 3, the listing and the page."""
    spoil(journal)
    done = tmapi("verify", str(journal))
    assert done.code == PARTIAL
    assert f"{journal}: 1 problem: " in done.out.decode()
    assert b"pages: category/items" in done.out
    assert done.err == ""


def test_json_is_one_object(journal, tmapi):
    """With `--json` standard output holds one object, damaged or not."""
    (fine,) = tmapi("verify", str(journal), "--json").rows
    assert (fine["ok"], fine["pages"], fine["problems"], fine["problem_texts"]) == (True, 39, 0, [])
    spoil(journal)
    (damaged,) = tmapi("verify", str(journal), "--json").rows
    assert (damaged["ok"], damaged["checks"]["pages"]) == (False, False)
    assert len(damaged["problem_texts"]) == damaged["problems"] > 0


def test_a_file_that_cannot_be_opened_is_damaged(journal, tmapi):
    """A journal whose schema cannot be read gives a result too, as text and as JSON."""
    content = bytearray(journal.read_bytes())
    content[100:4000] = bytes(3900)
    journal.write_bytes(content)
    done = tmapi("verify", str(journal), "--json")
    assert (done.code, done.rows[0]["ok"]) == (PARTIAL, False)
    assert tmapi("verify", str(journal)).code == PARTIAL


def test_a_file_that_is_no_journal_is_refused(tmp_path, tmapi):
    """A missing file and a text are bad input."""
    (tmp_path / "text").write_text("text " * 2000)
    for name in ("none", "text"):
        done = tmapi("verify", str(tmp_path / name))
        assert (done.code, done.out) == (USAGE, b"")
        assert done.messages


def test_control_characters_of_a_foreign_journal_are_shown_escaped(journal, tmapi):
    """A listing named by somebody else cannot give commands to the terminal."""
    content = journal.read_bytes().replace(b"category/items?cat_id=3", b"category/items\x1b]0;id=3")
    journal.write_bytes(content)
    done = tmapi("verify", str(journal))
    assert done.code == PARTIAL
    assert b"\x1b" not in done.out
