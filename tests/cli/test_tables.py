"""Tables as plain text."""

from __future__ import annotations

from rich.cells import cell_len

from tmapi_async.cli.tables import format_table


def test_columns_line_up_with_wide_characters() -> None:
    """A Chinese character takes two cells on a terminal; the next column begins where it should."""
    lines = format_table(("title", ">items"), [("连衣裙", 1), ("dress", 20_000)])
    assert lines == [
        "title    items",
        "连衣裙       1",
        "dress   20,000",
    ]
    assert {cell_len(line) for line in lines} == {14}


def test_long_cells_are_cut() -> None:
    """A cell is at most sixty cells wide, whatever its characters are."""
    for text in ("x" * 61, "裙" * 31, "a" + "裙" * 40):
        _, line = format_table(("title",), [(text,)])
        assert cell_len(line) <= 60
        assert line.endswith("...")
    _, line = format_table(("title",), [("裙" * 30,)])
    assert line == "裙" * 30


def test_cells_become_one_line() -> None:
    """Line breaks in a title do not break the table; None is empty, numbers have separators."""
    assert format_table(("a", ">b"), [("x\n y", 1234), (None, None)]) == [
        "a        b",
        "x y  1,234",
        "",
    ]
