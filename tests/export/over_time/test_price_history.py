"""The price history: one row for each change of a price, over all visits."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import msgspec
import psycopg
import pyarrow.parquet as pq
import pytest

from tests.support.journals import body, row, write
from tmapi_async.errors import ExportRefusedError
from tmapi_async.export import Selection, export_journal

VISITED = 1_767_605_400.0
NAME = "category/items?cat_id=7"


def priced(number, price):
    """Return a row with a price."""
    return row(number, price_info={"sale_price": price})


@pytest.fixture
def journal(tmp_path):
    """Return a journal of four visits, in which one price rises and comes back."""
    path = tmp_path / "j.tmapi"
    visits = (
        {1: "4.50", 2: "1"},
        {1: "4.5", 2: "2.00"},
        {1: "4.50", 2: "2"},
        {1: "4.50", 2: "1", 3: ""},
    )
    for day, prices in enumerate(visits):
        rows = [priced(number, price) for number, price in prices.items()]
        write(path, {7: [body(rows)]}, refresh=day > 0, fetched_at=VISITED + 86_400 * day)
    return path


EXPECTED = [
    (1, 0, Decimal("4.5")),
    (2, 0, Decimal(1)),
    (2, 1, Decimal(2)),
    (2, 3, Decimal(1)),
    (3, 3, None),
]


def days(rows):
    """Return item, day and price of rows of a history."""
    return sorted(
        (item, round((seen_at.timestamp() - VISITED) / 86_400), price)
        for item, seen_at, price in rows
    )


QUERY = "SELECT item_id, seen_at, price_info_sale_price FROM items_history"


def test_a_file_beside_the_file_has_each_change(journal, tmp_path):
    """Parquet, CSV and JSON lines get a second file; equal prices are no change."""
    names = ("items.parquet", "items.csv", "items.jsonl", "items.jsonl.zst")
    summary = export_journal(journal, [str(tmp_path / name) for name in names], history=True)
    assert [result.rows for result in summary.destinations] == [3] * 4 + [5] * 4
    table = pq.read_table(tmp_path / "items.history.parquet")
    assert table.column_names[:3] == ["listing", "item_id", "seen_at"]
    rows = table.select(["item_id", "seen_at", "price_info_sale_price"]).to_pylist()
    assert days([tuple(entry.values()) for entry in rows]) == EXPECTED
    assert set(table["listing"].to_pylist()) == {NAME}
    lines = [
        msgspec.json.decode(line)
        for line in (tmp_path / "items.history.jsonl").read_bytes().splitlines()
    ]
    assert [line["price_info_sale_price"] for line in lines] == ["4.50", "1", "2.00", "1", None]
    text = (tmp_path / "items.history.csv").read_text("utf-8-sig")
    assert len(text.splitlines()) == 6
    assert (tmp_path / "items.history.jsonl.zst").stat().st_size


def test_a_duckdb_file_has_a_second_table(journal, tmp_path):
    """The history is a table beside that of the items, and the same in each export."""
    path = tmp_path / "items.duckdb"
    for _ in range(2):
        (result,) = export_journal(journal, [str(path)], history=True).destinations
        assert (result.rows, result.history) == (3, 5)
    with duckdb.connect(str(path)) as connection:
        assert days(connection.execute(QUERY).fetchall()) == EXPECTED


@pytest.mark.slow
def test_a_postgres_table_gets_what_is_new(journal, postgres):
    """Rows are added once, in the transaction of the items; another table is refused."""
    (result,) = export_journal(journal, [postgres], history=True).destinations
    assert (result.inserted, result.history) == (3, 5)
    write(journal, {7: [body([priced(1, "9")])]}, refresh=True, fetched_at=VISITED + 86_400 * 4)
    (result,) = export_journal(journal, [postgres], history=True).destinations
    assert (result.gone, result.history) == (2, 1)
    with psycopg.connect(postgres, autocommit=True) as connection:
        assert days(connection.execute(QUERY).fetchall()) == sorted(
            [*EXPECTED, (1, 4, Decimal(9))], key=lambda entry: entry[:2]
        )
        connection.execute("ALTER TABLE items_history ALTER COLUMN seen_at TYPE date")
    with pytest.raises(ExportRefusedError, match="items_history does not fit: the column seen_at"):
        export_journal(journal, [postgres], history=True)


def test_only_the_listings_of_the_export_are_in_the_history(journal, tmp_path):
    """Other categories have no rows in the history."""
    write(journal, {8: [body([priced(80, "1")])]}, fetched_at=VISITED)
    target = tmp_path / "items.jsonl"
    export_journal(journal, [str(target)], Selection(cats=frozenset({8})), history=True)
    lines = (tmp_path / "items.history.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["item_id"] for line in lines] == [80]


@pytest.mark.parametrize(
    ("names", "run", "reason"),
    [
        (["-"], None, "needs a file or a database"),
        (["a.csv"], 1, "remove --run and --since"),
        (["a.csv", "a.history.csv"], None, "is the file of a price history"),
    ],
)
def test_a_history_that_is_not_possible_is_refused_before_work(
    journal, tmp_path, names, run, reason
):
    """Standard output, a choice of runs, and a name that is taken are refused."""
    to = [name if name == "-" else str(tmp_path / name) for name in names]
    with pytest.raises(ExportRefusedError, match=reason):
        export_journal(journal, to, Selection(run=run), history=True)
    assert list(tmp_path.glob("*.csv")) == []
