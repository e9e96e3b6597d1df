"""Changes written to files."""

from __future__ import annotations

from decimal import Decimal

from tmapi_async import Item
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export.changes.change_files import (
    format_amount,
    json_lines,
    parse_change_destinations,
    write_changes,
)
from tmapi_async.export.changes.diff import compare
from tmapi_async.export.changes.sightings import ItemPairs, Sightings


def changes_to(*items):
    """Return the changes from an empty listing to one with some items."""
    after = Sightings()
    after.add("a", 1, items)
    return compare(ItemPairs(Sightings(), after, {"a"}, {"a"}), CATEGORY_ITEMS)


def write_file(batches, path, *, csv_bom=False):
    """Write changes to one file."""
    (destination,) = parse_change_destinations([str(path)], path.with_name("j"), csv_bom=csv_bom)
    write_changes(batches, destination)


def test_a_title_of_a_stranger_cannot_start_a_formula_in_csv(tmp_path):
    """Titles in a CSV of changes cannot start a formula in a spreadsheet."""
    table = changes_to(Item(item_id=1, title="=1+1"))
    write_file(table.to_batches(), tmp_path / "changes.csv")
    assert '"\'=1+1"' in (tmp_path / "changes.csv").read_text("utf-8")


def test_amounts_keep_every_digit_and_at_least_two_decimals():
    """Amounts in JSON are exact text: no exponent, every digit, and at least two decimals."""
    texts = ["5", "0", "7.1", "0.0123", "100000"]
    assert [format_amount(Decimal(text)) for text in texts] == [
        "5.00",
        "0.00",
        "7.10",
        "0.0123",
        "100000.00",
    ]


def test_no_change_is_an_empty_table_in_every_form(tmp_path):
    """Two equal runs give files without rows."""
    table = changes_to()
    for name in ("c.csv", "c.jsonl", "c.parquet"):
        write_file(table.to_batches(), tmp_path / name)
    assert (tmp_path / "c.csv").read_text().startswith('"change"')
    assert (tmp_path / "c.jsonl").read_bytes() == b"" == b"".join(json_lines(table.to_batches()))


def test_a_csv_of_changes_begins_with_a_byte_order_mark_on_request(tmp_path):
    """Excel on Windows needs the mark to read Chinese; other forms have none."""
    table = changes_to(Item(item_id=1, title="连衣裙"))
    write_file(table.to_batches(), tmp_path / "c.csv", csv_bom=True)
    write_file(table.to_batches(), tmp_path / "c.jsonl")
    assert (tmp_path / "c.csv").read_text("utf-8-sig").startswith('"change"')
    assert (tmp_path / "c.csv").read_bytes().count(b"\xef\xbb\xbf") == 1
    assert (tmp_path / "c.jsonl").read_bytes().startswith(b"{")
