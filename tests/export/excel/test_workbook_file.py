"""Excel workbooks: typed cells, no formula, links, and the limits of a sheet."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.export.test_files import failing, names
from tests.support.journals import body, of_catalogue, of_rows, row, write
from tmapi_async.export import ExportError, ExportRefusedError, export_journal
from tmapi_async.export.excel import sheet_writer
from tmapi_async.export.excel.workbook_file import XlsxFile, numbered_path


def cells(path: Path, sheet: str = "category-v1") -> list[dict[str, Any]]:
    """Return the rows of a sheet, by column."""
    head, *rows = openpyxl.load_workbook(path)[sheet].iter_rows()
    columns = [cell.value for cell in head]
    return [dict(zip(columns, line, strict=True)) for line in rows]


def test_cells_have_the_types_of_their_columns(tmp_path: Path) -> None:
    """Numbers, times and flags are no text; numbers longer than Excel keeps are text."""
    rows = (
        row(
            884674536008,
            title="连衣裙 2026 新款𠮷",
            price_info={"sale_price": "4.59", "origin_price": "12345678901234.5678"},
            sales_count="100000+",
            shop_info={"is_super_factory": True, "shop_repurchase_rate": "38.46"},
        ),
        row(1_234_567_890_123_456),
    )
    target = tmp_path / "a.xlsx"
    export_journal(of_rows(tmp_path / "a.journal", *rows), [str(target)])
    first, second = cells(target)
    values = {name: cell.value for name, cell in first.items()}
    assert values["item_id"] == 884674536008
    assert values["title"] == "连衣裙 2026 新款𠮷"
    assert Decimal(str(values["price_info_sale_price"])) == Decimal("4.59")
    assert values["price_info_origin_price"] == "12345678901234.5678"
    assert (values["sales_count"], values["sales_count_text"]) == (100000, "100000+")
    assert values["shop_info_is_super_factory"] is True
    assert values["shop_info_shop_repurchase_rate"] == 38.46
    assert values["fetched_at"] == datetime(2026, 1, 5, 9, 30, 0, 250000, UTC).replace(tzinfo=None)
    assert second["item_id"].value == "1234567890123456"
    assert first["item_id"].number_format == "0"
    assert second["price_info_sale_price"].value is None


def test_a_sheet_has_a_frozen_head_and_a_filter_over_all_rows(tmp_path: Path) -> None:
    """A buyer can sort and filter at once; the names of the columns stay in sight."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 30})
    export_journal(journal, [str(tmp_path / "a.xlsx")])
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx")["category-v1"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{sheet.cell(31, sheet.max_column).coordinate}"
    assert sheet["A1"].font.bold


@pytest.mark.parametrize(
    "title",
    ["=1+1", "+1", "-1", "@x", " =1", "\t=1", '"=1', "\uff1d1", '=HYPERLINK("http://x")', "{=1}"],
)
def test_text_never_becomes_a_formula(tmp_path: Path, title: str) -> None:
    """A title of a stranger stays text, also when somebody edits its cell."""
    export_journal(of_rows(tmp_path / "a.journal", row(1, title=title)), [str(tmp_path / "a.xlsx")])
    ((entry),) = cells(tmp_path / "a.xlsx")
    assert entry["title"].data_type in ("s", "inlineStr")
    assert entry["title"].value == title
    assert entry["title"].quotePrefix or title == "{=1}"
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a\ufffeb\uffffc", "a\ufffdb\ufffdc"),
        ("a\0b", "a\ufffdb"),
        ("<r><t>x</t></r>", "<r><t>x</t></r> "),
        ("<r>&amp;", "<r>&amp;"),
        (" 两端空格 ", " 两端空格 "),
        ("a\nb", "a\nb"),
    ],
)
def test_hostile_text_does_not_damage_the_file(tmp_path: Path, title: str, shown: str) -> None:
    """Characters that XML cannot hold are replaced; tags of XlsxWriter itself are text."""
    export_journal(of_rows(tmp_path / "a.journal", row(1, title=title)), [str(tmp_path / "a.xlsx")])
    ((entry),) = cells(tmp_path / "a.xlsx")
    assert entry["title"].value == shown


