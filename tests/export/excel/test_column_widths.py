"""Widths of columns: Excel shows `####` for a number or time that its column cuts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.cell.cell import Cell
from openpyxl.worksheet.worksheet import Worksheet

from tests.support.endpoint_journals import write_endpoints
from tests.support.journals import body, of_rows, row, write
from tests.support.making import sample
from tmapi_async.export import Selection, compare_runs, export_journal
from tmapi_async.export.changes.change_files import parse_change_destinations, write_changes
from tmapi_async.export.excel.column_widths import ColumnWidths

PADDING = 182 / 256
"""Part of a stored width that is no room for characters."""


def widths(sheet: Worksheet) -> dict[int, float]:
    """Return the room of each column in characters, by number."""
    return {
        number: dimension.width - PADDING
        for dimension in sheet.column_dimensions.values()
        for number in range(dimension.min, dimension.max + 1)
    }


def shown(cell: Cell) -> str | None:
    """Return a number or time as Excel shows it; None for other cells."""
    if cell.is_date:
        return cell.number_format
    if cell.data_type != "n" or cell.value is None:
        return None
    if cell.number_format == "0":
        return f"{cell.value:.0f}"
    assert cell.number_format == "0.00####"
    whole, _, decimals = f"{cell.value:.6f}".rstrip("0").partition(".")
    return f"{whole}.{decimals:0<2}"


def cut_cells(path: Path) -> Iterator[str]:
    """Yield the cells of a workbook that Excel shows as `####`."""
    for sheet in openpyxl.load_workbook(path):
        room = widths(sheet)
        for line in sheet.iter_rows(min_row=2):
            for cell in line:
                text = shown(cell)
                if text is not None and len(text) > room[cell.column]:
                    yield f"{sheet.title} {sheet.cell(1, cell.column).value} {text}"


def ids_are_wide(path: Path) -> bool:
    """Return True if each column of IDs has room for 16 digits."""
    return all(
        widths(sheet)[cell.column] >= 16
        for sheet in openpyxl.load_workbook(path)
        for cell in sheet[1]
        if cell.value in ("item_id", "cat_id", "skuid", "id")
    )


def test_every_number_and_time_of_a_sheet_is_shown(tmp_path: Path) -> None:
    """Items, with the longest numbers that Excel keeps, and the sheet of their prices."""
    long = row(
        884674536008,
        price_info={"sale_price": "12345678901.25", "origin_price": "-0.5", "show_price": "4.6"},
        sales_count=123456789012345,
        quantity_begin="1",
        shop_info={"shop_repurchase_rate": "38.462512"},
    )
    journal = of_rows(tmp_path / "a.journal", row(1), long)
    target = tmp_path / "a.xlsx"
    export_journal(journal, [str(target)], history=True)
    assert list(cut_cells(target)) == []
    assert ids_are_wide(target)


def test_the_sheets_of_details_and_ratings_show_their_ids(tmp_path: Path) -> None:
    """Variants and ratings have IDs of their own, of 11 to 13 digits."""
    pages = {
        "category/items": [sample("doc-category-items-v1")],
        "item_detail": [sample("doc-item-detail")],
        "item/rating": [sample("doc-item-rating")],
    }
    journal = write_endpoints(tmp_path / "a.journal", pages)
    target = tmp_path / "a.xlsx"
    export_journal(journal, [str(target)], Selection(), endpoints=["all"])
    assert list(cut_cells(target)) == []
    assert ids_are_wide(target)


def test_changes_show_their_ids(tmp_path: Path) -> None:
    """The workbook of changes has the same widths."""
    path = tmp_path / "a.journal"
    prices = ("4.59", "123456.78")
    for price in prices:
        page = body([row(884674536008, price_info={"sale_price": price})])
        write(path, {7: [page]}, refresh=price == prices[1])
    target = tmp_path / "changes.xlsx"
    (destination,) = parse_change_destinations([str(target)], path)
    assert write_changes(compare_runs(path).store.batches(), destination).rows == 1
    assert list(cut_cells(target)) == []
    assert ids_are_wide(target)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=5))
def test_a_whole_number_has_room_whichever_batch_it_comes_in(numbers: list[int]) -> None:
    """The widest value of all batches counts."""
    schema = pa.schema([pa.field("sold", pa.int64())])
    column_widths = ColumnWidths(schema)
    for number in numbers:
        column_widths.widen(pa.record_batch([pa.array([number, None])], schema=schema))
    assert column_widths.characters[0] >= max(len(str(number)) for number in numbers)


@pytest.mark.parametrize(
    ("name", "values", "characters"),
    [
        ("product_url", ["https://detail.1688.com/offer/884674536008.html"], 49),
        ("img", ["https://cbu01.alicdn.com/img/" + "x" * 200], 50),
        ("shop", ["揭阳鸿运制衣有限公司"], 22),
        ("extra", ["{" * 5000], 30),
        ("title", [""], 40),
        ("sold", pa.array([None], pa.int64()), 9),
        ("fetched_at", [datetime(2026, 1, 5, 9, 30, tzinfo=UTC)], 21),
    ],
)
def test_texts_have_room_up_to_a_maximum(name: str, values: object, characters: int) -> None:
    """An address of a product is shown whole; a long text does not push the others away."""
    batch = pa.record_batch({name: values})
    column_widths = ColumnWidths(batch.schema)
    column_widths.widen(batch)
    assert column_widths.characters == [characters]
