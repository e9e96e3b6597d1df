"""Reading a whole journal: every kind of damage is named, and none raises a raw exception."""

from __future__ import annotations

import contextlib
import random
import sqlite3

import pytest

from tests.support.harvesting import begin, listings, record, reject
from tests.support.stored_journal import copy_stored_journal
from tmapi_async.errors import CorruptJournalError, JournalError, NewerJournalError, NoJournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.maintenance.damage import InterruptedReadError
from tmapi_async.journal.maintenance.verify import MAX_PROBLEMS, Verifier


@pytest.fixture
def journal(path):
    """Return a copy of the stored journal."""
    return copy_stored_journal(path)


def change(path, *statements):
    """Change a journal behind the back of the package, without the rules of SQLite."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_whole_journal_is_fine(journal):
    """Every page, dictionary, category and start is read, and the file is unchanged."""
    before = journal.read_bytes()
    result = Verifier(journal).run()
    assert (result.ok, result.texts) == (True, [])
    assert [check.name for check in result.checks] == [
        "file structure", "tables", "references", "dictionaries", "pages", "category tree",
        "history",
    ]  # fmt: skip
    assert (result.listings, result.pages, result.items, result.rejects) == (19, 39, 647, 4)
    assert journal.read_bytes() == before
    assert [file.name for file in journal.parent.iterdir()] == [journal.name]


DAMAGES = {
    "a lost page": ("DELETE FROM page WHERE seq = 3", "pages", "pages, "),
    "a changed count": (
        "UPDATE page SET items = items - 1 WHERE seq = 3",
        "pages",
        "its reply has",
    ),
    "a changed figure": ("UPDATE visit SET items = 65 WHERE id = 1", "pages", "say 65 items"),
    "a changed number of pages": (
        "UPDATE visit SET pages = 5 WHERE id = 1",
        "pages",
        "say 5 pages",
    ),
    "a lost reject": ("DELETE FROM reject", "pages", "0 rejects are stored, 1 are counted"),
    "a damaged body": ("UPDATE page SET body = zeroblob(99) WHERE seq = 3", "pages", "page "),
    "a body of another kind": ("UPDATE page SET body = 'text' WHERE seq = 3", "pages", "page "),
    "a time that is a text": ("UPDATE page SET fetched_at = 'x' WHERE seq = 3", "pages", "page "),
    "other parameters": (
        "UPDATE listing SET params = replace(params, '\"3\"', '\"4\"') WHERE id = 3",
        "pages",
        "are those of category/items?cat_id=4",
    ),
    "broken parameters": ("UPDATE listing SET params = '[' WHERE id = 3", "pages", "parameters"),
    "a lost dictionary": ("DELETE FROM dictionary WHERE id = 1", "references", "dictionary"),
    "a damaged dictionary": (
        "UPDATE dictionary SET content = x'00' WHERE id = 1",
        "dictionaries",
        "dictionary 1",
    ),
    "a lost visit": ("DELETE FROM visit WHERE id = 1", "references", "missing row of visit"),
    "a damaged category": (
        "UPDATE category SET body = x'00' WHERE cat_id = 0",
        "category tree",
        "category 0",
    ),
    "damaged counts of a start": ("UPDATE tick SET codes = '{'", "history", "of start 1"),
    "a trigger": (
        "CREATE TRIGGER t BEFORE INSERT ON page BEGIN SELECT RAISE(IGNORE); END",
        "tables",
        "trigger 't' does not belong",
    ),
    "a lost table": ("DROP TABLE category", "tables", "table category is missing"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_each_kind_of_damage_is_named(journal, case):
    """Damage that SQLite itself takes for good data is a problem of the check that reads it."""
    statement, check, text = DAMAGES[case]
    change(journal, statement)
    result = Verifier(journal).run()
    assert not result.ok
    assert {entry.name: entry.problems for entry in result.checks}[check] > 0
    assert any(problem.startswith(f"{check}: ") and text in problem for problem in result.texts)


def test_texts_are_bounded_and_problems_are_all_counted(journal):
    """A journal with damage everywhere is described by its first problems."""
    change(journal, "UPDATE page SET body = x'00'", "UPDATE visit SET pages = 99")
    result = Verifier(journal).run()
    assert result.problems > len(result.texts) == MAX_PROBLEMS


def test_flipped_bits_are_problems_or_harmless_and_never_raise(journal):
    """With bytes changed anywhere, a verification ends with a result or a journal's own error.

    Bytes of the free space of database pages may change without damage to any row.
    """
    content = journal.read_bytes()
    chance = random.Random(13)  # noqa: S311 - a known order, no secret
    outcomes = {True: 0, False: 0}
    for round_ in range(150):
        damaged = bytearray(content)
        for _ in range(1 + 5 * (round_ % 3)):
            # A quarter of the rounds in the header and the schema.
            place = chance.randrange(4096 if round_ % 4 == 0 else len(content))
            damaged[place] ^= 1 << chance.randrange(8)
        journal.write_bytes(damaged)
        try:
            result = Verifier(journal).run()
        except JournalError:
            outcomes[False] += 1
        else:
            outcomes[result.ok] += 1
    assert min(outcomes.values()) > 10


@pytest.mark.parametrize("size", [100, 4096, 33_000, 300_000])
def test_a_file_that_was_cut_is_damaged(journal, size):
    """A file that ends too early is never fine."""
    journal.write_bytes(journal.read_bytes()[:size])
    with contextlib.suppress(JournalError):
        assert not Verifier(journal).run().ok


def test_a_missing_or_newer_journal_is_refused(journal, tmp_path):
    """What this version cannot judge is refused, and not called damaged."""
    with pytest.raises(NoJournalError):
        Verifier(tmp_path / "none.journal")
    change(journal, "PRAGMA user_version = 99")
    with pytest.raises(NewerJournalError):
        Verifier(journal)


def test_an_interrupted_verification_ends(journal):
    """Another thread can end a verification; one that has ended is left alone."""
    verifier = Verifier(journal)
    verifier.interrupt()
    with pytest.raises(InterruptedReadError):
        verifier.run()
    verifier.interrupt()


async def test_a_journal_is_verified_while_it_is_written(path):
    """Open visits, whose figures are not known yet, and pages in the log are fine."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 5):
        await journal.append(visit, record(number, items=19, rejects=(reject(19),)))
        result = Verifier(path).run()
        # The invented pages say that one of their 20 readable rows is a reject.
        assert (result.ok, result.pages, result.rejects) == (True, number, number), result.texts
    await journal.close()


def test_a_schema_that_is_no_text_is_damage(journal):
    """SQLite quotes a damaged schema in its message, which then is no UTF-8."""
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b"CREATE TABLE visit", b"CREATE T\xbaBLE visit", 1))
    with pytest.raises(CorruptJournalError):
        Verifier(journal)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 starts"), (1, "1 start"), (2000, "2,000 starts")]
)
def test_a_count_agrees_with_its_noun(number, text):
    """The checks name what they read in the singular where it is one."""
    assert quantity(number, "start") == text
