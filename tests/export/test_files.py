from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.support.journals import body, of_catalogue, of_rows, row, write
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export import ExportError, ExportRefusedError, destinations, export_journal
from tmapi_async.export.arrow import item_schema
from tmapi_async.export.atomic_file import AtomicFile
from tmapi_async.export.files import FileSink


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


NAMES = ("a.parquet", "a.csv", "a.jsonl", "a.jsonl.zst", "a.duckdb")


def test_every_form_has_the_catalogue(tmp_path: Path) -> None:
    """One reading fills every form with the same items, and the sum of their prices is exact."""
    journal, catalogue = of_catalogue(tmp_path / "a.journal", {7: 205, 8: 0, 9: 20})
    done = export_journal(journal, [str(tmp_path / name) for name in NAMES])
    ids = {*catalogue.item_ids(7), *catalogue.item_ids(9)}
    prices = sum(
        Decimal(catalogue.item(cat_id, n)["price_info"]["sale_price"])
        for cat_id, size in ((7, 205), (9, 20))
        for n in range(size)
    )
    assert [landed.rows for landed in done.destinations] == [225] * 5
    with duckdb.connect(str(tmp_path / "a.duckdb")) as database:
        for source in ("items", *(f"'{tmp_path / name}'" for name in NAMES[:4])):
            query = f"SELECT item_id, price_info_sale_price::DECIMAL(20,4) FROM {source}"  # noqa: S608
            rows = database.execute(query).fetchall()
            assert {item_id for item_id, _ in rows} == ids, source
            assert sum(price for _, price in rows) == prices, source
            assert len(rows) == 225, source
    for landed, name in zip(done.destinations, NAMES, strict=True):
        assert landed.bytes == (tmp_path / name).stat().st_size


def test_json_lines_are_the_rows_of_items_with_their_run(tmp_path: Path) -> None:
    """A line has what `tmapi items` prints and the run, in the order of the table's columns."""
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
    """Rows as Python's csv reads them."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_csv_reads_back_as_it_was(tmp_path: Path) -> None:
    """Python's csv and DuckDB read the same values, quotes and newlines included."""
    rows = [row(n, title=title) for n, title in enumerate(HARD, 1)]
    path = tmp_path / "a.csv"
    export_journal(of_rows(tmp_path / "a.journal", *rows), [str(path)])
    found = read_csv(path)
    assert list(found[0]) == item_schema(CATEGORY_ITEMS).names
    assert [one["title"] for one in found] == HARD
    assert {one["fetched_at"] for one in found} == {"2026-01-05T09:30:00.250000Z"}
    query = f"SELECT title FROM read_csv('{path}', all_varchar = true)"  # noqa: S608 - our own path
    titles = duckdb.sql(query).fetchall()
    assert [title or "" for (title,) in titles] == HARD


def test_no_cell_of_a_csv_begins_a_formula(tmp_path: Path) -> None:
    """Text that a spreadsheet would run gains a `'`, in every text column; Parquet is exact."""
    shop = {"company_name": "=1", "login_id": "-1", "shop_url": "@x"}
    rows = [row(n, title=text, shop_info=shop) for n, text in enumerate([*FORMULAS, *HARD], 1)]
    rows.append(row(99, sales_count="-many", **{"=new": 1}))
    paths = [tmp_path / "a.csv", tmp_path / "a.parquet"]
    export_journal(of_rows(tmp_path / "a.journal", *rows), map(str, paths))
    found = read_csv(paths[0])
    titles = [one["title"] for one in found]
    assert titles == [*(f"'{text}" for text in FORMULAS), *HARD, ""]
    assert not [
        cell
        for one in found
        for cell in one.values()
        if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", WIDE)
    ]
    assert found[0]["shop_info_company_name"] == "'=1"
    exact = pq.read_table(paths[1])["title"].to_pylist()
    assert exact == [*FORMULAS, *HARD, None]


KILLED = """
import os, signal, sys
from tmapi_async.export import atomic_file, export_journal, selection

selection.CHUNK_PAGES = 2
journal, target, when = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

replace = atomic_file.Path.replace
if when == "before":
    atomic_file.Path.replace = die
elif when == "after":
    atomic_file.Path.replace = lambda self, to: (replace(self, to), die())
export_journal(journal, [target], on_progress=die if when == "rows" else lambda _: None)
"""


