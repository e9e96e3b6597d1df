"""The guard that CI holds over the ratios of short benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not in this distribution", allow_module_level=True)

from benchmarks import __main__ as suite

if TYPE_CHECKING:
    from collections.abc import Callable

GUARDED = [name for name, one in suite.SUITE.items() if one.guarded]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Say what the runs of `client` find, one after the other; gives the names that were run."""
    seen: list[str] = []

    def prepare(*found: float) -> list[str]:
        left = list(found)

        def run(name: str, *, quick: bool) -> int:
            assert quick
            seen.append(name)
            value = left.pop(0)
            kept = {"ours/theirs": abs(value)}
            (tmp_path / f"{name}-quick.json").write_text(json.dumps(kept), encoding="utf-8")
            return int(value < 0)

        monkeypatch.setattr(suite, "run", run)
        return seen

    baseline = {"ratios": {"client": {"ours/theirs": 0.5}}}
    monkeypatch.setattr(suite, "LOCAL", tmp_path)
    monkeypatch.setattr(suite, "BASELINE", tmp_path / "baseline.json")
    suite.BASELINE.write_text(json.dumps(baseline), encoding="utf-8")
    return prepare


@pytest.mark.parametrize(
    ("found", "status", "times"),
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
    runs: Callable[..., list[str]], found: tuple[float, ...], status: int, times: int
) -> None:
    """20 % above the committed ratio, or a promise missed (below 0 here), fails if it stays so."""
    seen = runs(*found)
    assert suite.check(["client"]) == status
    assert seen == ["client"] * times


def test_every_guarded_ratio_is_committed() -> None:
    """The committed file has ratios of each benchmark that CI looks at, and each is a number."""
    committed = json.loads((suite.RESULTS / "baseline-quick.json").read_text(encoding="utf-8"))
    assert list(committed["ratios"]) == GUARDED
    assert all(value > 0 for one in committed["ratios"].values() for value in one.values())
