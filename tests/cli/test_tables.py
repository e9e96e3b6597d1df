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


STARTS = (">start", "started", "end", ">requests", ">wasted", "codes")
ROWS = [
    (1, "2026-11-26 01:39:43Z", "finished", 1_204, 0, "200 x 1,200, 503 x 4, malformed x 12"),
    (2, "2026-11-27 01:39:43Z", "signal", 20, 0, "200 x 20"),
]


def test_a_table_that_fits_is_left_as_it_is() -> None:
    """A width changes nothing as long as the table fits."""
    assert format_table(STARTS, ROWS, 200) == format_table(STARTS, ROWS)


def test_a_narrow_table_leaves_out_what_says_nothing_and_cuts_texts() -> None:
    """Columns of zeros go first; then the widest text is cut."""
    lines = format_table(STARTS, ROWS, 80)
    assert "wasted" not in lines[0]
    assert max(map(cell_len, lines)) <= 80
    assert lines[1].endswith("200 x 1,200, 503 x 4, malfor...")


def test_a_table_for_forty_columns_is_a_block_for_each_row() -> None:
    """Each row is named by its first cell, and every figure by its heading."""
    lines = format_table(STARTS, ROWS, 40)
    assert max(map(cell_len, lines)) <= 40
    assert lines[0] == "start 1"
    assert lines[1].startswith("  started 2026-11-26")
    assert "requests 1,204" in " ".join(lines)
    assert lines.count("start 2") == 1


def test_a_block_is_named_by_its_text() -> None:
    """A row that begins with a text is named by this text alone."""
    rows = [("category/items?cat_id=1031910", "complete", 100, 2000)]
    lines = format_table(("listing", "state", ">pages", ">items"), rows, 36)
    assert lines == [
        "category/items?cat_id=1031910",
        "  state complete, pages 100,",
        "  items 2,000",
    ]
