"""Values that a shell offers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmapi_async.cli.completion.completed_values import (
    complete_exported_endpoints,
    complete_journals,
    complete_words,
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with journals and other things."""
    for name in ("a.journal", "b.journal", "b.csv", ".hidden.journal", "data/c.journal", "more/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_words_that_begin_so_are_offered() -> None:
    """In their own order."""
    complete = complete_words("sales", "price_up", "price_down")
    assert complete("") == ["sales", "price_up", "price_down"]
    assert complete("price") == ["price_up", "price_down"]
    assert complete("x") == []


@pytest.mark.parametrize(
    ("incomplete", "offered"),
    [
        ("", ["a.journal", "b.journal", f"data{os.sep}", f"more{os.sep}"]),
        ("b", ["b.journal"]),
        (".h", [".hidden.journal"]),
        ("data/", ["data/c.journal"]),
        ("~/a", ["~/a.journal"]),
        ("da", []),  # a folder alone: the shell completes it without a blank behind
        ("more/", []),
        ("none/", []),
        ("a\0", []),
    ],
)
def test_journals_are_offered_and_folders_beside_them(incomplete: str, offered: list[str]) -> None:
    """Where there is no journal, the shell offers all files: one may have any name."""
    assert complete_journals(incomplete) == offered


def test_names_that_must_be_quoted_are_left_to_the_shell() -> None:
    """Bash does not quote what it is given."""
    Path("with blank.journal").touch()
    assert complete_journals("") == []
    assert complete_journals("a") == ["a.journal"]


def test_an_export_has_endpoints_and_parts_of_details() -> None:
    """The names are those that `--endpoint` takes."""
    assert "item-skus" in complete_exported_endpoints("item")
    assert complete_exported_endpoints("category") == ["category-v1", "category-v2"]
