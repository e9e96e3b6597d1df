"""Several endpoints in one export: a sheet or a table for each, named after what it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import psycopg
import pytest

from tests.support.endpoint_journals import write_endpoints
from tests.support.making import sample
from tmapi_async.errors import ExportError, ExportRefusedError
from tmapi_async.export import Selection, export_journal
from tmapi_async.export.excel import sheet_writer

LISTED = "category/items"
EVERY = {
    "category-v1": "items",
    "item-detail": "item_detail",
    "item-ratings": "item_ratings",
    "item-skus": "item_skus",
    "item-attributes": "item_attributes",
    "item-pictures": "item_pictures",
}
"""Endpoint -> table."""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with a listing, a detail and ratings."""
    pages = {
        LISTED: [sample("doc-category-items-v1")],
        "item_detail": [sample("doc-item-detail")],
        "item/rating": [sample("doc-item-rating")],
    }
    return write_endpoints(tmp_path / "a.journal", pages)


def expected_rows(journal: Path) -> dict[str, int]:
    """Return endpoint -> number of rows of an export of that endpoint alone."""
    target = journal.with_name("one.jsonl")
    return {
        name: export_journal(journal, [str(target)], Selection(endpoint=name)).rows
        for name in EVERY
    }


def in_workbook(path: Path) -> dict[str, list[Any]]:
    """Return sheet -> product IDs."""
    sheets = {}
    for sheet in openpyxl.load_workbook(path):
        head, *rows = sheet.iter_rows(values_only=True)
        sheets[sheet.title] = [row[head.index("item_id")] for row in rows]
    return sheets


def in_sqlite(path: Path) -> dict[str, list[Any]]:
    """Return table -> product IDs."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM pragma_table_list()")]
        return {
            name: [row[0] for row in database.execute(f"SELECT item_id FROM {name}")]  # noqa: S608
            for name in names
            if not name.startswith("sqlite_")
        }


def in_duckdb(path: Path) -> dict[str, list[Any]]:
    """Return table -> product IDs."""
    with duckdb.connect(str(path), read_only=True) as database:
        names = [name for (name,) in database.execute("SHOW TABLES").fetchall()]
        return {
            name: [row[0] for row in database.execute(f"SELECT item_id FROM {name}").fetchall()]  # noqa: S608
            for name in names
        }


READERS: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
    "all.xlsx": in_workbook,
    "all.sqlite": in_sqlite,
    "all.duckdb": in_duckdb,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("times", [1, 2])
def test_every_endpoint_has_a_sheet_or_a_table(journal: Path, name: str, times: int) -> None:
    """With `all` a file has each endpoint of the journal and the elements of its details."""
    target = journal.with_name(name)
    for _ in range(times):
        summary = export_journal(journal, [str(target)], endpoints=["all"])
    rows = expected_rows(journal)
    names = {one: one if name.endswith("xlsx") else EVERY[one] for one in EVERY}
    contents = READERS[name](target)
    assert {names[one]: count for one, count in rows.items()} == {
        table: len(ids) for table, ids in contents.items()
    }
    assert summary.endpoints == list(EVERY)
    assert (summary.endpoint, summary.rows) == (LISTED, sum(rows.values()))
    (result,) = summary.destinations
    assert (result.rows, result.tables) == (
        summary.rows,
        {names[one]: count for one, count in rows.items()},
    )
    assert len(set(contents[names["item-skus"]])) == 1


def test_a_database_server_has_a_table_for_each(journal: Path, postgres: str) -> None:
    """Each endpoint is a table of Postgres, merged by its own key."""
    for _ in range(2):
        summary = export_journal(journal, [postgres], endpoints=["all"])
    rows = expected_rows(journal)
    with psycopg.connect(postgres) as connection:
        for endpoint, table in EVERY.items():
            query = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
            (stored,) = connection.execute(query).fetchone() or (0,)  # type: ignore[call-overload]
            assert stored == rows[endpoint], table
    assert sum(result.unchanged or 0 for result in summary.destinations) == sum(rows.values())


def test_endpoints_are_named_one_by_one(journal: Path) -> None:
    """Only the named endpoints are written, in the order of the documentation."""
    target = journal.with_name("two.xlsx")
    export_journal(journal, [str(target)], endpoints=["item-skus", "category-v1", "item-skus"])
    assert list(in_workbook(target)) == ["category-v1", "item-skus"]


def test_rows_past_the_end_of_a_sheet_are_in_a_second_file(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table goes on in the next workbook, which has the sheets that need it."""
    monkeypatch.setattr(sheet_writer, "MOST_ROWS", 4)
    target = journal.with_name("a.xlsx")
    summary = export_journal(journal, [str(target)], endpoints=["all"])
    first, second = in_workbook(target), in_workbook(journal.with_name("a.2.xlsx"))
    assert all(len(ids) <= 3 for ids in (*first.values(), *second.values()))
    assert "item-skus" in second
    assert "category-v1" not in second
    assert summary.destinations[0].more_files[0] == str(journal.with_name("a.2.xlsx"))


