"""Copy tables from the results of a run into the documentation; they are never typed in."""

from __future__ import annotations

import json
import re
from pathlib import Path

BLOCK = re.compile(
    r'(?P<head>^```text title="(?P<name>\w+)"\n)(?P<body>.*?)(?=^```$)', re.MULTILINE | re.DOTALL
)


def filled(page: str, results: dict[str, dict[str, list[list[str]]]]) -> str:
    """Fill each text block titled with the name of a scenario with the tables of that scenario.

    Raises:
        KeyError: The page shows a scenario that was not run.
    """

    def body(match: re.Match[str]) -> str:
        tables = results[match["name"]]["tables"]
        return match["head"] + "\n\n".join("\n".join(lines) for lines in tables) + "\n"

    return BLOCK.sub(body, page)


def fill(page: Path, kept: Path) -> None:
    """Replace the tables of a page by those in a result file."""
    results = json.loads(kept.read_text(encoding="utf-8"))
    page.write_text(filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
