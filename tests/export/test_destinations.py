"""Destinations of an export, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.errors.extras import install_command
from tmapi_async.export import ExportRefusedError, export_journal
from tmapi_async.export.outputs import extra_checks


def test_destinations_are_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad destination is refused with advice, before the journal is opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "open.duckdb.wal").touch()
    (tmp_path / "open.sqlite-wal").touch()
    for to, message in (
        ([], "no destination"),
        (["a.ods"], r"must end with one of .*\.parquet.*\.sqlite.*\.sqlite3, \.db"),
        ([".csv"], "must end with one of"),
        (["nowhere/a.csv"], "the folder .*nowhere does not exist: create it first"),
        (["folder.csv"], "exists and is not a file"),
        (["a.csv", "./a.csv"], "given twice"),
        (["open.duckdb"], "is in use or was not closed"),
        (["open.sqlite"], "is in use or was not closed"),
        (["s3://shop"], "is not the address of a file: write s3://BUCKET/FOLDER/NAME"),
        (["s3://shop//a.csv"], "is not the address of a file"),
        (["s3://shop/../a.csv"], "is not the address of a file"),
        (["s3://shop/a.xlsx"], r"the name of an object must end with one of .*\.parquet"),
        (["s3://me:pw@shop/a.csv"], "credentials in the environment"),
        (["s3://shop/a.csv?secret=pw"], "options in the environment"),
        (["s3://shop/a.csv", "s3://shop/a.csv"], "s3://shop/a.csv is given twice"),
        (["mysql://root:pw@h/d"], "mysql:// is not supported"),
        (["postgresql://u:pw@[::1/d"], "like postgresql://USER@HOST"),
        (["a.duckdb"], "is the journal itself"),
    ):
        with pytest.raises(ExportRefusedError, match=message) as raised:
            export_journal(tmp_path / "a.duckdb", to)
        assert "pw" not in str(raised.value)
    with pytest.raises(ExportRefusedError, match="--table needs a database"):
        export_journal("a.journal", ["a.csv"], table="items")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql:/me:s3cret@host/db",
        "postgres:me:s3cret@host/db",
        "me:s3cret@host/db",
        "host=localhost password=s3cret dbname=shop",
        "me:s3cret://host/db",
        " postgresql://me:s3cret@host/db",
        "jdbc:postgresql://host/db?password=s3cret",
    ],
)
def test_a_mistyped_database_address_is_not_repeated(text: str) -> None:
    """An address that is taken for a file or another scheme may have a password."""
    with pytest.raises(ExportRefusedError, match="postgresql://") as raised:
        export_journal("a.journal", [text])
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("to", "missing", "extra"),
    [
        ("a.parquet", "pyarrow", "export"),
        ("a.duckdb", "duckdb", "export"),
        ("postgresql://h/d", "psycopg", "postgres"),
        ("a.xlsx", "xlsxwriter", "xlsx"),
        ("a.sqlite", "pyarrow", "export"),
        ("s3://shop/a.jsonl", "obstore", "s3"),
    ],
)
def test_a_missing_extra_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, to: str, missing: str, extra: str
) -> None:
    """A destination without its packages is refused; the message shows how to install them."""
    there = extra_checks.importlib.util.find_spec
    monkeypatch.setattr(
        extra_checks.importlib.util, "find_spec", lambda n: None if n == missing else there(n)
    )
    with pytest.raises(ExportRefusedError) as raised:
        export_journal("a.journal", [to])
    told = f"needs {missing}, which is not installed: run {install_command(extra)}"
    assert told in str(raised.value)
