"""SQLite databases of items: keys, indexes, exact numbers, and one transaction for an export."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlite_utils

from tests.export.test_files import failing, names
from tests.support.journals import body, of_catalogue, of_rows, row, write
from tmapi_async.export import Export, ExportError, ExportRefusedError, Selection, export_journal
from tmapi_async.export.changes.change_files import ChangeRows, ChangeTable
from tmapi_async.export.changes.diff import CHANGE
from tmapi_async.export.destinations import parse_destination
from tmapi_async.export.sqlite import sqlite_connection
from tmapi_async.export.sqlite.sqlite_items import SqliteItems


def query(path: Path, statement: str) -> list[Any]:
    """Return the rows of a query."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(statement).fetchall()


def test_tables_have_keys_and_indexes(tmp_path: Path) -> None:
    """Datasette's own library finds the key, the indexes and the types; its rows are ours."""
    journal, catalogue = of_catalogue(tmp_path / "a.journal", {7: 45})
    target = tmp_path / "a.sqlite"
    summary = export_journal(journal, [str(target)], history=True)
    database = sqlite_utils.Database(str(target))
    assert database.table_names() == ["items", "items_history"]
    items = database["items"]
    assert items.pks == ["listing", "item_id"]
    indexed = {index.columns[0] for index in items.indexes}
    assert {"item_id", "cat_id", "fetched_at", "price_info_sale_price"} <= indexed
    types = items.columns_dict
    assert (types["item_id"], types["price_info_sale_price"], types["title"]) == (int, float, str)
    assert items.count == 45
    first = catalogue.item(7, 0)
    stored = items.get(("category/items?cat_id=7", first["item_id"]))
    assert Decimal(str(stored["price_info_sale_price"])) == Decimal(
        first["price_info"]["sale_price"]
    )
    assert stored["fetched_at"].endswith("Z")
    assert (summary.destinations[0].inserted, summary.destinations[0].history) == (45, 45)
    database.close()


def test_an_amount_that_no_real_can_hold_is_exact_text(tmp_path: Path) -> None:
    """A number of more than 15 digits has its text beside it; flags are 0 and 1."""
    rows = (
        row(1, price_info={"sale_price": "1234567890123.4567"}, new={"a": ["连"]}),
        row(2, price_info={"sale_price": "0.10"}, shop_info={"is_super_factory": False}),
    )
    export_journal(of_rows(tmp_path / "a.journal", *rows), [str(tmp_path / "a.db")])
    columns = "price_info_sale_price, price_info_sale_price_text, shop_info_is_super_factory, extra"
    assert query(tmp_path / "a.db", f"SELECT {columns} FROM items ORDER BY item_id") == [  # noqa: S608 - our own
        (1234567890123.4567, "1234567890123.4567", None, '{"new":{"a":["连"]}}'),
        (0.1, None, 0, None),
    ]


def test_an_export_merges_and_leaves_other_tables_alone(tmp_path: Path) -> None:
    """New, changed and unchanged rows are counted; older rows do not replace newer ones."""
    journal, target = tmp_path / "a.journal", tmp_path / "a.sqlite"
    write(journal, {7: [body([row(1, title="a"), row(2), row(3)])]}, fetched_at=1_767_605_400.0)
    export_journal(journal, [str(target)])
    with closing(sqlite3.connect(target)) as database:
        database.execute("CREATE TABLE notes (text)")
        database.execute("CREATE VIEW titles AS SELECT title FROM items")
    rows = [row(1, title="b"), row(2), row(4)]
    write(journal, {7: [body(rows)]}, refresh=True, fetched_at=1_767_700_000.0)
    result = export_journal(journal, [str(target)]).destinations[0]
    assert (result.inserted, result.updated, result.unchanged, result.gone) == (1, 2, 0, 1)
    result = export_journal(journal, [str(target)]).destinations[0]
    assert (result.inserted, result.updated, result.unchanged, result.gone) == (0, 0, 3, 0)
    result = export_journal(journal, [str(target)], Selection(run=1)).destinations[0]
    assert (result.inserted, result.updated, result.unchanged, result.gone) == (0, 0, 3, 0)
    assert query(target, "SELECT title FROM titles WHERE title IS NOT NULL") == [("b",)]
    assert query(target, "SELECT count(*) FROM notes") == [(0,)]


