"""Pages of the documentation, their blocks of code, and the marks that say how a block is run.

A mark is an HTML comment before a block, which readers of the page do not see:

- `<!-- not run: REASON -->`: the block is only shown.
- `<!-- exits: 3 -->`: the block ends with this exit code in place of 0.
- `<!-- background -->`: the block is a server; it runs until the next one, or until the page ends.
- `<!-- run: COMMANDS -->`: shell commands that run at this place and are not shown.
- `<!-- folder: checkout -->`, once a page: its commands run in a fresh copy of the project.

The title of a block says more. "Output" is all that the block before it prints; `...` stands for
any text, and alone on its line for any lines. In "Output (numbers vary)" numbers and spaces are not
compared. Any other title is the name of a file that the block is written to.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md") for path in ROOT.glob(pattern)
)
NOTEBOOKS = sorted(
    path for pattern in ("docs/**/*.ipynb", "examples/**/*.ipynb") for path in ROOT.glob(pattern)
)

PYTHON, SHELL = "python", ("bash", "sh")
OUTPUT, ROUGH_OUTPUT = "Output", "Output (numbers vary)"
MARKS = frozenset({"not run", "exits", "background", "run", "folder"})

_TOKEN = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>[\w+-]*)(?P<options>[^\n]*)\n"
    r"(?P<code>.*?)^(?P=indent)(?P=fence) *$"
    r"|(?<!`)<!--(?P<comment>.*?)-->",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"\s*(?P<name>[a-z ]+?)\s*(?::(?P<value>.*))?", re.DOTALL)
_TITLE = re.compile(r'title="([^"]*)"')


class Block(NamedTuple):
    """A block of a page.

    Attributes:
        page: Page.
        line: Number of the first line of its code.
        language: Language, as the page names it.
        title: Title, or "".
        code: Code.
        marks: Name -> value of the marks before it.
    """

    page: Path
    line: int
    language: str
    title: str
    code: str
    marks: dict[str, str]

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_output(self) -> bool:
        """Whether the block shows an output that is compared."""
        return self.title in (OUTPUT, ROUGH_OUTPUT)

    @property
    def is_file(self) -> bool:
        """Whether the block is written to a file."""
        return bool(self.title) and not self.is_output

    @property
    def is_run(self) -> bool:
        """Whether the block is run."""
        known = self.language in (PYTHON, *SHELL)
        return known and not self.title and "not run" not in self.marks


class PageText(NamedTuple):
    """A page that was read.

    Attributes:
        blocks: Its blocks in order, those that are not shown included.
        folder: Value of its mark `folder`, or "".
        loose: Marks that no block follows, by line.
    """

    blocks: list[Block]
    folder: str
    loose: list[str]


def read_page(page: Path) -> PageText:
    """Read the blocks and marks of a page."""
    text = page.read_text(encoding="utf-8")
    blocks: list[Block] = []
    loose: list[str] = []
    folder = ""
    marks: dict[str, str] = {}
    end = 0  # of the last mark
    for token in _TOKEN.finditer(text):
        line = text.count("\n", 0, token.start()) + 1
        if marks and text[end : token.start()].strip():
            loose += [f"{page.relative_to(ROOT)}:{line}: {name}" for name in marks]
            marks = {}
        mark = None if token["comment"] is None else _MARK.fullmatch(token["comment"])
        if token["comment"] is None:
            title = _TITLE.search(token["options"])
            code = textwrap.dedent(token["code"])
            name = title[1] if title else ""
            blocks.append(Block(page, line + 1, token["language"], name, code, marks))
            marks = {}
        elif mark is not None and mark["name"] in MARKS:
            value = textwrap.dedent(mark["value"] or "").strip()
            if mark["name"] == "run":
                blocks.append(Block(page, line, "bash", "", value, {}))
            elif mark["name"] == "folder":
                folder = value
            else:
                marks[mark["name"]] = value
                end = token.end()
    loose += [f"{page.relative_to(ROOT)}: {name} at the end" for name in marks]
    return PageText(blocks, folder, loose)


def same_output(shown: str, printed: str, *, rough: bool) -> bool:
    """Compare the output that a page shows with what was printed.

    Args:
        shown: Text of the page.
        printed: Text that was printed.
        rough: Whether numbers and spaces are left out of the comparison.
    """
    if rough:
        pattern = re.escape(_without_numbers(shown)).replace(r"\.\.\.", ".*")
        return re.fullmatch(pattern, _without_numbers(printed)) is not None
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in _lines(shown)
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _without_numbers(text: str) -> str:
    text = re.sub(r"\d[\d.,:]*", "N", text)
    return " ".join(re.sub(r"([-─━═])\1+", r"\1", text).split())


def page_ids(pages: list[Path]) -> list[str]:
    """Return names of pages for the parameters of tests."""
    return [str(page.relative_to(ROOT)) for page in pages]


def prose_of(page: Path, *, keep_code_words: bool = False) -> str:
    """Return the text of a page without blocks, comments and words of code.

    Spaces stand for them, and "`" for words of code: every other character keeps its place.

    Args:
        page: Page.
        keep_code_words: Whether words of code stay, without their quotes.
    """
    text = _TOKEN.sub(_blank, page.read_text(encoding="utf-8"))
    if keep_code_words:
        return text.replace("`", "")
    return re.sub(r"(`+)[^`]+?\1", lambda match: re.sub(r"[^\n]", "`", match[0]), text)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])
