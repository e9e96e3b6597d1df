"""The comparison of short benchmarks with the baseline, and the promises about the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not in this distribution", allow_module_level=True)

from benchmarks import __main__ as suite
from benchmarks.gate_measures import promises

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that sets the ratios of the next runs and returns the names that run."""
    names: list[str] = []

    def prepare(*ratios: float) -> list[str]:
        remaining = list(ratios)

        def run(name: str, *, quick: bool) -> int:
            assert quick
            names.append(name)
            value = remaining.pop(0)
            ratio = {"ours/theirs": abs(value)}
            (tmp_path / f"{name}-quick.json").write_text(json.dumps(ratio), encoding="utf-8")
            return int(value < 0)

        monkeypatch.setattr(suite, "run", run)
        return names

    baseline = {"ratios": {"client": {"ours/theirs": 0.5}}}
    monkeypatch.setattr(suite, "LOCAL", tmp_path)
    monkeypatch.setattr(suite, "BASELINE", tmp_path / "baseline.json")
    suite.BASELINE.write_text(json.dumps(baseline), encoding="utf-8")
    return prepare


@pytest.mark.parametrize(
    ("ratios", "status", "times"),
    [
        ((0.59,), 0, 1),
        ((0.3,), 0, 1),
        ((0.61, 0.59), 0, 2),
        ((0.61, 0.61), 1, 2),
        ((-0.5, 0.5), 0, 2),
        ((-0.5, -0.5), 1, 2),
    ],
)
def test_a_ratio_that_is_worse_twice_fails(
    runs: Callable[..., list[str]], ratios: tuple[float, ...], status: int, times: int
) -> None:
    """A ratio 20 % above the baseline, or a missed promise (below 0 here), fails if repeated."""
    names = runs(*ratios)
    assert suite.check(["client"]) == status
    assert names == ["client"] * times


def gate_row(**changes: Any) -> dict[str, Any]:
    """Return the figures of a run that kept every promise, but for the changes."""
    figures = {"limit": 16, "client": "auto", "to_90": 4.0, "steady": 0.95, "refusals": 6}
    return figures | {"requests": 1600} | changes


@pytest.mark.parametrize(
    "broken",
    [{"to_90": None}, {"to_90": 16.0}, {"steady": None}, {"steady": 0.93}, {"refusals": 7}],
)
def test_a_broken_promise_over_real_sockets_fails_one_check(broken: dict[str, Any]) -> None:
    """A run that is late, half empty or refused too often fails one check, and no other."""
    assert all(check.passed for check in promises({"gate": [gate_row()]}))
    failed = [check for check in promises({"gate": [gate_row(**broken)]}) if not check.passed]
    assert len(failed) == 1


def test_a_known_limit_may_not_be_refused_and_baselines_promise_nothing() -> None:
    """With C known no 503 is allowed. There is no promise about a semaphore of 2C."""
    known = promises({"gate": [gate_row(client="concurrency=C", refusals=1)]})
    assert [check.passed for check in known] == [True, True, False]
    assert promises({"gate": [gate_row(client="semaphore 2C", refusals=20_000)]}) == []
    assert promises({"set": [{"client": "look-ahead off", "times": 5.0, "waste": 0.0}]}) == []
