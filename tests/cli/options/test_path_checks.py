"""Paths that can name no file are refused before anything is sent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tmapi_async.cli.options.path_checks import check_path
from tmapi_async.errors import InvalidRequestError


def test_a_name_that_the_locale_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job file in UTF-8 may name files that a locale in Latin-1 has no bytes for."""

    def stat(_: Path) -> None:
        raise UnicodeEncodeError("latin-1", "表.csv", 0, 1, "ordinal not in range(256)")

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(InvalidRequestError, match="iso8859-1, which has no such characters"):
        check_path(Path("表.csv"))
