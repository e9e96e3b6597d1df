"""The same rows in every format: to the cent and to the last character, read by other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pytest
import sqlite_utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.journals import of_rows, row
from tmapi_async.export import export_journal

Row: TypeAlias = tuple[int, str | None, Decimal | None]

NAMES = ("item_id", "title", "price_info_sale_price")
FORMATS = ("a.parquet", "a.csv", "a.xlsx", "a.sqlite", "a.duckdb")

# Without the beginnings of formulas, which get a mark in CSV, and without controls.
TITLES = st.text(
    st.one_of(
        st.characters(categories=("L", "N", "So")),
        st.sampled_from("连衣裙夏季新款 𠮷🧵\"',;\n|<>&￥"),
    ),
    min_size=1,
    max_size=20,
).map(lambda text: f"款{text}件")
PRICES = st.decimals(0, 99_999_999, allow_nan=False, places=4)
ROWS = st.lists(st.tuples(TITLES, st.none() | PRICES), min_size=1, max_size=8)


def rows_of(records: Iterable[Any]) -> list[Row]:
    """Return rows as Python's own types; a float is the number that its shortest text shows."""
    return [
        (
            int(number),
            None if pd.isna(title) else title,
            None if pd.isna(price) else Decimal(str(price)).quantize(Decimal("0.0001")),
        )
        for number, title, price in records
    ]


def by_pandas_parquet(path: Path) -> list[Row]:
    """Read Parquet by pandas, with exact prices."""
    frame = pd.read_parquet(path, columns=list(NAMES), dtype_backend="pyarrow")
    return rows_of(frame.itertuples(index=False))


def by_polars_csv(path: Path) -> list[Row]:
    """Read CSV by polars, prices as text."""
    types = {"price_info_sale_price": pl.String, "title": pl.String}
    return rows_of(pl.read_csv(path, columns=list(NAMES), schema_overrides=types).rows())


def by_openpyxl(path: Path) -> list[Row]:
    """Read a workbook by openpyxl."""
    head, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return rows_of([row[head.index(name)] for name in NAMES] for row in rows)


def by_sqlite_utils(path: Path) -> list[Row]:
    """Read a SQLite database by the library of Datasette."""
    database = sqlite_utils.Database(str(path))
    rows = rows_of([row[name] for name in NAMES] for row in database["items"].rows)
    database.close()
    return rows


def by_duckdb(path: Path) -> list[Row]:
    """Read a DuckDB database."""
    with duckdb.connect(str(path)) as connection:
        return rows_of(connection.execute(f"SELECT {', '.join(NAMES)} FROM items").fetchall())  # noqa: S608 - our own


READERS: tuple[Callable[[Path], list[Row]], ...] = (
    by_pandas_parquet,
    by_polars_csv,
    by_openpyxl,
    by_sqlite_utils,
    by_duckdb,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS)
def test_every_format_read_by_others_has_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, Decimal | None]]
) -> None:
    """Parquet, CSV, Excel, SQLite and DuckDB agree to the cent and to the last character."""
    folder = tmp_path_factory.mktemp("formats")
    expected = [(number, title, price) for number, (title, price) in enumerate(rows, 1)]
    sent = [
        row(number, title=title, price_info={"sale_price": "" if price is None else str(price)})
        for number, title, price in expected
    ]
    journal = of_rows(folder / "a.journal", *sent)
    export_journal(journal, [str(folder / name) for name in FORMATS])
    for read, name in zip(READERS, FORMATS, strict=True):
        assert sorted(read(folder / name)) == expected, name