def test_a_text_that_no_cell_can_hold_is_cut_and_told(tmp_path: Path) -> None:
    """A cell holds 32,767 UTF-16 units: the rest is cut between two characters, and counted."""
    title = "𠮷" * 16_384
    summary = export_journal(
        of_rows(tmp_path / "a.journal", row(1, title=title), row(2, title="x" * 32_767)),
        [str(tmp_path / "a.xlsx")],
    )
    first, second = cells(tmp_path / "a.xlsx")
    assert first["title"].value == "𠮷" * 16_383
    assert second["title"].value == "x" * 32_767
    assert summary.destinations[0].cut == 1


def test_addresses_are_links_until_a_sheet_has_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of products are links longest. Text that is no web address is never a link."""
    monkeypatch.setattr(sheet_writer, "MOST_LINKS", 5)
    monkeypatch.setattr(sheet_writer, "OTHER_LINKS", 2)
    pages = [f"https://detail.1688.com/offer/{number}.html" for number in range(6)]
    rows = [row(number + 1, product_url=page, img=page) for number, page in enumerate(pages)]
    odd = ("javascript:alert(1)", "internal:a!A1", "file:///etc/passwd", 'https://x/"y')
    rows += [row(number + 10, product_url=text) for number, text in enumerate(odd)]
    summary = export_journal(of_rows(tmp_path / "a.journal", *rows), [str(tmp_path / "a.xlsx")])
    table = cells(tmp_path / "a.xlsx")
    for column in ("product_url", "img"):
        linked = [entry[column].hyperlink is not None for entry in table]
        assert linked == [n < (4 if column == "product_url" else 1) for n in range(10)]
        assert [entry[column].value for entry in table[:6]] == pages
    assert table[0]["product_url"].hyperlink.target == pages[0]
    assert [entry["product_url"].value for entry in table[6:]] == list(odd)
    assert summary.destinations[0].plain_addresses == 7


def test_rows_after_a_full_sheet_are_in_further_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is lost at the limit of a sheet, and no file of an earlier export goes unnoticed."""
    monkeypatch.setattr(sheet_writer, "MOST_ROWS", 21)
    journal, catalogue = of_catalogue(tmp_path / "a.journal", {7: 50})
    target = tmp_path / "a.xlsx"
    result = export_journal(journal, [str(target)]).destinations[0]
    paths = [target, numbered_path(target, 2), numbered_path(target, 3)]
    assert result.more_files == [str(tmp_path / "a.2.xlsx"), str(tmp_path / "a.3.xlsx")]
    ids = [entry["item_id"].value for path in paths for entry in cells(path)]
    assert [len(cells(path)) for path in paths] == [20, 20, 10]
    assert ids == list(catalogue.item_ids(7))
    assert result.bytes == sum(path.stat().st_size for path in paths)
    monkeypatch.setattr(sheet_writer, "MOST_ROWS", 41)
    result = export_journal(journal, [str(target)]).destinations[0]
    assert result.more_files == [str(tmp_path / "a.2.xlsx")]
    assert result.old_files == [str(tmp_path / "a.3.xlsx")]
    (tmp_path / "a.2.xlsx").write_text("notes")
    with pytest.raises(ExportRefusedError, match=r"a\.2\.xlsx is needed for more rows, and is no"):
        export_journal(journal, [str(target)])
    assert (tmp_path / "a.2.xlsx").read_text() == "notes"
    assert len(cells(target)) == 40


def test_the_history_has_a_sheet_of_its_own(tmp_path: Path) -> None:
    """Prices over time stand beside the items, in one file."""
    journal = tmp_path / "a.journal"
    for number, price in enumerate(("4.50", "5")):
        rows = [row(1, price_info={"sale_price": price})]
        write(journal, {7: [body(rows)]}, refresh=number > 0, fetched_at=1_767_605_400.0 + number)
    summary = export_journal(journal, [str(tmp_path / "a.xlsx")], history=True)
    assert summary.destinations[0].history == 2
    rows_of_history = cells(tmp_path / "a.xlsx", "history")
    assert [entry["price_info_sale_price"].value for entry in rows_of_history] == [4.5, 5]


def test_a_full_disk_leaves_the_workbook_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told; the old file stays, and nothing is left beside it."""
    target = tmp_path / "out" / "a.xlsx"
    target.parent.mkdir()
    target.write_text("old")
    monkeypatch.setattr(XlsxFile, "write", failing(0))
    with pytest.raises(ExportError, match="No space left on device"):
        export_journal(of_rows(tmp_path / "a.journal", row(1)), [str(target)])
    assert target.read_text() == "old"
    assert names(target.parent) == ["a.xlsx"]
