"""CSV that a spreadsheet can open safely."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tests.support.journals import of_rows, row
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export import export_journal
from tmapi_async.export.arrow import item_schema

HARD = [
    'say "hi", ok',
    "two\nlines",
    "a\r\nb",
    "tab\there",
    "",
    " space ",
    "\N{FULLWIDTH COMMA}",
    "it's",
    "12",
]


WIDE = "\N{FULLWIDTH EQUALS SIGN}"


BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", WIDE)


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    '"=1"',
    " =1",
    "'=1",
    f"{WIDE}1",
]


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows as Python's csv reads them."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_csv_reads_back_as_it_was(tmp_path: Path) -> None:
    """Python's csv and DuckDB read the same values, quotes and newlines included."""
    rows = [row(n, title=title) for n, title in enumerate(HARD, 1)]
    path = tmp_path / "a.csv"
    export_journal(of_rows(tmp_path / "a.journal", *rows), [str(path)])
    result = read_csv(path)
    assert list(result[0]) == item_schema(CATEGORY_ITEMS).names
    assert [one["title"] for one in result] == HARD
    assert {one["fetched_at"] for one in result} == {"2026-01-05T09:30:00.250000Z"}
    query = f"SELECT title FROM read_csv('{path}', all_varchar = true)"  # noqa: S608 - our own path
    titles = duckdb.sql(query).fetchall()
    assert [title or "" for (title,) in titles] == HARD


def test_no_cell_of_a_csv_begins_a_formula(tmp_path: Path) -> None:
    """Text that looks like a formula gets a `'` in every CSV column; Parquet stays exact."""
    shop = {"company_name": "=1", "login_id": "-1", "shop_url": "@x"}
    rows = [row(n, title=text, shop_info=shop) for n, text in enumerate([*FORMULAS, *HARD], 1)]
    rows.append(row(99, sales_count="-many", **{"=new": 1}))
    paths = [tmp_path / "a.csv", tmp_path / "a.parquet"]
    export_journal(of_rows(tmp_path / "a.journal", *rows), map(str, paths))
    result = read_csv(paths[0])
    titles = [one["title"] for one in result]
    assert titles == [*(f"'{text}" for text in FORMULAS), *HARD, ""]
    assert not [
        cell
        for one in result
        for cell in one.values()
        if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", WIDE)
    ]
    assert result[0]["shop_info_company_name"] == "'=1"
    exact = pq.read_table(paths[1])["title"].to_pylist()
    assert exact == [*FORMULAS, *HARD, None]
