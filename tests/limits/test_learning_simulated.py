"""Promises of the gate, in the simulator; `python -m benchmarks.simulation` runs more."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.paths import ROOT

if not (ROOT / "benchmarks" / "simulation").is_dir():
    pytest.skip("the simulator is not part of the installed package", allow_module_level=True)

from benchmarks.simulation import harvests, measures, scenarios, starts
from benchmarks.simulation.measures import Case, changing, measure

SEEDS = range(1_000, 1_004)  # others than those of the published figures


@pytest.mark.parametrize("limit", [1, 4, 16, 64])
@pytest.mark.parametrize("seed", SEEDS)
def test_known_limit(limit: int, seed: int) -> None:
    """With the limit as maximum width, 97 % of it are in use and nothing is refused."""
    row = measure(Case("ceiling C", limit, requests=60), seed)
    assert row["overall"] >= 0.97
    assert row["refusals"] == 0


@pytest.mark.parametrize("limit", [4, 8, 16, 64])
@pytest.mark.parametrize("seed", SEEDS)
def test_unknown_limit(limit: int, seed: int) -> None:
    """An unknown limit is in use within 15 round trips, to 97 % from then on, at little cost."""
    row = measure(Case("auto", limit), seed)
    assert row["rise"] <= 15
    assert row["utilisation"] >= 0.97
    assert row["refusals"] <= 3 + 0.002 * row["requests"]


@pytest.mark.parametrize("latency", ["even", "log-normal"])
@pytest.mark.parametrize("knowledge", ["first", "second", "known"])
def test_slots_are_busy_over_a_whole_run(knowledge: str, latency: str) -> None:
    """From the first request to the last reply 40 slots are as busy as promised, at little cost."""
    rows = [starts.run(starts.WholeRun(knowledge, 20, latency), seed) for seed in SEEDS]
    assert statistics.median(row["busy"] for row in rows) >= starts.BUSY[knowledge]
    assert all(row["refusals"] <= 3 + 0.002 * row["requests"] for row in rows)


def test_short_run_of_a_new_account_is_not_spent_on_learning() -> None:
    """With ten pages for each listing, 93 % of the slots are busy although none was known."""
    rows = [starts.run(starts.WholeRun("first", 10), seed) for seed in SEEDS]
    assert statistics.median(row["busy"] for row in rows) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_limit_that_changes(factor: float, seed: int) -> None:
    """A limit that halves or doubles is followed within 15 round trips."""
    row = changing(Case("auto", 64), seed, factor, (20, 30))
    assert row["rise"] <= 15
    assert row["utilisation"] >= 0.97
    assert row["refusals"] <= 3 + 0.002 * row["requests"] + (32 if factor < 1 else 0)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4, 8, 16, 32])
def test_narrow_limit_that_doubles_late(limit: int) -> None:
    """A wider limit is found once the allowed refusals can be spread, and not at more cost."""
    for seed in SEEDS:
        row = changing(Case("auto", limit), seed, 2.0, (30, 90))
        assert row["rise"] <= scenarios.findable(limit, 90)
        assert row["refusals"] <= scenarios.allowed([row])[0]


def test_promise_of_a_doubled_limit_follows_from_the_refusals_allowed() -> None:
    """15 round trips from 64 slots on; below that 500 answers in the long run, and sooner early."""
    assert [scenarios.findable(limit, 400) for limit in (64, 256)] == [15, 15]
    assert scenarios.findable(16, 400) == pytest.approx(1.1 * 31.25 + 5)
    assert scenarios.findable(8, 400) == 40
    assert scenarios.findable(4, 400) == 60


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4, 16, 64])
@pytest.mark.parametrize("rounds", [20.0, 150.0])
def test_share_that_others_leave_is_used(limit: int, rounds: float) -> None:
    """A gate that others narrowed widens to the whole limit within 60 round trips of their end.

    Learning used to owe so many refusals by then that it looked again after 2,000 round trips.
    """
    rows = [measures.shared(Case("auto", limit), seed, rounds) for seed in range(1_000, 1_010)]
    assert max(row["rise"] for row in rows) <= 60
    assert statistics.median(row["rise"] for row in rows) <= 40
    assert max(row["after"] for row in rows) <= 20 + limit


@pytest.mark.slow
def test_refusals_above_a_wide_limit_are_not_taken_for_noise() -> None:
    """A gate that tolerates noise tests again whether many refusals depend on its width."""
    for seed in range(25, 35):
        row = measures.shared(Case("auto", 256), seed, 150.0)
        assert row["after"] <= 0.01 * 256 * 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_skewed_harvest(seed: int) -> None:
    """300 listings with a giant among them end within 1.10 times what any client needs."""
    row = harvests.run(harvests.HarvestCase("skewed", 16, None, pages=6_000), seed)
    assert row["times"] <= 1.10
    assert row["waste"] <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ["5 % refused for no reason", "everything refused for 20 trips"])
def test_troubles_are_survived(name: str) -> None:
    """Refusals that the width did not cause leave most of the limit in use."""
    assert measure(scenarios.TROUBLES[name], 1_000)["overall"] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4, 8])
def test_small_limit_that_halves_costs_little(limit: int) -> None:
    """When a small limit halves, half of it in further refusals is paid, and six probes."""
    for seed in range(1_000, 1_080):
        row = changing(Case("auto", limit), seed, 0.5, (20, 60))
        assert row["refusals"] <= scenarios.allowed([row], limit / 2 + scenarios.NARROWED)[0]


@pytest.mark.slow
def test_creeping_limit_is_followed() -> None:
    """A limit that loses slot after slot is followed, and not treated as chance for long."""
    for seed in range(1_000, 1_010):
        row = measure(scenarios.TROUBLES["3 slots lost one by one"], seed)
        assert row["utilisation"] > 0.97
        assert row["refusals"] < 25


def test_long_way_to_the_server_costs_no_more() -> None:
    """If many requests are on the way, probes are rarer, so that refusals keep to their share."""
    rows = [measure(Case("auto", 64, rtt=0.1), seed) for seed in range(1_000, 1_010)]
    assert sum(row["refusals"] <= 3 + 0.002 * row["requests"] for row in rows) >= 8


def test_report_prints_every_promise() -> None:
    """A scenario yields a table and a line for each promise, with median and worst value."""
    with ThreadPoolExecutor(1) as pool:
        report = scenarios.halves(scenarios.Runner(pool, 1))
    assert len(report.checks) == 3 * len(scenarios.LIMITS)
    for check in report.checks:
        assert "median" in check.line()
        assert check.summary()["seeds"] == 1
