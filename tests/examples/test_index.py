"""The index of the examples."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("the examples are not in this distribution", allow_module_level=True)


def test_the_index_has_every_example_and_no_dead_link():
    """Each file and folder has a line, and each link leads somewhere."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    links = {link.rstrip("/") for link in re.findall(r"\]\(([^)#]+)\)", text)}
    there = {
        path.name
        for path in EXAMPLES.iterdir()
        if path.name not in ("README.md", "__pycache__") and not path.name.startswith(".")
    }
    assert there <= links
    assert [link for link in links if not (EXAMPLES / link).exists()] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_each_example_tells_what_it_does(path):
    """A module begins with a docstring."""
    assert path.read_text(encoding="utf-8").startswith('"""')
