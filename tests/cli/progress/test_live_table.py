"""The table of `tmapi status --watch`: it fits any terminal, and what matters comes first."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tmapi_async.cli.progress.live_table import live_line, live_lines
from tmapi_async.journal.live.census import LiveListing
from tmapi_async.journal.live.journal_watch import Glance
from tmapi_async.journal.summaries.forecast import Remaining
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.views import StartInfo, Tick

NAME = "category/items/v2?cat_id={}&free_shipping=true"


def glance(**fields: object) -> Glance:
    """A look in the middle of a harvest."""
    totals = Tick(600.0, 15_020, 12, 3, 14_510, 290_000, 16, {"200": 14_990, "503": 30})
    start = StartInfo(2, 1, 1_767_605_400.0, None, None, "h", "1", 4711, totals)
    known: dict[str, object] = {
        "at": 1_767_606_000.0,
        "writer": 4711,
        "certain": True,
        "run": 1,
        "start": start,
        "earlier": [],
        "tally": RunTally(listings=300, complete=120, failed=2, pages=14_510, items=290_000),
        "reading": [LiveListing(NAME.format(n), 10 * n, 200 * n, n % 2) for n in range(1, 9)],
        "stopped": [LiveListing("search?keyword=连衣裙", 3, 60)],
        "failed": [LiveListing(NAME.format(90), 1, 20, 0, "timeout")] * 2,
        "waiting": [LiveListing(NAME.format(n)) for n in range(100, 200)],
        "waiting_number": 169,
        "rate": 23.4,
        "remaining": Remaining(500.0, 900.0, 1500.0),
    }
    return Glance(**(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("height", [8, 24, 60])
@pytest.mark.parametrize("width", [32, 40, 60, 80, 200])
def test_the_table_fits_its_terminal(width: int, height: int) -> None:
    """No line is wider, there are not more lines, and the listings being read are shown first."""
    lines = live_lines(glance(), "/data/shop.journal", width, height)
    assert max(map(cell_len, lines)) <= width
    if height >= 24:
        assert len(lines) < height
    text = " ".join(" ".join(lines).split())
    for part in ("14,510 pages", "1,404 pages/min", "8:20 to 25:00 left", "122 of 300", "503 x 30"):
        assert part in text
    rows = [line for line in lines if "cat_id=" in line]
    assert " open" in rows[0]


def test_what_matters_comes_first() -> None:
    """Listings being read, then stopped and failed ones, then those that wait."""
    lines = live_lines(glance(), "shop.journal", 100, 60)
    table = [line for line in lines if "cat_id=" in line or "keyword=" in line]
    words = ("open", "stopped", "failed", "waiting")
    order = [next(word for word in words if word in line) for line in table]
    assert sorted(order, key=words.index) == order
    assert {*order} == {*words}
    hidden = live_lines(glance(), "shop.journal", 100, 16)[-1]
    assert hidden.startswith("... and ")
    assert "1 more stopped, 2 more failed, 169 more waiting" in hidden


def test_a_narrow_terminal_drops_columns_and_keeps_the_category() -> None:
    """At 40 cells there are names, states and pages; at 100 also the reason."""
    narrow = live_lines(glance(), "shop.journal", 40, 40)
    (heading,) = [line for line in narrow if line.startswith("listing")]
    assert heading.split() == ["listing", "state", "pages"]
    assert any("cat_id=8" in line for line in narrow)
    wide = live_lines(glance(), "shop.journal", 100, 40)
    (heading,) = [line for line in wide if line.startswith("listing")]
    assert heading.split() == ["listing", "state", "pages", "items", "rejects", "reason"]


def test_no_end_is_told_before_there_is_an_estimate() -> None:
    """A harvest without an estimate, one that stands still, and one whose lock is closed."""
    assert "the end cannot be estimated yet" in live_line(glance(remaining=None))
    assert "left" not in live_line(glance(remaining=None))
    still = live_line(glance(remaining=None, rate=0.0, at=1_767_606_090.0))
    assert "no page in the last half minute" in still
    assert "last commit 1:30 ago" in still
    closed = live_line(glance(certain=False, writer=None))
    assert "nobody can tell if a harvest is alive" in closed
