"""The comparison of short benchmarks with the baseline, and the promises about the gate."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not in this distribution", allow_module_level=True)

from benchmarks import __main__ as suite
from benchmarks import common, figures, measured_code
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

    ratios = {name: {"ours/theirs": 0.5} for name in ("client", "instructions")}
    baseline = {"machine": {"python": platform.python_version()}, "ratios": ratios}
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


def test_ratios_of_instructions_are_guarded_more_tightly(runs: Callable[..., list[str]]) -> None:
    """6 % more instructions fail, 6 % more seconds do not; on another Python neither does."""
    runs(0.53, 0.53)
    assert suite.check(["instructions"]) == 1
    runs(0.53)
    assert suite.check(["client"]) == 0
    content = json.loads(suite.BASELINE.read_text(encoding="utf-8"))
    content["machine"]["python"] = "3.1.0"
    suite.BASELINE.write_text(json.dumps(content), encoding="utf-8")
    runs(0.53)
    assert suite.check(["instructions"]) == 0


RESULT = {
    "workload": "2 pages",
    "command": "python -m benchmarks.client",
    "machine": {
        "python": "3.11.7",
        "system": "Linux x86_64",
        "processors": 2,
        "versions": {"aiohttp": "3.14.5", "uvloop": None},
    },
    "code": {"date": "2026-05-01", "fingerprints": {"api": "0123456789abcdef"}},
    "tables": [["| a |", "| - |", "| 1 |"], ["| b |", "| - |", "| 2 |"]],
}


def test_a_page_shows_the_tables_of_the_result_file_and_the_machine() -> None:
    """A block is filled with all tables or the named one, the command, versions, cores and day."""
    page = (
        "<!-- figures: client -->\nold\n<!-- /figures -->\n\nwords\n\n"
        "<!-- figures: client/2 -->\n<!-- /figures -->\n"
    )
    shown = figures.filled(page, {"client": RESULT})
    assert figures.filled(shown, {"client": RESULT}) == shown
    assert shown.count("| a |\n| - |\n| 1 |\n") == 1
    assert shown.count("| b |\n| - |\n| 2 |\n") == 2
    assert "old" not in shown
    assert "words" in shown
    line = (
        "*2 pages (`python -m benchmarks.client`). CPython 3.11.7, aiohttp 3.14.5; "
        "Linux x86_64, 2 cores; 2026-05-01.*"
    )
    assert shown.count(line) == 2


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


def test_the_names_of_the_benchmarks_can_be_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--list` prints each name on a line and runs nothing."""
    monkeypatch.setattr(suite, "run", pytest.fail)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--list"])
    assert suite.main() == 0
    assert capsys.readouterr().out.split() == list(suite.SUITE)


def test_a_fingerprint_changes_with_the_code_and_not_with_its_words(tmp_path: Path) -> None:
    """Comments, docstrings and blank lines leave it as it is; a value and a name change it."""
    module = tmp_path / "module.py"

    def fingerprint(source: str) -> str:
        module.write_text(source, encoding="utf-8")
        measured_code.fingerprint.cache_clear()
        return measured_code.fingerprint(tmp_path)

    plain = fingerprint("def double(value):\n    return value * 2\n")
    worded = '"""A."""\n\n\ndef double(value):  # twice\n    """Do."""\n\n    return value * 2\n'
    assert fingerprint(worded) == plain
    assert fingerprint("def double(value):\n    return value * 3\n") != plain
    assert fingerprint("def twice(value):\n    return value * 2\n") != plain
    module.rename(tmp_path / "other.py")
    measured_code.fingerprint.cache_clear()
    assert measured_code.fingerprint(tmp_path) != plain


def test_a_result_of_other_code_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--outdated` tells which packages changed, for the scenarios of the simulator one by one."""
    monkeypatch.setattr(measured_code, "SUBJECTS", {"decode": ("api",), "simulation": ("crawl",)})
    monkeypatch.setattr(measured_code, "SOURCE", tmp_path)
    monkeypatch.setattr(suite, "RESULTS", tmp_path)
    decode, known = (measured_code.measured_code(name) for name in ("decode", "simulation"))
    other = {"date": "2020-01-01", "fingerprints": {"crawl": "0123"}}
    scenarios = {"known": {"code": known}, "halves": {"code": other}, "unknown": {}}
    for name, content in (("decode", {"machine": {}, "code": decode}), ("simulation", scenarios)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    assert suite.show_outdated() == 1
    assert capsys.readouterr().out.splitlines() == [
        "simulation halves: measured on 2020-01-01; changed since then: crawl",
        "simulation unknown: measured on an unknown day; changed since then: crawl",
    ]
    scenarios = {"known": {"code": known}}
    (tmp_path / "simulation.json").write_text(json.dumps(scenarios), encoding="utf-8")
    assert suite.show_outdated() == 0


def test_every_result_that_a_page_shows_tells_the_code_it_speaks_of() -> None:
    """A benchmark without a list of packages could be older than its code unseen."""
    shown = {
        match["name"]
        for page in figures.PAGES
        for match in figures.BLOCK.finditer(page.read_text(encoding="utf-8"))
    }
    kept = {path.stem for path in common.RESULTS.glob("*.json")} - {"baseline-quick"}
    assert shown <= kept == measured_code.SUBJECTS.keys()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux alone has batch jobs")
def test_a_batch_job_has_the_slices_that_the_system_grants() -> None:
    """A system that grants none leaves its own in force, and says so."""
    code = (
        "import os; from benchmarks.time_slices import become_batch_job; "
        "print(become_batch_job({}), os.sched_getscheduler(0))"
    )
    for asked, granted in (("", ("None",)), ("0.05", ("0.05", "None"))):
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code.format(asked)], capture_output=True, text=True, check=True
        )
        slices, policy = done.stdout.split()
        assert slices in granted
        assert int(policy) == os.SCHED_BATCH
