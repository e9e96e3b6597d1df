"""Paths that can name no file are refused before anything is sent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import typer

from tmapi_async.cli.options.path_checks import check_path, check_values
from tmapi_async.errors import InvalidRequestError


def test_a_name_that_the_locale_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job file in UTF-8 may name files that a locale in Latin-1 has no bytes for."""

    def stat(_: Path) -> None:
        raise UnicodeEncodeError("latin-1", "表.csv", 0, 1, "ordinal not in range(256)")

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(InvalidRequestError, match="iso8859-1, which has no such characters"):
        check_path(Path("表.csv"))


class Options(msgspec.Struct, kw_only=True):
    """Options of a command."""

    to: Annotated[list[str] | None, typer.Option("--to", metavar="DEST")] = None
    share: Annotated[str, typer.Option("--share/--no-share")] = ""
    cats: Annotated[list[str] | None, typer.Argument(metavar="[CAT]...")] = None


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"to": ["\udcc1.csv"]}, "--to"),
        ({"share": "\udcc1"}, "--share"),
        ({"cats": ["\udcc1"]}, "CAT"),
    ],
)
def test_a_value_that_is_not_unicode_is_named_as_it_is_typed(values: Any, name: str) -> None:
    """The message names the option and a way out."""
    with pytest.raises(InvalidRequestError) as refused:
        check_values(Options(**values))
    assert refused.value.message.startswith(f"the value of {name} is not text in UTF-8: set LC_ALL")
