"""Check the rules of this project that no linter knows: docstrings, sizes and names.

Run by `make lint`. Prints one line per finding. The exit status is 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path("tmapi_async")

# A docstring starts with a verb or a noun. These words start a riddle or a relative clause.
FIRST_WORDS = {
    *("As", "How", "It", "That", "Those"),
    *("What", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whose"),
}
# Sections of a docstring whose entries keep the same rule.
KEYED_SECTIONS = {"Args:", "Attributes:", "Raises:"}
SECTIONS = KEYED_SECTIONS | {"Returns:", "Yields:"}
ENTRY = re.compile(r"(?:[\w*`][^:]*: )?(\w+)")
DOCSTRINGS_IN = ("tmapi_async", "benchmarks", "scripts")

FILE_LINES = 400
FUNCTION_LINES = 60
FUNCTION_LINES_P90 = 25
MODULES_IN_A_FOLDER = 16
ENTRIES_AT_THE_TOP = 14

NOT_ENTRIES = {"__init__.py", "__pycache__", "py.typed"}
SAME_MODULE_NAMES = {"__init__.py", "__main__.py"}
# One file a command, named after the command: its name says which, and nobody else imports it.
COMMANDS = PACKAGE / "cli" / "commands"
# Two public classes of one name, both promised: a listing to ask for, and one of the sandbox.
SAME_CLASS_NAMES = {"Listing"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Print every finding. Returns 1 if there is one."""
    findings = [finding for rule in RULES for finding in rule()]
    for finding in findings:
        print(finding)
    return int(bool(findings))


def sources(folder: str | Path) -> Iterator[tuple[Path, ast.Module]]:
    """Parse every Python file below a folder."""
    for path in sorted(Path(folder).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def first_words() -> Iterator[str]:
    """Find docstrings, and entries of their sections, that start with a word of `FIRST_WORDS`.

    Docstrings of constants are checked, too.
    """
    for folder in DOCSTRINGS_IN:
        for path, tree in sources(folder):
            for node in ast.walk(tree):
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                    for line, word in starts(str(node.value.value)):
                        if word in FIRST_WORDS:
                            place = f"{path}:{node.lineno + line}"
                            yield f"{place}: starts with {word!r}; use a verb or a noun"


def starts(docstring: str) -> Iterator[tuple[int, str]]:
    """Yield the first word of a docstring and of each entry of its sections, by line."""
    yield 0, docstring.partition(" ")[0].strip(",.:;\n")
    title, section, entries = "", -1, 0  # the section's title, its indent, that of its entries
    for number, line in enumerate(docstring.splitlines()):
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if text in SECTIONS:
            title, section, entries = text, depth, 0
        elif text and depth <= section:
            section = -1
        elif text and section >= 0 and entries in (0, depth):
            # A returned value is one text: its later lines are no entries.
            entries = depth if title in KEYED_SECTIONS else -1
            if match := ENTRY.match(text):
                yield number, match[1]


def file_sizes() -> Iterator[str]:
    """Find files of the package that are too long."""
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            yield f"{path}: {lines} lines; at most {FILE_LINES}"


def body_lines(function: Function) -> int:
    """Count the lines of a function's body, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def function_sizes() -> Iterator[str]:
    """Find functions of the package that are too long, singly and as a whole."""
    sizes = []
    for path, tree in sources(PACKAGE):
        for node in ast.walk(tree):
            if not isinstance(node, Function):
                continue
            lines = body_lines(node)
            sizes.append(lines)
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name}: {lines} lines; at most {FUNCTION_LINES}"
    p90 = sorted(sizes)[len(sizes) * 9 // 10] if sizes else 0
    if p90 > FUNCTION_LINES_P90:
        yield f"{PACKAGE}: p90 of function bodies is {p90} lines; at most {FUNCTION_LINES_P90}"


def folder_sizes() -> Iterator[str]:
    """Find folders of the package with too many modules, and a crowded top."""
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")}):
        modules = [path for path in folder.glob("*.py") if path.name not in SAME_MODULE_NAMES]
        if len(modules) > MODULES_IN_A_FOLDER:
            yield f"{folder}: {len(modules)} modules; at most {MODULES_IN_A_FOLDER}"
    entries = {path.name for path in PACKAGE.iterdir()} - NOT_ENTRIES
    if len(entries) > ENTRIES_AT_THE_TOP:
        yield f"{PACKAGE}: {len(entries)} entries at the top; at most {ENTRIES_AT_THE_TOP}"


def repeated_names() -> Iterator[str]:
    """Find modules of one name and classes of one name in the package."""
    modules, classes = defaultdict(list), defaultdict(list)
    for path, tree in sources(PACKAGE):
        if path.name not in SAME_MODULE_NAMES and path.parent != COMMANDS:
            modules[path.name].append(str(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name not in SAME_CLASS_NAMES:
                classes[node.name].append(f"{path}:{node.lineno}")
    for names in (modules, classes):
        for name, places in names.items():
            if len(places) > 1:
                yield f"{places[0]}: {name} is also in {', '.join(places[1:])}"


RULES = (first_words, file_sizes, function_sizes, folder_sizes, repeated_names)

if __name__ == "__main__":
    sys.exit(main())
