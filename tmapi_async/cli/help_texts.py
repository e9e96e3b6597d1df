"""Help texts: options in groups, those that matter most first, examples, narrow terminals.

On a narrow terminal each option has a line of its own, with its text below. The boxes of the usual
help have columns, and cut the names of options where there is no room.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

NARROW = 60
"""Cells of a line below which a terminal is narrow."""

_OTHERS = "More options"
_INDENT = 4
_USUAL = 80


def arrange_help(command: Any, first: Sequence[str], examples: Sequence[str]) -> None:
    """Put the options that matter most before all others, and examples at the end.

    Args:
        command: A command.
        first: Names of the options for the first group, which has no others; () to leave all
            groups as they are.
        examples: Command lines.
    """
    command.epilog = "\n".join(["Examples:", *examples])
    if not first:
        return
    for param in command.params:
        if param.param_type_name == "option":
            has_panel = getattr(param, "rich_help_panel", None)
            param.rich_help_panel = None if param.name in first else has_panel or _OTHERS
    order = {name: place for place, name in enumerate(first)}
    command.params.sort(key=lambda param: order.get(param.name, len(order)))


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
    command.epilog = (command.epilog or "").replace("\n", "\n\n")  # each line is wrapped by itself
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
