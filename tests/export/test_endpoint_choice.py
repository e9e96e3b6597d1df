"""Choice of the endpoint that an export, a comparison or a report is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.endpoint_journals import TREE, write_endpoints
from tests.support.journals import body, row
from tmapi_async.cli.commands.export import ExportOptions, run_export
from tmapi_async.dlt import items as dlt_items
from tmapi_async.export import ExportRefusedError, Selection, export_journal
from tmapi_async.export.changes.comparison import compare_runs
from tmapi_async.export.endpoint_choice import choose_endpoint
from tmapi_async.report import gather


def test_an_export_is_of_one_endpoint(tmp_path: Path) -> None:
    """Several endpoints are refused before anything is written; the message names the choices."""
    pages = {
        "category/items": [body([row(1)])],
        "search/items": [body([row(2)])],
        "category/info": [TREE],
    }
    journal = write_endpoints(tmp_path / "a.journal", pages)
    write_endpoints(journal, pages, refresh=True)
    target = tmp_path / "a.jsonl"
    message = r"--endpoint: category-v1 \(category/items\), search \(search/items\)$"
    for doing in (
        lambda: export_journal(journal, [str(target)]),
        lambda: compare_runs(journal),
        lambda: gather(journal),
        lambda: list(dlt_items(journal)),
    ):
        with pytest.raises(Exception, match=message):
            doing()
    assert not target.exists()
    for name in ("search", "search/items"):
        assert export_journal(journal, [str(target)], Selection(endpoint=name)).rows == 1
        assert json.loads(target.read_bytes())["item_id"] == 2
    assert compare_runs(journal, endpoint="search").total.after == 1
    assert gather(journal, endpoint="search").items.distinct == 1
    assert export_journal(journal, [str(target)], Selection(cats=frozenset({7}))).rows == 1
    with pytest.raises(ExportRefusedError, match=r"the journal has no listing of shop/items"):
        export_journal(journal, [str(target)], Selection(endpoint="shop"))
    with pytest.raises(ExportRefusedError, match="use one of category-v1, category-v2"):
        Selection(endpoint="category/info")


def test_the_category_tree_is_no_row(tmp_path: Path) -> None:
    """Pages of the category tree are not exported; a journal with only such pages is refused."""
    pages = {"category/items": [body([row(1)])], "category/info": [TREE]}
    journal = write_endpoints(tmp_path / "a.journal", pages)
    assert export_journal(journal, [str(tmp_path / "a.jsonl")]).rows == 1
    with pytest.raises(ExportRefusedError, match="no products, only category/info"):
        choose_endpoint({"category/info"}, None, "run 1")


def test_an_endpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Listings of an unknown endpoint are refused by name, unless a known endpoint is chosen."""
    pages = {"category/items": [body([row(1)])], "brand/items": [body([row(2)])]}
    journal = write_endpoints(tmp_path / "a.journal", pages)
    options = ExportOptions(journal=journal, to=[str(tmp_path / "a.jsonl")], quiet=True)
    assert run_export(options) == 2
    with pytest.raises(ExportRefusedError, match="brand/items, which this version"):
        export_journal(journal, [str(tmp_path / "a.jsonl")])
    selection = Selection(endpoint="category-v1")
    assert export_journal(journal, [str(tmp_path / "a.jsonl")], selection).rows == 1
