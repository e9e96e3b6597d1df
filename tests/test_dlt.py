from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from tests.support.journals import BEGAN, body, of_catalogue, row, write
from tmapi_async.dlt import journal
from tmapi_async.export import Selection


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Provide a pipeline into DuckDB without telemetry, with all files in one folder."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)
    return dlt.pipeline(
        "shop",
        pipelines_dir=str(tmp_path / "pipelines"),
        destination=dlt.destinations.duckdb(str(tmp_path / "shop.duckdb")),
        dataset_name="goods",
    )


def query(folder: Path, text: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query of the loaded database."""
    with duckdb.connect(str(folder / "shop.duckdb")) as database:
        return database.execute(text).fetchall()


@pytest.mark.slow
def test_a_pipeline_loads_the_catalogue(tmp_path: Path, pipeline: Any) -> None:
    """Dlt loads every item with exact prices and types; loading again adds no row."""
    path, catalogue = of_catalogue(tmp_path / "a.journal", {7: 45, 8: 0})
    for _ in range(2):
        pipeline.run(journal(path))
        ids = query(tmp_path, "SELECT item_id FROM goods.items ORDER BY 1")
        assert [item_id for (item_id,) in ids] == sorted(catalogue.item_ids(7))
    prices = sum(Decimal(catalogue.item(7, n)["price_info"]["sale_price"]) for n in range(45))
    assert query(tmp_path, "SELECT sum(price_info_sale_price) FROM goods.items") == [(prices,)]
    kinds = dict(
        query(
            tmp_path,
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = 'items' AND table_schema = 'goods'",
        )
    )
    assert kinds["price_info_sale_price"] == "DECIMAL(20,4)"
    assert kinds["fetched_at"] == "TIMESTAMP WITH TIME ZONE"
    assert (kinds["item_id"], kinds["run"]) == ("BIGINT", "INTEGER")


@pytest.mark.slow
def test_the_latest_sighting_stays(tmp_path: Path, pipeline: Any) -> None:
    """A later run replaces earlier rows; loading all runs keeps the latest sighting."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1, title="old"), row(2, title="gone")])]})
    pipeline.run(journal(path))
    write(path, {7: [body([row(1, title="new", badge=1)])]}, refresh=True, fetched_at=BEGAN + 60)
    for selection in (Selection(), Selection(run=0)):
        pipeline.run(journal(path, selection))
        rows = query(tmp_path, "SELECT item_id, title, run, extra FROM goods.items ORDER BY 1")
        assert rows == [(1, "new", 2, '{"badge":1}'), (2, "gone", 1, None)]


def test_the_resource_says_key_and_disposition(tmp_path: Path) -> None:
    """By default the resource merges rows by listing and item."""
    source = journal(tmp_path / "a.journal")
    assert list(source.resources) == ["items"]
    table = source.items.compute_table_schema()
    keys = {name for name, hints in table["columns"].items() if hints.get("primary_key")}
    assert keys == {"listing", "item_id"}
    assert table["write_disposition"] == "merge"
