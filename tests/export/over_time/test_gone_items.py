"""Rows of tables are marked when their item is gone, and only when that is proven."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import psycopg
import pytest
from psycopg import sql

from tests.support.journals import body, row, write
from tmapi_async.errors import ExportRefusedError
from tmapi_async.export import Selection, export_journal


class Postgres:
    """A table of a Postgres database."""

    def __init__(self, url):
        self.url = url

    def export(self, path, selection=None, **options):
        """Export a journal into the table; return the result."""
        return export_journal(path, [self.url], selection, **options).destinations[0]

    def query(self, statement):
        """Return the rows of a query."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchall()


class DuckDB:
    """A table of a DuckDB file."""

    def __init__(self, path):
        self.path = path

    def export(self, path, selection=None, **options):
        """Export a journal into the file; return the result."""
        return export_journal(path, [str(self.path)], selection, **options).destinations[0]

    def query(self, statement):
        """Return the rows of a query."""
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(statement).fetchall()


class Sqlite(DuckDB):
    """A table of a SQLite file."""

    def query(self, statement):
        """Return the rows of a query."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture(params=["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def table(request, tmp_path):
    """Return a table of each kind of database."""
    if request.param == "postgres":
        return Postgres(request.getfixturevalue("postgres"))
    if request.param == "sqlite":
        return Sqlite(tmp_path / "items.sqlite")
    return DuckDB(tmp_path / "items.duckdb")


@pytest.fixture
def journal(tmp_path):
    """Return the path of a journal that does not exist yet."""
    return tmp_path / "j.tmapi"


VISITED = 1_767_605_400.0


def visit(path, listings, day, **options):
    """Record a run: category -> its items. Runs are a day apart."""
    bodies = {cat_id: [body([row(item) for item in items])] for cat_id, items in listings.items()}
    began = VISITED + 86_400 * day
    write(path, bodies, refresh=day > 0, fetched_at=began, ended_at=began + 60, **options)


def gone(table):
    """Return the items of the table that are marked, and those that are not."""
    rows = table.query("SELECT item_id, gone_at IS NOT NULL FROM items ORDER BY item_id")
    return [item for item, marked in rows if marked], [item for item, marked in rows if not marked]


def test_an_item_that_the_newest_visit_lacks_is_marked(table, journal):
    """The mark is the time when the visit ended, and stays as it is in later exports."""
    visit(journal, {7: [1, 2, 3], 8: [9]}, 0)
    assert table.export(journal).gone == 0
    visit(journal, {7: [1, 3]}, 1)
    assert table.export(journal).gone == 1
    assert gone(table) == ([2], [1, 3, 9])
    (marked,) = table.query("SELECT gone_at FROM items WHERE item_id = 2")
    visit(journal, {7: [1]}, 2)
    assert table.export(journal).gone == 1
    assert gone(table) == ([2, 3], [1, 9])
    assert table.query("SELECT gone_at FROM items WHERE item_id = 2") == [marked]
    assert table.export(journal).gone == 0
    assert gone(table) == ([2, 3], [1, 9])


def test_the_mark_is_removed_when_the_item_comes_back(table, journal):
    """An item that the listing shows again is not gone any more."""
    visit(journal, {7: [1, 2]}, 0)
    table.export(journal)
    visit(journal, {7: [1]}, 1)
    table.export(journal)
    assert gone(table) == ([2], [1])
    visit(journal, {7: [1, 2]}, 2)
    table.export(journal)
    assert gone(table) == ([], [1, 2])


@pytest.mark.parametrize("state", ["capped", "shifted", "failed", "open"])
def test_a_visit_that_was_not_walked_to_the_end_marks_nothing(table, journal, state):
    """Rows that a cut, shifted or failed visit lacks may still be there."""
    visit(journal, {7: [1, 2]}, 0)
    table.export(journal)
    visit(journal, {7: [1]}, 1, state=state)
    table.export(journal)
    assert gone(table)[0] == []


def test_a_visit_with_rejects_marks_nothing(table, journal):
    """A row that could not be decoded may be any item."""
    visit(journal, {7: [1, 2]}, 0)
    table.export(journal)
    visit(journal, {7: [1, {}]}, 1)
    table.export(journal)
    assert gone(table)[0] == []


def test_only_the_listings_of_the_export_are_marked(table, journal):
    """The same item of another listing stays, and so do listings that were not visited again."""
    visit(journal, {7: [1, 2], 8: [2]}, 0)
    table.export(journal)
    visit(journal, {7: [1]}, 1)
    table.export(journal)
    rows = table.query("SELECT cat_id, item_id, gone_at IS NULL FROM items ORDER BY 1, 2")
    assert rows == [(7, 1, True), (7, 2, False), (8, 2, True)]


@pytest.mark.parametrize(
    "selection",
    [Selection(run=1), Selection(unique=True), Selection(run=2, cats=frozenset({8}))],
)
def test_an_export_of_other_rows_marks_nothing(table, journal, selection):
    """An older run, unique rows or other categories do not show what the newest visit shows."""
    visit(journal, {7: [1, 2], 8: [2, 9]}, 0)
    table.export(journal)
    visit(journal, {7: [1], 8: [9, 2]}, 1)
    table.export(journal, selection)
    assert gone(table)[0] == []


def test_an_export_of_all_runs_marks_by_the_newest_visit(table, journal):
    """Rows of older runs keep their items in the table, and do not hide that they are gone."""
    visit(journal, {7: [1, 2]}, 0)
    table.export(journal)
    visit(journal, {7: [1]}, 1)
    table.export(journal, Selection(run=0))
    marked = table.query("SELECT DISTINCT item_id FROM items WHERE gone_at IS NOT NULL")
    assert marked == [(2,)]


@pytest.mark.slow
def test_a_table_of_an_earlier_version_gets_the_column(postgres, journal):
    """A Postgres table without the column is extended; a column of another type is refused."""
    table = Postgres(postgres)
    visit(journal, {7: [1, 2]}, 0)
    table.export(journal)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("ALTER TABLE items DROP COLUMN gone_at")
    visit(journal, {7: [1]}, 1)
    assert table.export(journal).gone == 1
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER TABLE items ALTER COLUMN gone_at TYPE date"))
    with pytest.raises(ExportRefusedError, match="the column gone_at must be timestamp"):
        table.export(journal)


def test_a_file_of_other_columns_is_replaced(tmp_path, journal):
    """Nothing is taken over from a DuckDB file whose table has other columns."""
    table = DuckDB(tmp_path / "items.duckdb")
    with duckdb.connect(str(table.path)) as connection:
        connection.execute("CREATE TABLE items (listing TEXT, item_id BIGINT)")
        connection.execute("INSERT INTO items VALUES ('category/items?cat_id=7', 5)")
    visit(journal, {7: [1]}, 0)
    table.export(journal)
    assert gone(table) == ([], [1])
