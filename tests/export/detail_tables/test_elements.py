"""Tables of variants, attributes and pictures: every element of a detail is a row."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest

from tests.support.endpoint_journals import write_endpoints
from tests.support.journals import body, row
from tests.support.making import sample
from tmapi_async.errors import ExportRefusedError, InvalidRequestError
from tmapi_async.export import Selection, compare_runs, export_journal
from tmapi_async.export.detail_tables.elements import DETAIL_TABLES
from tmapi_async.harvest import write_report

DETAIL = json.loads(sample("doc-item-detail"))["data"]


def detail(**fields: Any) -> bytes:
    """Return the reply of a detail with some fields."""
    return json.dumps({"code": 200, "data": DETAIL | fields}, ensure_ascii=False).encode()


def rows_of(path: Path, table: str, *details: bytes) -> list[dict[str, Any]]:
    """Export a table of elements to JSON lines and return the rows."""
    journal = write_endpoints(path / f"{table}.journal", {"item_detail": details or [detail()]})
    export_journal(journal, [str(path / "a.jsonl")], Selection(endpoint=table))
    return [json.loads(line) for line in (path / "a.jsonl").read_bytes().splitlines()]


def test_each_variant_is_a_row_with_its_picture(tmp_path: Path) -> None:
    """Numbers are typed, money is exact, and the picture is that of the variant's colour."""
    rows = rows_of(tmp_path, "item-skus")
    assert [one["skuid"] for one in rows] == [sku["skuid"] for sku in DETAIL["skus"]]
    pictures = {
        f"{prop['pid']}:{value['vid']}": value["imageUrl"]
        for prop in DETAIL["sku_props"]
        for value in prop["values"]
    }
    for one, sku in zip(rows, DETAIL["skus"], strict=True):
        assert one["item_id"] == DETAIL["item_id"]
        assert (one["sale_price"], one["stock"]) == (sku["sale_price"], sku["stock"])
        assert one["package_info_weight"] == str(sku["package_info"]["weight"])
        assert one["img"] == next(
            filter(None, map(pictures.get, sku["props_ids"].split(";"))), None
        )
        assert one["extra"] is None
    assert [one["position"] for one in rows] == list(range(len(rows)))


def test_each_attribute_and_each_picture_is_a_row(tmp_path: Path) -> None:
    """Attributes keep their order and their names; misspelt addresses are mended."""
    rows = rows_of(tmp_path, "item-attributes")
    sent = [pair for entry in DETAIL["product_props"] for pair in entry.items()]
    assert [(one["name"], one["value"]) for one in rows] == sent
    pictures = rows_of(tmp_path, "item-pictures", detail(main_imgs=["https:////a.example/b.jpg"]))
    assert [one["img"] for one in pictures] == ["https://a.example/b.jpg"]
    assert pictures[0]["extra"] == {"img": "https:////a.example/b.jpg"}


@pytest.mark.parametrize(
    ("table", "fields", "extras"),
    [
        ("item-skus", {"skus": [{"skuid": "1", "new": 3}, "x"]}, [{"new": 3}, {"sku": "x"}]),
        ("item-skus", {"skus": [{"skuid": {"a": 1}}]}, [{"skuid": {"a": 1}}]),
        ("item-attributes", {"product_props": [{"a": {"b": 1}}]}, [{"value": {"b": 1}}]),
        ("item-pictures", {"main_imgs": [{"u": 1}]}, [{"img": {"u": 1}}]),
        ("item-skus", {"skus": None}, []),
        ("item-skus", {"skus": "none"}, []),
        ("item-attributes", {"product_props": {}}, []),
    ],
)
def test_drift_loses_nothing(
    tmp_path: Path, table: str, fields: dict[str, Any], extras: list[dict[str, Any]]
) -> None:
    """A field without a column, or a value that does not fit, is in `extra`."""
    assert [one["extra"] for one in rows_of(tmp_path, table, detail(**fields))] == extras


