"""Progress of a harvest, as a line and as a panel of any width."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from rich.console import Console

from tmapi_async import OutageReport
from tmapi_async.cli.progress.progress_display import progress_line, progress_panel
from tmapi_async.harvest import HarvestProgress
from tmapi_async.journal.summaries.tally import RunTally


def progress(**fields: Any) -> HarvestProgress:
    """A snapshot in the middle of a harvest."""
    tally = RunTally(listings=300, complete=120, pages=14_510, items=290_000)
    return HarvestProgress(tally=tally, pages=14_510, seconds=600.0, width=16, **fields)


def drawn(snapshot: HarvestProgress, width: int) -> list[str]:
    """The lines of the panel on a terminal of this width."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(progress_panel(snapshot, width))
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (23.4, ", 23.4 pages/s,"),
        (0.05, ", 3.0 pages/min,"),
        (0.0, ", no page in the last half minute,"),
    ],
)
def test_a_low_speed_is_told_by_the_minute(rate, text):
    """After thousands of pages no display says 0.0 pages/s."""
    assert text in progress_line(progress(rate=rate))
    assert text in " ".join(drawn(progress(rate=rate), 200))


def test_a_wide_range_is_told_as_a_range():
    """An estimate that may be twice as long is no single figure."""
    assert "8:20 to 25:00 left" in progress_line(progress(eta=900.0, eta_range=(500.0, 1500.0)))
    assert "about 15:00 left" in progress_line(progress(eta=900.0, eta_range=(850.0, 950.0)))
    assert "left" not in progress_line(progress())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_panel_fits_its_terminal(width):
    """No line is longer than the terminal, and no figure is cut."""
    lines = drawn(progress(rate=23.4, eta=900.0, eta_range=(500.0, 1500.0)), width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for part in ("120/300 listings", "10:00", "8:20 to 25:00 left", "14,510 pages", "23.4 pages/s"):
        assert part in text
    assert "…" not in text


@pytest.mark.parametrize("width", [40, 80])
def test_an_outage_is_told_with_its_reason_and_its_times(width):
    """Since when and until when; and attempts that reached nobody are not of the budget."""
    outage = OutageReport(
        state="waiting",
        reason="the connection failed (api.example: Connection refused)",
        since=time.time() - 60,
        gives_up_at=time.time() + 60,
        interval=4.0,
        probes=3,
        seconds=60.0,
    )
    snapshot = progress(outage=outage, requests=543, unreached=24, budget=3000)
    lines = drawn(snapshot, width)
    assert max(map(len, lines)) <= width
    for text in (" ".join(lines), progress_line(snapshot)):
        words = " ".join(text.split())
        assert f"waiting: {outage}; " in words
        assert "every 4 s until" in words
        assert "519 of 3,000 requests" in words