@pytest.mark.parametrize("when", ["rows", "before", "after"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, name: str, when: str) -> None:
    """After `kill -9` there is the old file or the new one; the next export clears the rest."""
    target = tmp_path / "out" / name
    target.parent.mkdir()
    export_journal(of_rows(tmp_path / "old.journal", row(1)), [str(target)])
    old = target.read_bytes()
    pages = [body([row(n)]) for n in range(1, 9)]
    journal = write(tmp_path / "a.journal", {7: pages})
    child = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", KILLED, str(journal), str(target), when],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert len(names(target.parent)) == 3  # the file, the temporary folder and its lock
    assert (target.read_bytes() == old) is (when != "after")
    export_journal(journal, [str(target)])
    assert names(target.parent) == [name]
    assert target.read_bytes() != old


def test_a_file_in_the_making_is_left_to_its_process(tmp_path: Path) -> None:
    """What another export is writing is not cleared away; the last one to finish stays."""
    target = tmp_path / "a.csv"
    first, second = AtomicFile(target), AtomicFile(target)
    first.temporary.write_text("first")
    second.temporary.write_text("second")
    first.commit()
    assert target.read_text() == "first"
    second.commit()
    assert target.read_text() == "second"
    assert names(tmp_path) == ["a.csv"]


def test_a_file_keeps_its_mode_and_its_links(tmp_path: Path) -> None:
    """Through a link the file behind it is replaced, and its permissions stay."""
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "data.jsonl"
    real.write_text("old")
    real.chmod(0o604)
    link = tmp_path / "link.jsonl"
    link.symlink_to(real)
    export_journal(of_rows(tmp_path / "a.journal", row(1)), [str(link)])
    assert link.is_symlink()
    assert b'"item_id":1' in real.read_bytes()
    assert real.stat().st_mode & 0o777 == 0o604


def failing(after: int) -> Callable[..., Any]:
    """A writing that meets a full disk."""
    left = after

    def write_rows(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return write_rows


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.jsonl.zst"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Out of space is told as such; the old file stays and nothing is left beside it."""
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
    """Where one of several cannot be written, none is put in place half."""
    monkeypatch.setattr("tmapi_async.export.files.CsvFile._write", failing(0))
    targets = [tmp_path / "out" / name for name in NAMES]
    targets[0].parent.mkdir()
    with pytest.raises(ExportError, match=r"a\.csv"):
        export_journal(of_rows(tmp_path / "a.journal", row(1)), map(str, targets))
    assert names(targets[0].parent) == []


def test_destinations_are_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written is refused with what can be done, though there is no journal even."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "open.duckdb.wal").touch()
    for to, said in (
        ([], "no destination"),
        (["a.xlsx"], r"must end with one of .*\.parquet"),
        ([".csv"], "must end with one of"),
        (["nowhere/a.csv"], "the folder .*nowhere does not exist: create it first"),
        (["folder.csv"], "exists and is not a file"),
        (["a.csv", "./a.csv"], "given twice"),
        (["open.duckdb"], "is in use or was not closed"),
        (["mysql://root:pw@h/d"], "mysql:// is not supported"),
        (["postgresql://u:pw@[::1/d"], "like postgresql://USER@HOST"),
        (["a.duckdb"], "is the journal itself"),
    ):
        with pytest.raises(ExportRefusedError, match=said) as raised:
            export_journal(tmp_path / "a.duckdb", to)
        assert "pw" not in str(raised.value)
    with pytest.raises(ExportRefusedError, match="--table needs a database"):
        export_journal("a.journal", ["a.csv"], table="items")


@pytest.mark.parametrize(
    ("to", "missing", "extra"),
    [
        ("a.parquet", "pyarrow", "export"),
        ("a.duckdb", "duckdb", "export"),
        ("postgresql://h/d", "psycopg", "postgres"),
    ],
)
def test_a_missing_extra_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, to: str, missing: str, extra: str
) -> None:
    """Without its packages a destination is refused with the line that installs them."""
    there = destinations.importlib.util.find_spec
    monkeypatch.setattr(
        destinations.importlib.util, "find_spec", lambda n: None if n == missing else there(n)
    )
    with pytest.raises(ExportRefusedError) as raised:
        export_journal("a.journal", [to])
    assert f'needs {missing}, which is not installed: pip install "tmapi-async[{extra}]"' in str(
        raised.value
    )


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
