"""Tables as plain text, the same on a terminal and in a file."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from tmapi_async.errors.escaping import escape_controls

_MAX_CELL_WIDTH = 60


def format_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay out a table.

    Args:
        headings: Headings; those of columns of numbers begin with `>` and are aligned right.
        rows: Cells; numbers get thousands separators, None is empty, long text is cut.

    Returns:
        Lines of the table, without trailing blanks.
    """
    right = [heading.startswith(">") for heading in headings]
    table = [[heading.lstrip(">") for heading in headings]]
    table += [[_cell(value) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            " " * (width - cell_len(cell)) + cell if aligned else set_cell_size(cell, width)
            for cell, width, aligned in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in table
    ]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    text = escape_controls(" ".join(str(value).split()))
    if cell_len(text) <= _MAX_CELL_WIDTH:
        return text
    return set_cell_size(text, _MAX_CELL_WIDTH - 3).rstrip() + "..."
