"""The items of a journal as a table, a stream of batches, and data frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.endpoint_journals import write_endpoints
from tests.support.journals import body, of_catalogue, row, write
from tests.support.making import sample
from tmapi_async import CATEGORY_ITEMS, InvalidRequestError
from tmapi_async.errors.extras import install_command
from tmapi_async.export import ExportRefusedError, Selection, export_journal
from tmapi_async.export.arrow import item_schema
from tmapi_async.export.frames import page_batches
from tmapi_async.export.outputs import extra_checks
from tmapi_async.harvest import BodyError, JournalReader
from tmapi_async.journal import reader as journal_reader


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a journal of two categories."""
    return of_catalogue(tmp_path_factory.mktemp("frames") / "a.journal", {7: 45, 8: 20})[0]


@pytest.mark.parametrize(
    "selection", [None, Selection(cats=frozenset({8})), Selection(unique=True)]
)
def test_a_table_is_that_of_an_export(journal: Path, tmp_path: Path, selection: Any) -> None:
    """Tables and frames hold what an export of the same selection writes."""
    path = tmp_path / "items.parquet"
    export_journal(journal, [str(path)], selection)
    exported = pq.read_table(path)
    with JournalReader(journal) as reader:
        assert reader.to_arrow(selection) == exported
        assert reader.to_polars(selection).equals(pl.read_parquet(path))
        pandas = reader.to_pandas(selection)
        arrow = reader.to_pandas(selection, decimals="arrow")
    for frame in (pandas, arrow):
        assert list(frame.columns) == exported.column_names
        for name in ("item_id", "title", "price_info_sale_price", "fetched_at"):
            assert frame[name].tolist() == exported[name].to_pylist()


def test_batches_are_read_as_they_are_taken(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream reads no more pages than its next batch needs, and other libraries can read it."""
    monkeypatch.setattr(page_batches, "BATCH_ROWS", 1)
    read = []
    pages = JournalReader.pages

    def counted(self: JournalReader, **options: Any) -> Any:
        for page in pages(self, **options):
            read.append(page.number)
            yield page

    monkeypatch.setattr(journal_reader.JournalReader, "pages", counted)
    monkeypatch.setattr("tmapi_async.export.chunks.CHUNK_PAGES", 1)
    monkeypatch.setattr("tmapi_async.export.arrow.BATCH_PAGES", 1)
    with JournalReader(journal) as reader:
        batches = reader.to_batches()
        assert read == []
        assert batches.read_next_batch().num_rows == 20
        assert len(read) == 1
        assert sum(batch.num_rows for batch in batches) == 45
        stream = reader.to_batches()  # noqa: F841 - DuckDB finds it by its name
        assert duckdb.sql("SELECT count(DISTINCT item_id) FROM stream").fetchall() == [(65,)]


def test_a_journal_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    """The columns and types are there even if nothing was found."""
    with JournalReader(write(tmp_path / "a.journal", {7: [body([])]})) as reader:
        table = reader.to_arrow()
        assert (table.num_rows, list(reader.to_batches())) == (0, [])
        assert len(reader.to_polars()) == len(reader.to_pandas()) == 0
    assert table.schema == item_schema(CATEGORY_ITEMS)


def test_an_endpoint_is_chosen_as_in_an_export(tmp_path: Path) -> None:
    """A journal of several endpoints needs the choice of one; unknown rows are refused."""
    pages = {
        "category/items/v2": [sample("doc-category-items-v2")],
        "search/items": [sample("doc-search-items")],
    }
    with JournalReader(write_endpoints(tmp_path / "a.journal", pages)) as reader:
        with pytest.raises(ExportRefusedError, match="choose one"):
            reader.to_arrow()
        table = reader.to_arrow(Selection(endpoint="search"))
        assert set(table["listing"].to_pylist()) == {"search/items?q=7"}
        with pytest.raises(InvalidRequestError, match="selection must be a Selection"):
            reader.to_arrow(7)  # type: ignore[arg-type]


def test_damage_is_raised_where_it_is_read(tmp_path: Path) -> None:
    """A body that cannot be read is an error of the journal, and never a shorter table."""
    path = write(tmp_path / "a.journal", {7: [body([row(1)], has_next=True), b"no JSON"]})
    with JournalReader(path) as reader:
        with pytest.raises(BodyError):
            reader.to_arrow()
        with pytest.raises(BodyError):
            reader.to_batches().read_all()


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        ("to_arrow", "pyarrow"),
        ("to_batches", "pyarrow"),
        ("to_polars", "polars"),
        ("to_pandas", "pandas"),
    ],
)
def test_a_missing_library_is_told(
    journal: Path, monkeypatch: pytest.MonkeyPatch, method: str, missing: str
) -> None:
    """The message says how to install the library that the method needs."""
    there = extra_checks.importlib.util.find_spec
    monkeypatch.setattr(
        extra_checks.importlib.util, "find_spec", lambda n: None if n == missing else there(n)
    )
    extra = "arrow" if missing == "pyarrow" else missing
    told = f"{method}() needs {missing}, which is not installed: run {install_command(extra)}"
    with JournalReader(journal) as reader, pytest.raises(ExportRefusedError, match=re.escape(told)):
        getattr(reader, method)()


def test_the_table_type_is_arrow(journal: Path) -> None:
    """The results are the types of pyarrow, for the tools that take them."""
    with JournalReader(journal) as reader:
        assert isinstance(reader.to_arrow(), pa.Table)
        assert isinstance(reader.to_batches(), pa.RecordBatchReader)
        assert repr(reader) == f"<JournalReader {journal}>"