@pytest.mark.parametrize("table", DETAIL_TABLES)
def test_a_table_goes_to_every_destination(tmp_path: Path, postgres: str, table: str) -> None:
    """The forms agree, and a database keeps every element, also when exported again."""
    details = [detail(), detail(item_id=5), detail(item_id=6, skus=[], main_imgs=[])]
    journal = write_endpoints(tmp_path / "a.journal", {"item_detail": details})
    endings = ("jsonl", "csv", "parquet", "duckdb", "sqlite", "xlsx")
    files = [str(tmp_path / f"a.{ending}") for ending in endings]
    for _ in range(2):
        summary = export_journal(journal, [*files, postgres], Selection(endpoint=table), table="t")
    lines = [json.loads(line) for line in Path(files[0]).read_bytes().splitlines()]
    assert summary.rows == len(lines) > 0
    ids = sorted(one["item_id"] for one in lines)
    assert sorted(pq.read_table(files[2])["item_id"].to_pylist()) == ids
    with duckdb.connect(files[3]) as database:
        assert database.sql("SELECT count(*) FROM t").fetchall() == [(len(lines),)]
    with closing(sqlite3.connect(files[4])) as database:
        assert database.execute("SELECT item_id FROM t ORDER BY item_id").fetchall() == [
            (item_id,) for item_id in ids
        ]
    assert openpyxl.load_workbook(files[5], read_only=True).active.max_row == len(lines) + 1
    with psycopg.connect(postgres) as connection:
        served = connection.execute("SELECT item_id, gone_at FROM t ORDER BY item_id").fetchall()
    assert served == [(item_id, None) for item_id in ids]


def test_a_variant_that_is_gone_is_marked(tmp_path: Path, postgres: str) -> None:
    """A table in Postgres keeps a variant that a later detail lacks, with the time in `gone_at`."""
    journal = write_endpoints(tmp_path / "a.journal", {"item_detail": [detail()]})
    selection = Selection(endpoint="item-skus")
    export_journal(journal, [postgres], selection, table="t")
    fewer = [{**DETAIL["skus"][0], "sale_price": "1.25"}]
    write_endpoints(journal, {"item_detail": [detail(skus=fewer)]}, refresh=True)
    export_journal(journal, [postgres], selection, table="t")
    with psycopg.connect(postgres) as connection:
        query = "SELECT sale_price, gone_at IS NULL FROM t ORDER BY position"
        rows = connection.execute(query).fetchall()
    assert rows[0] == (Decimal("1.25"), True)
    assert [is_there for _, is_there in rows[1:]] == [False] * (len(DETAIL["skus"]) - 1)


def test_elements_are_refused_where_products_are_needed(tmp_path: Path) -> None:
    """A report, a comparison and the latest row of a product make no sense of elements."""
    journal = write_endpoints(
        tmp_path / "a.journal", {"category/items": [body([row(1)])], "item_detail": [detail()]}
    )
    write_endpoints(journal, {"item_detail": [detail()]}, refresh=True)
    selection = Selection(endpoint="item-skus")
    with pytest.raises(ExportRefusedError, match="several"):
        Selection(endpoint="item-skus", unique=True)
    with pytest.raises(ExportRefusedError, match="--history"):
        export_journal(journal, [str(tmp_path / "a.csv")], selection, history=True)
    with pytest.raises(ExportRefusedError, match="comparison"):
        compare_runs(journal, endpoint="item-skus")
    with pytest.raises(InvalidRequestError, match="report"):
        write_report(journal, tmp_path / "a.html", endpoint="item-skus")


def test_the_endpoint_of_a_journal_stays_the_one_of_its_listings(tmp_path: Path) -> None:
    """Details in a journal do not make an export ask which rows are meant."""
    journal = write_endpoints(
        tmp_path / "a.journal", {"category/items": [body([row(1)])], "item_detail": [detail()]}
    )
    summary = export_journal(journal, [str(tmp_path / "a.jsonl")])
    assert (summary.endpoint, summary.rows) == ("category/items", 1)
