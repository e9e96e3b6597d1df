"""`--to A B` is the same as `--to A --to B`, with every command that can repeat `--to`."""

from __future__ import annotations

import pytest

from tmapi_async.cli.options.several_values import Positionals, repeat_option


@pytest.mark.parametrize(
    ("line", "positionals", "parsed"),
    [
        ("F --to a b", "file", "F --to a --to b"),
        ("F --to a - b --json", "file", "F --to a --to - --to b --json"),
        ("F --to a --top 3 b", "file", "F --to a --top 3 b"),
        ("F --to=a b", "file", "F --to=a b"),
        ("--to a F", "file", "--to a F"),
        ("--to a F b", "file", "--to a F b"),
        ("1 --to a b 2 c", "ids", "1 --to a --to b 2 c"),
        ("--to a b @ids.txt", "ids", "--to a --to b @ids.txt"),
        ("--to a b -", "ids", "--to a --to b -"),
        ("--to - 1", "ids", "--to - 1"),
        ("--to a b -q", "none", "--to a --to b -q"),
        ("", "file", ""),
        ("F --to", "file", "F --to"),
    ],
)
def test_each_value_gets_the_option(line: str, positionals: Positionals, parsed: str) -> None:
    """Values after the option get the option; IDs, options and what follows those do not."""
    assert list(repeat_option("--to", line.split(), positionals)) == parsed.split()
