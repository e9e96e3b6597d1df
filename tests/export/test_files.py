from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from tests.support.journals import of_catalogue, of_rows, row
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export import ExportError, duckdb_file, export_journal
from tmapi_async.export.arrow import item_schema
from tmapi_async.export.files import CsvFile, FileSink


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return [path.name for path in folder.iterdir()]


NAMES = ("a.parquet", "a.csv", "a.jsonl", "a.jsonl.zst", "a.duckdb")


def test_every_form_has_the_catalogue(tmp_path: Path) -> None:
    """One reading writes the same items to every format, with exact prices."""
    journal, catalogue = of_catalogue(tmp_path / "a.journal", {7: 205, 8: 0, 9: 20})
    summary = export_journal(journal, [str(tmp_path / name) for name in NAMES])
    ids = {*catalogue.item_ids(7), *catalogue.item_ids(9)}
    prices = sum(
        Decimal(catalogue.item(cat_id, n)["price_info"]["sale_price"])
        for cat_id, size in ((7, 205), (9, 20))
        for n in range(size)
    )
    assert [result.rows for result in summary.destinations] == [225] * 5
    with duckdb.connect(str(tmp_path / "a.duckdb")) as database:
        for source in ("items", *(f"'{tmp_path / name}'" for name in NAMES[:4])):
            query = f"SELECT item_id, price_info_sale_price::DECIMAL(20,4) FROM {source}"  # noqa: S608
            rows = database.execute(query).fetchall()
            assert {item_id for item_id, _ in rows} == ids, source
            assert sum(price for _, price in rows) == prices, source
            assert len(rows) == 225, source
    for result, name in zip(summary.destinations, NAMES, strict=True):
        assert result.bytes == (tmp_path / name).stat().st_size


def test_json_lines_are_the_rows_of_items_with_their_run(tmp_path: Path) -> None:
    """A line has the fields of `tmapi items` and the run, in the order of the table."""
    rows = [row(1, title="a\u2028b\nc", price="0.60", sales_count="100000+"), row(2, new=1)]
    journal = of_rows(tmp_path / "a.journal", *rows)
    export_journal(journal, [str(tmp_path / "a.jsonl"), str(tmp_path / "a.jsonl.zst")])
    text = (tmp_path / "a.jsonl").read_bytes()
    assert text.count(b"\n") == 2
    first, second = map(json.loads, text.split(b"\n")[:2])
    assert list(first) == item_schema(CATEGORY_ITEMS).names
    assert (first["title"], first["price"], first["run"]) == ("a\u2028b\nc", "0.60", 1)
    assert (first["sales_count"], first["sales_count_text"]) == (100000, "100000+")
    assert first["fetched_at"] == "2026-01-05T09:30:00.250000Z"
    assert (first["extra"], second["extra"]) == (None, {"new": 1})
    packed = (tmp_path / "a.jsonl.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == text


def test_a_csv_file_begins_with_a_byte_order_mark_on_request(tmp_path: Path) -> None:
    """Excel on Windows needs the mark to read Chinese; other readers want the file without it."""
    journal = of_rows(tmp_path / "a.journal", row(1, title="连衣裙"))
    export_journal(journal, [str(tmp_path / "plain.csv")])
    export_journal(journal, [str(tmp_path / name) for name in NAMES], csv_bom=True)
    marked = (tmp_path / "a.csv").read_bytes()
    assert marked == b"\xef\xbb\xbf" + (tmp_path / "plain.csv").read_bytes()
    assert marked.decode("utf-8-sig").startswith('"listing","cat_id"')
    assert not (tmp_path / "a.jsonl").read_bytes().startswith(b"\xef")


def test_a_database_gets_more_memory_where_it_needs_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB begins with little memory. Rows that need more do not fail the export."""
    monkeypatch.setattr(duckdb_file, "_MEGABYTES", 1)
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 300})
    for _ in range(2):  # the second export takes over what is gone
        export_journal(journal, [str(tmp_path / "a.duckdb")])
    with duckdb.connect(str(tmp_path / "a.duckdb")) as database:
        assert database.execute("SELECT count(*) FROM items").fetchall() == [(300,)]


def failing(after: int) -> Callable[..., Any]:
    """Return a write function that fails with a full disk after some calls."""
    remaining = after

    def write_rows(*_: object) -> None:
        nonlocal remaining
        remaining -= 1
        if remaining < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return write_rows


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.jsonl.zst"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A full disk is reported; the old file stays and no temporary file remains."""
    target = tmp_path / "out" / name
    target.parent.mkdir()
    target.write_text("old")
    monkeypatch.setattr(FileSink, "write", failing(0))
    with pytest.raises(ExportError, match="No space left on device; nothing there was changed"):
        export_journal(of_rows(tmp_path / "a.journal", row(1)), [str(target)])
    assert target.read_text() == "old"
    assert names(target.parent) == [name]


def test_one_destination_that_fails_stops_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If one of several destinations fails, no incomplete file appears."""
    monkeypatch.setattr(CsvFile, "write", failing(0))
    targets = [tmp_path / "out" / name for name in NAMES]
    targets[0].parent.mkdir()
    with pytest.raises(ExportError, match=r"a\.csv"):
        export_journal(of_rows(tmp_path / "a.journal", row(1)), map(str, targets))
    assert names(targets[0].parent) == []


@pytest.mark.slow
def test_json_lines_need_no_extra(tmp_path: Path) -> None:
    """JSON lines are written where neither pyarrow, DuckDB nor psycopg can be imported."""
    journal = of_rows(tmp_path / "a.journal", row(1, sales_count="many", quantity_begin="2+"))
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['pyarrow', 'duckdb', 'psycopg']))\n"
        "from tmapi_async.export import export_journal\n"
        "done = export_journal(sys.argv[1], [sys.argv[2], sys.argv[3]])\n"
        "assert (done.unread, done.bounds) == ({'sales_count': 1}, {'quantity_begin': 1})\n"
    )
    paths = [str(tmp_path / name) for name in ("a.journal", "a.jsonl", "a.jsonl.zst")]
    assert str(journal) == paths[0]
    subprocess.run([sys.executable, "-c", script, *paths], check=True, timeout=60)  # noqa: S603
    assert (tmp_path / "a.jsonl").read_bytes().count(b"\n") == 1
