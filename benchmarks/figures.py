"""Copy tables of figures from the result files into the documentation; they are never typed in.

A page marks the place of each table with the name of a result file:

    <!-- figures: client -->
    <!-- /figures -->

`gate/2` is the second table of `gate`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .common import RESULTS

DOCS = Path(__file__).parent.parent / "docs"
PAGES = (DOCS / "performance.md", DOCS / "cluster-plan.md", DOCS / "dividing.md")
BLOCK = re.compile(
    r"(?P<head>^<!-- figures: (?P<name>[\w-]+)(?:/(?P<number>\d))? -->\n)(?P<body>.*?)"
    r"(?=^<!-- /figures -->$)",
    re.MULTILINE | re.DOTALL,
)


def caption(result: dict[str, Any]) -> str:
    """Describe in one line the workload, the command, the machine and the day of a result."""
    machine = result["machine"]
    versions = [f"{name} {version}" for name, version in machine["versions"].items() if version]
    cores = machine["processors"]
    where = ", ".join([f"CPython {machine['python']}", *versions])
    return (
        f"*{result['workload']} (`{result['command']}`). "
        f"{where}; {machine['system']}, {cores} core{'s' * (cores != 1)}; "
        f"{result['code']['date']}.*"
    )


def filled(page: str, results: dict[str, dict[str, Any]]) -> str:
    """Fill each block of a page with the tables of its result and their caption.

    Raises:
        KeyError: The page shows a result that is not there.
    """

    def body(match: re.Match[str]) -> str:
        result = results[match["name"]]
        number = match["number"]
        tables = result["tables"] if number is None else [result["tables"][int(number) - 1]]
        parts = ["\n".join(lines) for lines in tables]
        return match["head"] + "\n" + "\n\n".join([*parts, caption(result)]) + "\n\n"

    return BLOCK.sub(body, page)


def filled_page(path: Path) -> str:
    """Return the text of a page with the present figures.

    Raises:
        FileNotFoundError: The page shows a result that is not there.
    """
    page = path.read_text(encoding="utf-8")
    names = {match["name"] for match in BLOCK.finditer(page)}
    results = {
        name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in names
    }
    return filled(page, results)


def fill_docs() -> int:
    """Fill every page with the present figures. Returns 0."""
    for path in PAGES:
        path.write_text(filled_page(path), encoding="utf-8")
        print(f"written: {path}")
    return 0
