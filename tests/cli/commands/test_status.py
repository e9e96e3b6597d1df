"""The last line of `tmapi status` agrees with the harvest and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.journals import body, row, write
from tmapi_async.cli.summary import Summary
from tmapi_async.report.facts import gather
from tmapi_async.report.html import verdict

if TYPE_CHECKING:
    from tests.support.commands import InProcess
    from tmapi_async.journal.records import State


@pytest.mark.parametrize(
    ("state", "text", "colour"),
    [
        ("complete", "COMPLETE: 1 of 1 listing.", "good"),
        ("capped", "CAPPED: 0 of 1 listing complete, 1 capped. Capped listings may have", "fair"),
        ("failed", "NOT COMPLETE: 0 of 1 listing finished, 1 failed.", "bad"),
    ],
)
def test_a_capped_listing_is_not_called_complete(
    tmapi: InProcess, tmp_path: Path, state: State, text: str, colour: str
) -> None:
    """Status, report and exit code are derived from one verdict."""
    journal = write(tmp_path / "a.journal", {7: [body([row(1)])]}, state=state)
    done = tmapi("status", str(journal))
    assert done.code == 0
    assert done.out.decode().splitlines()[-1].startswith(text)
    assert verdict(gather(journal))[0] == colour
    summary = Summary(listings=1, **{state: 1})
    assert (summary.exit_code() == 0) == (colour != "bad")


def test_listings_that_are_being_read_are_not_called_stopped() -> None:
    """While a harvest runs, its open listings are still to be read."""
    summary = Summary(listings=24, stopped=24, stopped_by="budget")
    text = summary.lines(running=True)[0]
    assert text.startswith("24 listings: 0 complete, 24 to be read;")
    assert summary.lines()[0].endswith("0 complete, 24 stopped; 0 pages, 0 items")
    assert summary.judge(running=True).kind == "running"
