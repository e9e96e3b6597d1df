"""Names of the package that pages mention exist, and can be imported from where the pages say."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.support.doc_pages import PAGES, page_ids
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOTTED = re.compile(r"(?<![\w/.-])tmapi_async(?:\.[A-Za-z_]\w*)+(?![\w/*-])")
PUBLIC = re.compile(r"tmapi_async(\.(harvest|export|sandbox|otel|dlt))?(\.[A-Za-z]\w*)*")

# Pages for those who change the package name its private modules, too.
FOR_DEVELOPERS = {"architecture.md", "CONTRIBUTING.md", "releasing.md", "CHANGELOG.md"}


def resolve(name: str) -> object:
    """Import what a dotted name means. Raises `AttributeError` if there is no such thing."""
    parts = name.split(".")
    found: object = import_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        if not hasattr(found, part):
            try:
                import_module(".".join(parts[:number]))
            except ModuleNotFoundError:
                raise AttributeError(name) from None
        found = getattr(found, part)
    return found


def is_promised(name: str) -> bool:
    """Return whether a name begins with a public module and a name of its `__all__`."""
    match = PUBLIC.fullmatch(name)
    if match is None:
        return False
    module = "tmapi_async" + (match[1] or "")
    rest = name[len(module) + 1 :].partition(".")[0]
    return not rest or rest in (*import_module(module).__all__, "fixtures")


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_dotted_names_exist(page: Path) -> None:
    """Each `tmapi_async.name` on a page can be imported, and is public on pages for users."""
    text = page.read_text(encoding="utf-8")
    unknown, private = [], []
    for name in sorted(set(DOTTED.findall(text))):
        if name.startswith("tmapi_async.dlt"):  # its import starts a process; the page's blocks do
            continue
        try:
            resolve(name)
        except AttributeError:
            unknown.append(name)
        if page.name not in FOR_DEVELOPERS and not is_promised(name):
            private.append(name)
    assert (unknown, private) == ([], [])


def test_an_unknown_name_is_found() -> None:
    """The check above sees what is not there, and what is not public."""
    with pytest.raises(AttributeError):
        resolve("tmapi_async.no_such_name")
    assert not is_promised("tmapi_async.journal.schema")
    assert is_promised("tmapi_async.sandbox.Faults")
    assert (ROOT / "README.md") in PAGES
