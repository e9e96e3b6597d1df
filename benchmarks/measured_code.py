"""The code that a result speaks of: its fingerprints, kept with the figures.

    python -m benchmarks --outdated

A result names the packages or modules of `tmapi_async` whose work it measures, each with a
fingerprint of its source. Comments, docstrings and blank lines do not count. So a figure that is
older than the code can be told from one that is not, without the history of the repository.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tokenize
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent / "tmapi_async"

WALK = ("api", "client", "crawl", "limits", "transport")
HARVEST = (*WALK, "harvest", "journal")
EXPORT = ("api", "export", "journal")
FRONTIER = tuple(
    f"crawl/{module}.py"
    for module in ("answers", "frontier", "lookahead", "page_tracker", "requested_pages")
)
SUBJECTS: dict[str, tuple[str, ...]] = {
    "cache": (*WALK, "journal"),
    "client": WALK,
    "client-uvloop": WALK,
    "cluster": HARVEST,
    "decode": ("api",),
    "export": EXPORT,
    "first-run": WALK,
    "gate": WALK,
    "gate-processes": WALK,
    "harvest": HARVEST,
    "harvest-uvloop": HARVEST,
    "instructions": HARVEST,
    "memory": HARVEST,
    "observing": WALK,
    "peers": HARVEST,
    "readers": (*EXPORT, "cli"),
    "report": (*EXPORT, "report"),
    "service": WALK,
    "simulation": (*FRONTIER, "limits"),
    "split": WALK,
    "startup": ("cli",),
    "watching": (*HARVEST, "cli"),
}
"""Name of a result -> the packages or modules whose work it measures."""


def measured_code(name: str) -> dict[str, Any]:
    """Describe the present code that a result speaks of.

    Returns:
        `date`, that of today, and `fingerprints`: package or module -> fingerprint of its source.
    """
    packages = SUBJECTS[name]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "fingerprints": {package: fingerprint(SOURCE / package) for package in packages},
    }


@cache
def fingerprint(package: Path) -> str:
    """Return 16 hexadecimal digits that change with the code of a package, not with comments.

    Args:
        package: Folder of a package, or file of a module.
    """
    digest = hashlib.sha256()
    for path in [package] if package.is_file() else sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(bare_source(path.read_text(encoding="utf-8")).encode() + b"\0")
    return digest.hexdigest()[:16]


def bare_source(source: str) -> str:
    """Remove comments, docstrings and blank lines from a module."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in _bare_texts(ast.parse(source)):
        for row in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _bare_texts(tree: ast.AST) -> Iterator[ast.Expr]:
    """Yield the statements that are a text alone: docstrings, of attributes as well."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                yield node


def outdated(results: Path) -> Iterator[str]:
    """Yield a line for each result whose code has changed since it was measured.

    Args:
        results: Folder of the result files.
    """
    for name in sorted(SUBJECTS):
        content = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        for part, result in _parts(name, content):
            changed = changed_packages(name, result)
            if changed:
                since = result.get("code", {}).get("date", "an unknown day")
                yield f"{part}: measured on {since}; changed since then: {', '.join(changed)}"


def _parts(name: str, content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what was measured at one time: a result, or each scenario of the simulator."""
    if "machine" in content:
        yield name, content
    else:
        yield from ((f"{name} {scenario}", result) for scenario, result in content.items())


def changed_packages(name: str, result: Mapping[str, Any]) -> list[str]:
    """Return the packages of a result whose code is not the measured one."""
    found = result.get("code", {}).get("fingerprints", {})
    present = measured_code(name)["fingerprints"]
    return [package for package, value in present.items() if found.get(package) != value]
