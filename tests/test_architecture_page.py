"""The pages for contributors name places that exist."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

PAGES = [
    page for page in (ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md") if page.is_file()
]
PLACE = re.compile(r"`([\w./]+(?:/|\.py|\.md|\.toml))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_place_that_the_page_names_exists(page) -> None:
    """A path in backticks is a file or folder of the checkout or of the package."""
    places = PLACE.findall(page.read_text(encoding="utf-8"))
    assert places
    roots = (ROOT, ROOT / "tmapi_async", ROOT / "docs")
    missing = [place for place in places if not any((root / place).exists() for root in roots)]
    assert missing == []
