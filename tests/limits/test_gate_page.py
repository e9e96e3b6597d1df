"""What docs/gate.md and the benchmark over real sockets say of the gate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.paths import ROOT

if not (ROOT / "benchmarks" / "simulation").is_dir():
    pytest.skip("the simulator is not part of the installed package", allow_module_level=True)

from benchmarks.gate_measures import promises
from benchmarks.simulation.page import BLOCK, filled

PAGE = ROOT / "docs" / "gate.md"
KEPT = ROOT / "benchmarks" / "results" / "simulation.json"


def test_tables_of_the_page_are_those_that_were_measured() -> None:
    """Every table of the simulator on the page is, letter by letter, one that a run kept."""
    page = PAGE.read_text(encoding="utf-8")
    shown = {match["name"] for match in BLOCK.finditer(page)}
    assert {"known", "unknown", "halves", "doubles", "skewed", "one"} <= shown
    assert filled(page, json.loads(KEPT.read_text(encoding="utf-8"))) == page


def test_kept_figures_are_those_of_two_hundred_seeds() -> None:
    """What is published was not taken from a quick run."""
    for name, report in json.loads(KEPT.read_text(encoding="utf-8")).items():
        assert report["seeds"] >= 200, name


def row(**changes: Any) -> dict[str, Any]:
    """A run that kept every promise, but for the changes."""
    good = {"limit": 16, "client": "auto", "to_90": 4.0, "steady": 0.95, "refusals": 6}
    return good | {"requests": 1600} | changes


@pytest.mark.parametrize(
    "broken",
    [{"to_90": None}, {"to_90": 16.0}, {"steady": None}, {"steady": 0.93}, {"refusals": 7}],
)
def test_broken_promise_over_real_sockets_is_told(broken: dict[str, Any]) -> None:
    """Late, half empty or refused too often: each fails its own check, and no other."""
    assert all(check.passed for check in promises({"gate": [row()]}))
    failed = [check for check in promises({"gate": [row(**broken)]}) if not check.passed]
    assert len(failed) == 1


def test_known_limit_may_not_be_refused_and_rivals_promise_nothing() -> None:
    """With C known not one 503 is allowed; a semaphore of 2C may do as it does."""
    known = promises({"gate": [row(client="concurrency=C", refusals=1)]})
    assert [check.passed for check in known] == [True, True, False]
    assert promises({"gate": [row(client="semaphore 2C", refusals=20_000)]}) == []
    assert promises({"set": [{"client": "look-ahead off", "times": 5.0, "waste": 0.0}]}) == []
