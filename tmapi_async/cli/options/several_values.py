"""Several values after one option: `--to A B` is the same as `--to A --to B`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

Positionals: TypeAlias = Literal["none", "file", "ids"]
"""Arguments of a command besides its options: none, a file that comes first, or IDs."""

_STANDARD_STREAM = "-"


def repeat_option(option: str, arguments: Sequence[str], positionals: Positionals) -> Iterator[str]:
    """Yield the arguments with the option before each of the values that follow it.

    Args:
        option: Name of an option that can be repeated, with one value each time.
        arguments: Arguments of the command.
        positionals: Other arguments of the command. After the option, a number, a list of IDs
            (`@FILE`) and `-` are IDs and no values. A file that does not come first is looked for
            among the values: then nothing is changed.
    """
    if positionals == "file" and (not arguments or _is_option(arguments[0])):
        yield from arguments
        return
    value_is_due = in_list = False
    for argument in arguments:
        if value_is_due:
            value_is_due, in_list = False, True
        elif _is_option(argument):
            value_is_due, in_list = argument == option, False
        elif in_list:
            in_list = positionals != "ids" or not _is_id(argument)
            if in_list:
                yield option
        yield argument


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and argument != _STANDARD_STREAM


def _is_id(argument: str) -> bool:
    return argument.startswith(("-", "@")) or argument.isdigit()
