"""Check the built site: every option can be found, and no page asks another host for anything.

    python scripts/check_site.py [FOLDER]

`make docs` runs it. The search is repeated here without a browser: a text is split as the search of
the site splits it, and a page is found if one of its sections has all words of the question.
"""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmapi_async import __version__, errors
from tmapi_async.cli.app import COMMANDS

OPTION = re.compile(r"<code>(--[a-z][\w-]+)</code>")
TAG = re.compile(r"<[^>]*>")
LOADED = re.compile(r'<(?:script|img|iframe)\b[^>]*?\bsrc="((?:https?:)?//[^"]*)"')
STYLE = re.compile(
    r'<link\b[^>]*?\brel="(?:stylesheet|preload|icon)"[^>]*?\bhref="((?:https?:)?//[^"]*)"'
)


def words_of(text: str, separator: re.Pattern[str]) -> set[str]:
    """Return the words of a text, as the search of the site splits it."""
    return {word.lower() for word in separator.split(html.unescape(text)) if word}


def sections(index: dict[str, Any]) -> Iterator[set[str]]:
    """Yield the words of each section in the search index."""
    separator = re.compile(index["config"]["separator"])
    for section in index["docs"]:
        yield words_of(f"{section['title']} {TAG.sub(' ', section['text'])}", separator)


def not_found(site: Path) -> Iterator[str]:
    """Yield the options and error classes that the search does not find."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    separator = re.compile(index["config"]["separator"])
    known = list(sections(index))
    pages = [site / "reference" / "commands" / f"{name}.html" for name in COMMANDS]
    options = {option for page in pages for option in OPTION.findall(page.read_text("utf-8"))}
    for question in sorted(options | set(errors.__all__)):
        words = words_of(question.lstrip("-"), separator)
        if not any(words <= section for section in known):
            yield f"the search does not find {question}"


def foreign(page: Path) -> Iterator[str]:
    """Yield what a page loads from another host."""
    text = page.read_text(encoding="utf-8")
    for address in (*LOADED.findall(text), *STYLE.findall(text)):
        yield f"{page} loads {address}"


def main() -> int:
    """Print what is wrong. Returns 1 if anything is."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    found = list(not_found(site))
    for page in sorted(site.rglob("*.html")):
        found += foreign(page)
    if __version__ not in (site / "index.html").read_text(encoding="utf-8"):
        found.append("the first page does not show the version")
    for text in found:
        print(text)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
