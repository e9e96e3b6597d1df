"""Changes in a workbook: names of categories, and links to products."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
import zstandard

from tests.support.journals import body, row, write
from tmapi_async.cli.commands.changes import ChangesOptions, run_changes
from tmapi_async.export.changes.change_workbook import WORKBOOK_CHANGE, for_workbook
from tmapi_async.export.changes.diff import CHANGE

ITEM = 884674536008
PAGE = f"https://detail.1688.com/offer/{ITEM}.html"
CATEGORY = '{"code": 200, "data": {"id": "7", "name": "女装", "children": []}}'.encode()


def store_category(path: Path) -> None:
    """Store an answer about the category in a journal, as `tmapi categories` does."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO look (id, host, started_at) VALUES (1, 'h', 0)")
        frame = zstandard.compress(CATEGORY)
        connection.execute("INSERT INTO category VALUES (7, 1, 0, ?)", (frame,))


def first_change(path: Path) -> dict[str, Any]:
    """Return the cells of the first change of a workbook, by column."""
    head, cells = list(openpyxl.load_workbook(path)["changes"].iter_rows(max_row=2))
    return {name.value: cell for name, cell in zip(head, cells, strict=True)}


@pytest.mark.parametrize(("answers", "name"), [(True, "女装"), (False, None)])
def test_a_workbook_names_the_category_and_links_the_product(
    tmp_path: Path, answers: bool, name: str | None
) -> None:
    """The name stands beside the number if the journal holds it; nothing is requested."""
    path, target = tmp_path / "a.journal", tmp_path / "changes.xlsx"
    for price in ("4.59", "5.20"):
        page = body([row(ITEM, price_info={"sale_price": price})])
        write(path, {7: [page]}, refresh=price == "5.20")
    if answers:
        store_category(path)
    options = ChangesOptions(journal=path, to=[str(target)], endpoint="category-v1", quiet=True)
    assert run_changes(options) == 0
    change = first_change(target)
    assert (change["cat_id"].value, change["category"].value) == (7, name)
    assert change["product_url"].hyperlink.target == change["product_url"].value == PAGE


def test_other_columns_stay_as_they_are() -> None:
    """The columns of a workbook are those of other files, and two more."""
    row_values = dict.fromkeys(CHANGE.names)
    row_values |= {"change": "new", "listing": "a", "cat_id": None, "item_id": ITEM}
    (batch,) = pa.Table.from_pylist([row_values], CHANGE).to_batches()
    (change,) = for_workbook(batch, {7: "女装"}).to_pylist()
    assert list(change) == WORKBOOK_CHANGE.names
    assert change == row_values | {"category": None, "product_url": PAGE}
