"""Help texts for narrow terminals: each option on a line of its own, its text below.

The boxes of the usual help have columns, and cut the names of options where there is no room.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

NARROW = 60
"""Cells of a line below which a terminal is narrow."""

_INDENT = 4
_USUAL = 80


def fit_help(command: Any) -> None:
    """Let a command print its help for a narrow terminal, if it has one.

    Args:
        command: A command or a group. Its types are Click's, of which newer versions of Typer have
            a copy of their own.
    """
    width = _terminal_width()
    if width >= NARROW:
        return
    context = command.context_class
    base: Any = context.formatter_class

    class NarrowFormatter(base):  # type: ignore[misc]
        """Writes lists of definitions as lines of two kinds."""

        def __init__(self, **_: Any) -> None:
            super().__init__(indent_increment=1, width=width - 1)

        def write_dl(self, rows: Sequence[tuple[str, str]], *_: Any, **__: Any) -> None:
            for name, text in rows:
                self.write(f"{' ' * self.current_indent}{name}\n")
                self.current_indent += _INDENT
                self.write_text(text)
                self.current_indent -= _INDENT

    command.rich_markup_mode = None
    command.context_class = type("NarrowContext", (context,), {"formatter_class": NarrowFormatter})


def _terminal_width() -> int:
    """Return the cells of a line of the terminal that any standard stream is connected to."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    for number in (1, 2, 0):
        with suppress(OSError):
            return os.get_terminal_size(number).columns or _USUAL
    return _USUAL