def test_an_export_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk rolls everything back; of a new file nothing is left."""
    journal = of_rows(tmp_path / "a.journal", row(1), row(2))
    folder = tmp_path / "out"
    folder.mkdir()
    export_journal(of_rows(tmp_path / "b.journal", row(1)), [str(folder / "a.sqlite")])
    before = query(folder / "a.sqlite", "SELECT * FROM items")
    monkeypatch.setattr(SqliteItems, "mark_gone", failing(0))
    for name in ("a.sqlite", "new.sqlite"):
        with pytest.raises(ExportError, match="No space left on device"):
            export_journal(journal, [str(folder / name)])
    assert query(folder / "a.sqlite", "SELECT * FROM items") == before
    assert names(folder) == ["a.sqlite"]


def test_a_new_file_does_not_replace_one_that_was_made_meanwhile(tmp_path: Path) -> None:
    """Of two exports that begin one file, the later one fails and drops no row of the other."""
    mine, other = (of_rows(tmp_path / name, row(number)) for name, number in (("a", 1), ("b", 2)))
    target = tmp_path / "items.sqlite"
    late = Export(mine, [str(target)])
    with pytest.raises(ExportError, match="made this file meanwhile"):
        late.run(lambda _: target.exists() or export_journal(other, [str(target)]))
    assert query(target, "SELECT item_id FROM items") == [(2,)]
    export_journal(mine, [str(target)])
    assert query(target, "SELECT item_id FROM items ORDER BY 1") == [(1,), (2,)]


def test_databases_that_cannot_take_the_rows_are_refused_by_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is paid: no database, a journal, a locked one, other columns."""
    monkeypatch.setattr(sqlite_connection, "WAIT_SECONDS", 0.0)
    journal = of_rows(tmp_path / "a.journal", row(1))
    (tmp_path / "text.db").write_text("not a database, but long enough to look like one" * 30)
    other = tmp_path / "other.db"
    other.write_bytes(of_rows(tmp_path / "b.journal", row(1)).read_bytes())
    export_journal(journal, [str(tmp_path / "used.db")])
    with closing(sqlite3.connect(tmp_path / "small.db")) as database:
        database.execute("CREATE TABLE items (listing TEXT)")
    with closing(sqlite3.connect(tmp_path / "used.db", isolation_level=None)) as user:
        user.execute("BEGIN IMMEDIATE")
        for name, message in (
            ("text.db", "is not a SQLite database: name another file"),
            ("other.db", "is a journal: name another file"),
            ("used.db", "another program is changing the database"),
            ("small.db", "does not fit: the column cat_id must be INTEGER"),
        ):
            with pytest.raises(ExportError, match=message):
                Export(journal, [str(tmp_path / name)]).check_destinations("category/items")
    Export(journal, [str(tmp_path / "new.db")]).check_destinations("category/items")
    assert not (tmp_path / "new.db").exists()


def test_changes_replace_their_table_beside_the_items(tmp_path: Path) -> None:
    """A comparison is written anew; the table of items in the same file stays."""
    target = tmp_path / "a.sqlite"
    export_journal(of_rows(tmp_path / "a.journal", row(1)), [str(target)])
    entry = {"change": "new", "listing": "a", "item_id": 1, "price_after": Decimal("4.5900")}
    batch = [entry, entry | {"item_id": 2}]
    for size in (2, 1):
        sink = parse_destination(str(target)).open_table(ChangeTable())
        sink.write(ChangeRows(pa.RecordBatch.from_pylist(batch[:size], CHANGE)))
        assert sink.commit().rows == size
    assert query(target, "SELECT item_id, price_after FROM changes") == [(1, 4.59)]
    assert query(target, "SELECT count(*) FROM items") == [(1,)]
    with pytest.raises(ExportRefusedError, match="is a journal"):
        parse_destination(str(of_rows(tmp_path / "b.db", row(1)))).open_table(ChangeTable())
