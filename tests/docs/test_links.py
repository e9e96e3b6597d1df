"""Links of the documentation lead to files, headings and names that exist."""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.doc_pages import PAGES, page_ids, prose_of
from tests.support.paths import ROOT

LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6} +(.+?)(?: *\{ *#([\w-]+) *\})? *$", re.MULTILINE)
EXPLICIT = re.compile(r"(?:\bid|\bname)=\"([^\"]+)\"|\{ *#([\w-]+) *\}")
PATH = re.compile(
    r"`((?:tests|benchmarks|examples|scripts|docs|tmapi_async)/[\w./-]*\w|[\w-]+(?:/[\w-]+)+\.py)`"
)


def site_slug(heading: str) -> str:
    """Return the anchor of a heading on the site."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def forge_slug(heading: str) -> str:
    """Return the anchor of a heading where a forge shows the page."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@functools.cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page, on the site and on a forge."""
    text = prose_of(page, keep_code_words=True)
    headings = [
        re.sub(r"\[([^]]*)\]\([^)]*\)|[*]", r"\1", one[1]) for one in HEADING.finditer(text)
    ]
    whole = page.read_text(encoding="utf-8")
    named = {first or second for first, second in EXPLICIT.findall(whole)}
    slugs = [slug(heading) for heading in headings for slug in (site_slug, forge_slug)]
    return named | set(slugs)


@functools.cache
def is_generated(page: Path) -> bool:
    """Return whether the site makes a part of a page itself: MkDocs checks its anchors."""
    text = page.read_text(encoding="utf-8")
    return re.search(r"^(:::|<!-- command:|--8<--)", text, re.MULTILINE) is not None


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link that names no other host is a file of the project, and its anchor is there."""
    dead = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        known = file.suffix != ".md" or not anchor or anchor in anchors(file) or is_generated(file)
        if not file.exists() or not known:
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_files_that_a_page_names_exist(page: Path) -> None:
    """Each path of the project that a page names is there."""
    if page.name == "CHANGELOG.md":
        pytest.skip("says what was there once")
    named = set(PATH.findall(page.read_text(encoding="utf-8")))
    named = {name for name in named if not re.search(r"\b[A-Z]{3,}\b", name)}  # NAME stands for any
    places = (ROOT, ROOT / "tmapi_async", ROOT / "tests")
    gone = [name for name in named if not any((place / name).exists() for place in places)]
    assert sorted(gone) == []
