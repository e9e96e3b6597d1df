"""The tables that the documentation shows: copied from what a run kept, never typed in."""

from __future__ import annotations

import json
import re
from pathlib import Path

BLOCK = re.compile(
    r'(?P<head>^```text title="(?P<name>\w+)"\n)(?P<body>.*?)(?=^```$)', re.MULTILINE | re.DOTALL
)


def filled(page: str, found: dict[str, dict[str, list[list[str]]]]) -> str:
    """A page with the tables of each scenario that it names as the title of a text block.

    Raises:
        KeyError: The page shows a scenario that was not run.
    """

    def body(match: re.Match[str]) -> str:
        tables = found[match["name"]]["tables"]
        return match["head"] + "\n\n".join("\n".join(lines) for lines in tables) + "\n"

    return BLOCK.sub(body, page)


def fill(page: Path, kept: Path) -> None:
    """Put the tables kept in a file into a page."""
    found = json.loads(kept.read_text(encoding="utf-8"))
    page.write_text(filled(page.read_text(encoding="utf-8"), found), encoding="utf-8")
