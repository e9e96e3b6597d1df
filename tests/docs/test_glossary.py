"""A page links each word of the glossary where it uses the word first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.doc_pages import PAGES, page_ids, prose_of
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GLOSSARY = ROOT / "docs" / "glossary.md"
USERS = "## Words of these pages"
CODE = "## Words of the code"

# The glossary itself, what was true once, and a list for those who make releases.
APART = {"glossary.md", "changelog.md", "CHANGELOG.md", "releasing.md", "SECURITY.md"}
READ = [page for page in PAGES if page.name not in APART]

LINK = re.compile(r"\[([^\[\]]*)\]\(([^)]*)\)")
NOT_PROSE = re.compile(r"^ *(?:#|\||:::|!!!|\?\?\?).*$", re.MULTILINE)

# Words that are plain English, too. These count where an article or the like shows a noun.
NOUNS = {"run", "start", "share", "visit", "guess", "walk", "part"}
_ARTICLE = "a|an|the|each|every|its|one|another|this"
_ADJECTIVE = (
    "whole|new|first|last|latest|earlier|later|next|finished|unfinished|interrupted|complete"
)
NOUN = rf"(?<=\s)(?:(?:{_ARTICLE})\s+(?:(?:{_ADJECTIVE})\s+)?|(?:{_ADJECTIVE})\s+)[\[*]*"

# Endings of a listing. In plain sentences these are plain words; as names of an ending, set off.
ENDINGS = {"complete", "empty", "failed", "stopped"}


# A page may use a word in its plain sense alone: `<!-- plain: run, start -->`.
PLAIN = re.compile(r"(?<!`)<!-- plain: ([^>]*?) *-->")


class Use(NamedTuple):
    """The first use of a word on a page.

    Attributes:
        word: The word.
        text: Form that the page uses.
        start: Place in the page's text.
        target: Target of the link that it is in, or "".
    """

    word: str
    text: str
    start: int
    target: str


def words(page: Path = GLOSSARY) -> list[str]:
    """Return the words that users meet, the longest first."""
    text = page.read_text(encoding="utf-8")
    part = text[text.index(USERS) : text.index(CODE)]
    return sorted(re.findall(r"^### (.+)$", part, re.MULTILINE), key=len, reverse=True)


def pattern_of(word: str) -> re.Pattern[str]:
    """Return the pattern of a word in its forms."""
    forms = r"\s+".join(map(re.escape, word.lower().split())) + "(?:e?s)?"
    if word.lower() in ENDINGS:
        return re.compile(rf"(?<=\*)(?P<word>{forms})(?=\*)", re.IGNORECASE)
    before = NOUN if word.lower() in NOUNS else r"(?<![\w`/.-])(?<!this )(?<!web )"
    return re.compile(rf"{before}(?P<word>{forms})(?![\w/-]|\.\w)", re.IGNORECASE)


def first_uses(text: str, plain: frozenset[str] = frozenset()) -> Iterator[Use]:
    """Yield the first use of each word in a text, other links left out.

    Args:
        text: Prose of a page.
        plain: Words that the page uses in their plain sense.
    """
    prose = NOT_PROSE.sub(lambda match: " " * len(match[0]), text)
    links = [(match.start(), match.end(), match[2]) for match in LINK.finditer(prose)]
    taken: list[tuple[int, int]] = []
    for word in words():
        if word.lower() in plain:
            continue
        for match in pattern_of(word).finditer(prose):
            start, end = match.span("word")
            if any(first <= start < last for first, last in taken):
                continue  # a part of a longer word
            taken.append((start, end))
            around = [target for first, last, target in links if first <= start < last]
            if not around or "glossary.md#" in around[0]:
                yield Use(word, match["word"], start, "".join(around))
                break


def plain_words(page: Path) -> frozenset[str]:
    """Return the words that a page uses in their plain sense."""
    lists = PLAIN.findall(page.read_text(encoding="utf-8"))
    return frozenset(word.strip().lower() for one in lists for word in one.split(","))


@pytest.mark.parametrize("page", READ, ids=page_ids(READ))
def test_words_are_linked_at_their_first_use(page: Path) -> None:
    """A reader who meets a word of the glossary can look it up at once."""
    text = prose_of(page)
    unlinked = []
    for use in first_uses(text, plain_words(page)):
        anchor = f"glossary.md#{use.word.lower().replace(' ', '-')}"
        if not use.target.endswith(anchor):
            unlinked.append(f"line {text.count(chr(10), 0, use.start) + 1}: {use.text} -> {anchor}")
    assert unlinked == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A journal keeps journals.", ["journal"]),
        ("Run the same command; the run of a harvest ends.", ["run"]),
        ("Start it, and starts are counted.", []),
        ("Walks of one `TMAPI` share what processes that share have.", []),
        ("The next [start](glossary.md#start) begins.", ["start"]),
        ("[The journal](x.md) and a [journal](glossary.md#journal).", ["journal"]),
        ("An abandoned request, but no `journal`.", ["abandoned request"]),
        ("A complete list. It ends *complete*.", ["complete"]),
        ("# A journal", []),
        ("| a journal |", []),
    ],
)
def test_uses_are_found(text: str, found: list[str]) -> None:
    """Nouns and endings in prose count; headings, tables, code and other links do not."""
    prose = re.sub(r"`[^`]+`", lambda match: "`" * len(match[0]), text)
    assert sorted(use.word.lower() for use in first_uses(prose)) == found
