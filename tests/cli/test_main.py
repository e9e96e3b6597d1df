"""`python -m tmapi_async.cli` runs the command line."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_the_package_runs_as_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The help of a command is shown, without Python's names of types."""
    monkeypatch.setattr(sys, "argv", ["tmapi", "harvest", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tmapi_async.cli", run_name="__main__")
    shown = capsys.readouterr().out
    assert not end.value.code
    assert "--journal" in shown
    assert "<" not in shown
