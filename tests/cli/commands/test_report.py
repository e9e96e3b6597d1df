"""The command `tmapi report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.journals import of_rows, row
from tmapi_async.cli.commands.report import ReportOptions, run_report
from tmapi_async.cli.exit_codes import USAGE


@pytest.fixture
def journal(tmp_path):
    """A journal with one item."""
    return of_rows(tmp_path / "journal.tmapi", row(1))


@pytest.mark.parametrize("name", ["journal.tmapi", "journal.tmapi-wal", "link.html"])
def test_a_report_never_takes_the_place_of_the_journal(journal, tmp_path, name):
    """The journal, its side files and hard links to it are refused and unchanged."""
    output = tmp_path / name
    if name == "link.html":
        output.hardlink_to(journal)
    elif not output.exists():
        output.touch()
    before = output.read_bytes()
    assert run_report(ReportOptions(journal=journal, output=output)) == USAGE
    assert output.read_bytes() == before


def test_a_report_never_takes_the_place_of_a_device(journal):
    """A path that is not a plain file is refused, because renaming would destroy it."""
    assert run_report(ReportOptions(journal=journal, output=Path("/dev/full"))) == USAGE
    assert Path("/dev/full").is_char_device()
