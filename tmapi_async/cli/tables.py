"""Tables as plain text. On a narrow terminal columns without content are left out, then stacked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from tmapi_async.errors.escaping import escape_controls

_MAX_CELL_WIDTH = 60
_SHORTEST_TEXT = 24
_GAP = "  "
_NO_BREAK = "\u00a0"


def format_time(seconds: float) -> str:
    """Return a time, given in seconds since 1970, as text in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def format_duration(seconds: float) -> str:
    """Return a duration as text, such as "12.5 s" or "1:02:03"."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def format_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None
) -> list[str]:
    """Lay out a table.

    Args:
        headings: Headings; those of columns of numbers begin with `>` and are aligned right.
        rows: Cells; numbers get thousands separators, None is empty, long text is cut.
        width: Cells of the terminal; None for any width. A table that does not fit is made to:
            without the columns that say nothing, with shorter texts, at last as blocks of lines.

    Returns:
        Lines of the table, without trailing blanks; none if there is no row.
    """
    if not rows:
        return []
    right = [heading.startswith(">") for heading in headings]
    table = [[heading.lstrip(">") for heading in headings]]
    table += [[_cell(value) for value in row] for row in rows]
    if width is not None and _width(table) > width:
        table, right = _without_empty_columns(table, right)
        shorter = _with_shorter_texts(table, right, width)
        if _width(shorter) > width:
            return _stacked(table, width)
        table = shorter
    widths = _column_widths(table)
    return [
        _GAP.join(
            " " * (column - cell_len(cell)) + cell if aligned else set_cell_size(cell, column)
            for cell, column, aligned in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in table
    ]


def _column_widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(*table, strict=True)]


def _width(table: Sequence[Sequence[str]]) -> int:
    widths = _column_widths(table)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _without_empty_columns(
    table: list[list[str]], right: list[bool]
) -> tuple[list[list[str]], list[bool]]:
    kept = [
        index
        for index, (_, *cells) in enumerate(zip(*table, strict=True))
        if index == 0 or any(cell not in ("", "0") for cell in cells)
    ]
    return [[line[index] for index in kept] for line in table], [right[index] for index in kept]


def _with_shorter_texts(table: list[list[str]], right: list[bool], width: int) -> list[list[str]]:
    """Cut the texts of the widest columns until the table fits, or they would say too little."""
    table, widths = [[*line] for line in table], _column_widths(table)
    texts = [index for index, aligned in enumerate(right) if not aligned]
    while texts and _width(table) > width:
        widest = max(texts, key=lambda index: widths[index])
        surplus = _width(table) - width
        if widths[widest] <= _SHORTEST_TEXT:
            break
        widths[widest] = max(_SHORTEST_TEXT, widths[widest] - surplus)
        for line in table:
            line[widest] = cut_text(line[widest], widths[widest])
    return table


def _stacked(table: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return each row as a block: its first cell, and the others with their headings below."""
    headings, *rows = table
    lines: list[str] = []
    for first, *others in rows:
        title = f"{headings[0]} {first}" if first.replace(",", "").isdigit() else first
        lines += textwrap.wrap(title, width) or [""]
        pairs = zip(headings[1:], others, strict=True)
        cells = [f"{heading} {cell}".replace(" ", _NO_BREAK) for heading, cell in pairs if cell]
        wrapped = textwrap.wrap(
            ", ".join(cells), width, initial_indent=_GAP, subsequent_indent=_GAP
        )
        lines += [line.replace(_NO_BREAK, " ") for line in wrapped]
    return lines


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return cut_text(escape_controls(" ".join(str(value).split())), _MAX_CELL_WIDTH)


def cut_text(text: str, width: int) -> str:
    """Return a text that takes at most so many cells; a longer one ends with three dots."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 3).rstrip() + "..."
