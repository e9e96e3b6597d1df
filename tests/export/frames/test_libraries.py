"""Data frames hold what rows hold, to the last digit and character."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import dumped, row, sample_page, success
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export.frames.libraries import pandas_frame, polars_frame
from tmapi_async.export.frames.page_batches import PageBatches

AMOUNT = st.decimals(min_value=0, max_value=10**15, places=2) | st.decimals(0, 10**6, places=4)
COUNT = st.integers(0, 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["连衣裙 2026新款", "𠮷野家", "“引号”,\t逗号\r\n", "=1+1"]
)
SENT = st.fixed_dictionaries(
    {"title": st.none() | TEXT, "price": AMOUNT.map("{:f}".format) | st.just("")},
    optional={"sales_count": COUNT | st.none() | st.just("100000+"), "new": TEXT},
)


def table_of(rows: list[dict[str, Any]]) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Return rows that were sent as a table, and as dicts."""
    sent = success([dumped(row(number, **fields)) for number, fields in enumerate(rows)])
    page = sample_page(CATEGORY_ITEMS, sent)
    batches = PageBatches(CATEGORY_ITEMS)
    batches.add(page)
    return pa.Table.from_batches([batches.take()]), page.to_rows(mode="python")


@given(st.lists(SENT, max_size=5))
def test_every_library_reads_the_same_values(rows: list[dict[str, Any]]) -> None:
    """Arrow, polars, pandas and DuckDB agree with the rows, null for null."""
    table, expected = table_of(rows)
    names = ["item_id", "title", "price", "price_info_sale_price", "sales_count", "price_text"]
    wanted = [tuple(line[name] for name in names) for line in expected]
    part = table.select(names)
    frames = [
        polars_frame(part).rows(),
        part.to_pylist(),
        pandas_rows(pandas_frame(part, "object")),
        pandas_rows(pandas_frame(part, "arrow")),
        duckdb.from_arrow(part).fetchall(),
    ]
    for frame in frames:
        values = [tuple(line.values()) if isinstance(line, dict) else line for line in frame]
        assert values == wanted


def pandas_rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the rows of a frame, with None for each missing value."""
    return [
        tuple(None if pd.isna(value) else value for value in line)
        for line in frame.itertuples(index=False, name=None)
    ]


def test_files_are_read_back_by_each_library(tmp_path: Path) -> None:
    """The frame of a walk, and the Parquet file of an export read by a library, are equal."""
    table, _ = table_of([{"title": "连衣裙", "price": "0.10"}, {"title": "𠮷", "price": ""}])
    path = tmp_path / "items.parquet"
    pq.write_table(table, path)
    assert polars_frame(table).equals(pl.read_parquet(path))
    pd.testing.assert_frame_equal(
        pandas_frame(table, "arrow"), pd.read_parquet(path, dtype_backend="pyarrow")
    )


def test_pandas_calculates_with_exact_numbers() -> None:
    """Decimals that are objects can be added, multiplied by counts and compared, exactly."""
    table, _ = table_of([{"price": "0.10", "sales_count": 3}, {"price": "", "sales_count": None}])
    frame = pandas_frame(table, "object")
    assert frame["price"].sum() == Decimal("0.10")
    assert list((frame["price"] * 3).dropna()) == [Decimal("0.30")]
    assert list((frame["price"] * frame["sales_count"]).dropna()) == [Decimal("0.30")]
    assert list(frame["price"] > Decimal("0.05")) == [True, False]
    assert str(frame["sales_count"].dtype) == "int64[pyarrow]"


def test_polars_calculates_with_exact_numbers() -> None:
    """Columns of polars are decimals, and stay exact when added and multiplied."""
    frame = polars_frame(table_of([{"price": "0.10"}, {"price": "0.20"}])[0])
    assert frame.schema["price"] == pl.Decimal(20, 4)
    assert frame["price"].sum() == Decimal("0.30")
    assert (frame["price"] * 3).to_list() == [Decimal("0.30"), Decimal("0.60")]


@pytest.mark.parametrize("decimals", ["object", "arrow"])
def test_a_table_without_rows_has_its_columns(decimals: Any) -> None:
    """Frames without rows have the types of the columns."""
    table, _ = table_of([])
    assert list(pandas_frame(table, decimals).columns) == table.column_names
    assert polars_frame(table).columns == table.column_names
