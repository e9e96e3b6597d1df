"""Every form of the rows agrees to the cent and to the last character, read by other programs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.journals import of_rows, row
from tmapi_async.export import export_journal
from tmapi_async.harvest import JournalReader

NAMES = ["item_id", "title", "price_info_sale_price", "sales_count"]
COLUMNS = ", ".join(NAMES)


def from_sqlite(path: Path) -> list[Any]:
    """Read a SQLite database."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT {COLUMNS} FROM items").fetchall()  # noqa: S608 - our own names


def from_duckdb(path: Path) -> list[Any]:
    """Read a DuckDB database."""
    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(f"SELECT {COLUMNS} FROM items").fetchall()  # noqa: S608 - our own names


def from_excel(path: Path) -> list[Any]:
    """Read the sheet of a workbook."""
    head, *lines = openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)
    places = [head.index(name) for name in NAMES]
    return [[line[place] for place in places] for line in lines]


def from_pandas(frame: pd.DataFrame) -> list[Any]:
    """Return the rows of a frame of pandas."""
    return frame[NAMES].to_numpy(dtype=object).tolist()


READERS: dict[str, Callable[[Path], Any]] = {
    ".jsonl": lambda path: [
        [line[name] for name in NAMES] for line in map(json.loads, path.read_bytes().splitlines())
    ],
    ".parquet": lambda path: pl.read_parquet(path, columns=NAMES).rows(),
    ".parquet by pandas": lambda path: from_pandas(pd.read_parquet(path, dtype_backend="pyarrow")),
    ".parquet by duckdb": lambda path: duckdb.sql(f"SELECT {COLUMNS} FROM '{path}'").fetchall(),  # noqa: S608 - our own names
    ".csv": lambda path: pl.read_csv(path, infer_schema=False, columns=NAMES).rows(),
    ".csv by pandas": lambda path: from_pandas(pd.read_csv(path, dtype=str)),
    ".duckdb": from_duckdb,
    ".sqlite": from_sqlite,
    ".xlsx": from_excel,
}


def plain(lines: Any) -> list[Any]:
    """Return rows that compare equal if they say the same, whatever the types of the reader."""
    return sorted(
        (
            int(item_id),
            None if pd.isna(title) else str(title),
            None if pd.isna(price) else Decimal(str(price)),
            None if pd.isna(sold) else int(sold),
        )
        for item_id, title, price, sold in lines
    )


# A character before each title: spreadsheets would take some titles for formulas.
TITLES = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=30).map("款{}".format)
PRICES = st.decimals(0, 10**9, places=2) | st.decimals(0, 10**6, places=4)
ITEMS = st.lists(
    st.tuples(TITLES, st.none() | PRICES, st.none() | st.integers(0, 10**12)),
    min_size=1,
    max_size=20,
)


@pytest.mark.slow
@settings(max_examples=4)
@given(items=ITEMS)
def test_every_form_says_the_same(tmp_path_factory: Any, items: list[Any]) -> None:
    """Files, databases and frames of one journal agree, read by the usual program for each."""
    folder = tmp_path_factory.mktemp("forms")
    sent = [
        row(
            number,
            title=title,
            price_info={"sale_price": "" if price is None else f"{price:f}"},
            sales_count=sold,
        )
        for number, (title, price, sold) in enumerate(items, 1)
    ]
    journal = of_rows(folder / "a.journal", *sent)
    files = {name: folder / f"items{name.split()[0]}" for name in READERS}
    export_journal(journal, sorted({str(path) for path in files.values()}))
    expected = plain((number, *item) for number, item in enumerate(items, 1))
    with JournalReader(journal) as reader:
        assert plain(reader.to_polars().select(NAMES).rows()) == expected
        assert plain(from_pandas(reader.to_pandas())) == expected
        assert plain(from_pandas(reader.to_pandas(decimals="arrow"))) == expected
    for name, read in READERS.items():
        assert plain(read(files[name])) == expected, name
