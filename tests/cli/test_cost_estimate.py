"""The question about an expensive harvest, at a terminal."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.journals import body, row, write
from tmapi_async import CATEGORY_ITEMS
from tmapi_async.cli.cost_estimate import HarvestCost
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.options.cost_options import CostOptions
from tmapi_async.cli.options.listing_sets import ListingGroup, ListingSet
from tmapi_async.errors import InvalidRequestError

if TYPE_CHECKING:
    from pathlib import Path


class Terminal(io.StringIO):
    """Standard input of a user who types."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", None), ("YES\n", None), ("n\n", 3), ("\n", 3), ("", 3)]
)
def test_only_a_yes_begins_the_harvest(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    code: int | None,
) -> None:
    """Anything else, and the end of the input, sends nothing; the cost is shown before."""
    journal = write(tmp_path / "a.journal", {7: [body([row(1)])] * 3, 8: [body([row(2)])]})
    listings = ListingSet([ListingGroup(CATEGORY_ITEMS, {}, {"cat_id": [7, 8]})])
    connection = ConnectionOptions(sandbox=True)
    cost = HarvestCost(listings, journal, {"refresh": True}, connection, quiet=True)
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert cost.settle(CostOptions(confirm_above=3), json=False) == code
    shown = capsys.readouterr().err
    assert "expected cost: about 4" in shown
    assert "Begin the harvest? [y/N]" in shown
    assert ("not begun; nothing was sent" in shown) == (code == 3)
    assert cost.settle(CostOptions(confirm_above=4), json=False) is None


@pytest.mark.parametrize(
    "options",
    [
        CostOptions(dry_run=True, estimate=True),
        CostOptions(yes=True),
        CostOptions(confirm_above=-1),
        CostOptions(confirm_above=5, dry_run=True),
        CostOptions(confirm_above=5, estimate=True),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: CostOptions) -> None:
    """A user who asks for two things at once is told."""
    with pytest.raises(InvalidRequestError):
        options.check()
