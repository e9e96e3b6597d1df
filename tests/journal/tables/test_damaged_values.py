"""Values that flipped bits have made."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.support import journals
from tmapi_async.errors import JournalError
from tmapi_async.harvest import JournalReader
from tmapi_async.journal import schema

DAMAGE = {
    "a page of no visit": "UPDATE page SET visit = 99",
    "parameters that are no JSON": "UPDATE listing SET params = char(0)",
    "parameters that are no numbers": """UPDATE listing SET params = '[["cat_id", "="]]'""",
    "a body that is a text": "UPDATE page SET body = 'x'",
    "a time that is a text": "UPDATE page SET fetched_at = 'x'",
    "a time after the year 9999": "UPDATE page SET fetched_at = 1 << 60",
    "a page number of no integer type": "UPDATE page SET number = 1 << 40",
    "a count that is a fraction": "UPDATE page SET items = 1.5",
    "a body that reads as base64": "UPDATE page SET body = 'dGVzdA=='",
    "a state that no version knows": "UPDATE visit SET state = 'x'",
    "a listing without figures": "UPDATE visit SET items = NULL",
    "an endpoint that is no UTF-8": "UPDATE listing SET endpoint = CAST(x'C328' AS TEXT)",
}


def read_all(reader: JournalReader) -> None:
    """Read the listings and the pages of a journal."""
    for rows in (reader.listings(), reader.pages()):
        for _ in rows:
            pass


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
def test_damaged_values_are_an_error_of_the_journal(path, statement, monkeypatch):
    """The error names the file and says what to do; no IndexError or UnicodeDecodeError comes."""
    # As in a journal that is too large for opening to read all of it.
    monkeypatch.setattr(schema, "content_problems", lambda *_: [])
    journals.of_rows(path, journals.row(1))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)
    with pytest.raises(JournalError, match="damaged"), JournalReader(path) as reader:
        read_all(reader)


def test_the_wrong_argument_of_a_caller_is_no_damage(path):
    """A mistake in a program must not send its author to a backup."""
    journals.of_rows(path, journals.row(1))
    with JournalReader(path) as reader:
        wrong: dict[str, int] = {"runn": 1}
        with pytest.raises(TypeError):
            reader.pages(**wrong).__next__()  # type: ignore[arg-type]