def test_several_listings_have_tables_of_their_own(tmp_path: Path) -> None:
    """Products of two endpoints have other columns, so that neither is simply called items."""
    pages = {
        LISTED: [sample("doc-category-items-v1")],
        "search/items": [sample("doc-search-items")],
    }
    target = tmp_path / "a.sqlite"
    export_journal(write_endpoints(tmp_path / "a.journal", pages), [str(target)], endpoints=["all"])
    assert set(in_sqlite(target)) == {"items_category_v1", "items_search"}


@pytest.mark.parametrize("name", ["one.sqlite", "one.duckdb"])
def test_a_table_is_named_after_what_it_holds(journal: Path, name: str) -> None:
    """Variants are in `item_skus`; those of an earlier version stay in `items`."""
    target, skus = str(journal.with_name(name)), Selection(endpoint="item-skus")
    read = in_sqlite if name.endswith("sqlite") else in_duckdb
    export_journal(journal, [target], skus)
    assert set(read(Path(target))) == {"item_skus"}
    Path(target).unlink()
    export_journal(journal, [target], skus, table="items")
    summary = export_journal(journal, [target], skus)
    assert {table: len(ids) for table, ids in read(Path(target)).items()} == {"items": summary.rows}
    if name.endswith("sqlite"):
        export_journal(journal, [target], Selection(endpoint="item-pictures"))
        assert set(read(Path(target))) == {"items", "item_pictures"}


def test_earlier_tables_of_a_server_keep_their_name(journal: Path, postgres: str) -> None:
    """The same holds in Postgres."""
    skus = Selection(endpoint="item-skus")
    export_journal(journal, [postgres], skus, table="items")
    (result,) = export_journal(journal, [postgres], skus).destinations
    assert (result.inserted, result.to.endswith("table items")) == (0, True)
    (result,) = export_journal(journal, [postgres], Selection(endpoint="item-detail")).destinations
    assert (result.inserted, result.to.endswith("table item_detail")) == (1, True)


@pytest.mark.parametrize(
    ("to", "options", "reason"),
    [
        (["a.parquet"], {}, "holds one table"),
        (["-"], {}, "standard output holds one table"),
        (["a.xlsx", "a.csv"], {}, "holds one table"),
        (["a.sqlite"], {"table": "x"}, "--table names one table"),
        (["a.sqlite"], {"history": True}, "--history is of one endpoint"),
        (["a.xlsx"], {"selection": Selection(endpoint="item-skus")}, "cannot be combined"),
        (["a.xlsx"], {"selection": Selection(unique=True)}, "name the endpoints in place of all"),
    ],
)
def test_what_cannot_hold_several_is_refused_before_anything_is_read(
    tmp_path: Path, to: list[str], options: dict[str, Any], reason: str
) -> None:
    """The message names the destination and the way out; nothing is written."""
    targets = [name if name == "-" else str(tmp_path / name) for name in to]
    with pytest.raises(ExportRefusedError, match=reason):
        export_journal(tmp_path / "missing.journal", targets, endpoints=["all"], **options)
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_that_the_journal_lacks_is_refused(tmp_path: Path) -> None:
    """A named endpoint without a listing is no empty sheet."""
    pages = {LISTED: [sample("doc-category-items-v1")]}
    journal = write_endpoints(tmp_path / "a.journal", pages)
    target = tmp_path / "a.xlsx"
    with pytest.raises(ExportRefusedError, match="no listing of item_detail"):
        export_journal(journal, [str(target)], endpoints=["category-v1", "item-skus"])
    with pytest.raises(ExportRefusedError, match="item-skuz"):
        export_journal(journal, [str(target)], endpoints=["item-skuz", "all"])
    assert not target.exists()


def test_a_later_table_that_fails_leaves_every_table_as_it_was(journal: Path) -> None:
    """All tables of a file are changed together or not at all."""
    target = journal.with_name("a.sqlite")
    export_journal(journal, [str(target)], Selection(endpoint="category-v1"))
    with closing(sqlite3.connect(target)) as database:
        database.execute("DELETE FROM items")
        database.execute("CREATE TABLE item_skus (item_id TEXT)")
        database.commit()
    with pytest.raises(ExportError, match="item_skus does not fit"):
        export_journal(journal, [str(target)], endpoints=["all"])
    assert in_sqlite(target) == {"items": [], "item_skus": []}
