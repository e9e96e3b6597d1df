"""Tables as plain text, the same on a terminal and in a file."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_LONGEST_CELL = 60


def lines(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay out a table.

    Args:
        heads: Headings; those of columns of numbers begin with `>` and are set to the right.
        rows: Cells; numbers get thousands separators, None is empty, long text is cut.

    Returns:
        Its lines, without trailing blanks.
    """
    right = [head.startswith(">") for head in heads]
    cells = [[head.lstrip(">") for head in heads]]
    cells += [[_cell(value) for value in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            (" " * (width - _width(cell)) + cell) if flush else cell + " " * (width - _width(cell))
            for cell, width, flush in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    ]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."


def _width(text: str) -> int:
    """Columns on a terminal: Chinese takes two each."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
