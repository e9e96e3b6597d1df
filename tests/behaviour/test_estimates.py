"""The cost told before a harvest is close to what it then costs."""

from __future__ import annotations

import json

import pytest

from tmapi_async.sandbox import Faults
from tmapi_async.sandbox.server.process import SandboxThread

V2 = ("--endpoint", "category-v2")
SIZES = {cat_id: (cat_id * 37) % 260 + 1 for cat_id in range(1, 13)}


def cats(sizes):
    """Return category IDs as arguments."""
    return [str(cat_id) for cat_id in sizes]


def test_a_first_run_by_totals_and_a_second_by_the_first(tmapi, tmp_path):
    """Within 15 % on a first run; a second one sends what the dry run says, within 10 %."""
    harvest = ("harvest", *cats(SIZES), *V2, "--journal", str(tmp_path / "a.journal"), "--json")
    with SandboxThread(categories=SIZES, limit=8) as sandbox:
        first = json.loads(tmapi(*harvest, "--estimate", url=sandbox.url).out)
        paid = sandbox.sandbox.stats.requests
        assert first["paid"] == paid == len(SIZES)
        assert tmapi(*harvest, "-q", url=sandbox.url).code == 0
        spent = sandbox.sandbox.stats.requests
        assert abs(paid + first["requests"]["likely"] - spent) <= 0.15 * spent
        second = json.loads(tmapi(*harvest, "--refresh", "--dry-run", url=sandbox.url).out)
        assert sandbox.sandbox.stats.requests == spent
        assert tmapi(*harvest, "-q", "--refresh", url=sandbox.url).code == 0
        spent = sandbox.sandbox.stats.requests - spent
    assert second["sources"] == {"earlier run": len(SIZES)}
    assert abs(second["requests"]["likely"] - spent) <= 0.10 * spent


def test_a_run_that_max_pages_cuts_costs_the_same_again(tmapi, tmp_path):
    """Nothing changed, so the cost of the second run is known, also without any total."""
    harvest = ("harvest", *cats(SIZES), "--journal", str(tmp_path / "a.journal"))
    harvest = (*harvest, "--max-pages", "2", "--refresh")
    with SandboxThread(categories=SIZES, limit=8) as sandbox:
        assert tmapi(*harvest, "-q", url=sandbox.url).code == 0
        told = json.loads(tmapi(*harvest, "--dry-run", "--json", url=sandbox.url).out)
        spent = sandbox.sandbox.stats.requests
        assert tmapi(*harvest, "-q", url=sandbox.url).code == 0
        spent = sandbox.sandbox.stats.requests - spent
    assert told["sources"] == {"earlier run": len(SIZES)}
    assert abs(told["requests"]["likely"] - spent) <= 0.10 * spent


def test_a_dry_run_needs_no_token_and_makes_no_file(tmapi, tmp_path):
    """Nothing is sent, nothing is written, and the range is told."""
    done = tmapi("harvest", "7", "--journal", str(tmp_path / "a.journal"), "--dry-run", token="")
    assert done.code == 0
    assert "expected cost: 1 to 100 requests" in done.out.decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code", "sent"), [(("2",), 2, 0), (("5",), 3, 3), (("5", "--yes"), 0, 16)]
)
def test_an_expensive_harvest_waits_for_a_yes(tmapi, tmp_path, options, code, sent):
    """Without a terminal it is refused; first pages are paid for only within the limit."""
    harvest = ("harvest", "7", "8", "9", *V2, "--journal", str(tmp_path / "a.journal"))
    options = ("--lookahead", "off", "--confirm-above", *options)
    with SandboxThread(categories={7: 100, 8: 100, 9: 110}) as sandbox:
        done = tmapi(*harvest, *options, url=sandbox.url)
        assert sandbox.sandbox.stats.requests == sent
    assert done.code == code
    if code:
        assert "add --yes to begin the harvest" in done.err


def test_first_pages_are_not_paid_twice_and_count_for_the_budget(tmapi, tmp_path):
    """A cheap harvest begins at once, after its first pages, within one budget."""
    journal = str(tmp_path / "a.journal")
    harvest = ("harvest", "7", "8", *V2, "--journal", journal, "--lookahead", "off")
    with SandboxThread(categories={7: 45, 8: 45}) as sandbox:
        done = tmapi(*harvest, "--confirm-above", "7", "--max-requests", "4", url=sandbox.url)
        assert (done.code, sandbox.sandbox.stats.requests) == (3, 4)
        done = tmapi(*harvest, "--confirm-above", "7", url=sandbox.url)
        assert done.code == 0
    assert "COMPLETE: 2 of 2 listings" in done.err


def test_a_refused_token_ends_an_estimate(tmapi, tmp_path):
    """The exit code is that of the contract, and what is known is told all the same."""
    harvest = ("harvest", "7", *V2, "--journal", str(tmp_path / "a.journal"), "--estimate")
    with SandboxThread(categories={7: 45}, faults=Faults(script={(7, 1): "401"})) as sandbox:
        done = tmapi(*harvest, url=sandbox.url)
    assert done.code == 4
    assert "expected cost: 1 to 100 requests" in done.out.decode()


@pytest.mark.parametrize(("fault", "code"), [("401", 4), ("422", 3)])
def test_a_first_page_that_did_not_come_is_requested_by_the_next_estimate(
    tmapi, tmp_path, fault, code
):
    """A failure is no success, and mending its cause is enough for an estimate."""
    harvest = ("harvest", "7", *V2, "--journal", str(tmp_path / "a.journal"), "--estimate")
    with SandboxThread(categories={7: 45}, faults=Faults(script={(7, 1): fault})) as sandbox:
        assert tmapi(*harvest, url=sandbox.url).code == code
    with SandboxThread(categories={7: 45}) as sandbox:
        done = tmapi(*harvest, "--json", url=sandbox.url)
    assert done.code == 0
    assert json.loads(done.out)["sources"] == {"total": 1}


def test_listings_of_which_an_estimate_took_a_page_are_not_finished(tmapi, tmp_path):
    """Status does not call them capped, and the harvest reads the rest of them."""
    journal = str(tmp_path / "a.journal")
    harvest = ("harvest", "7", "8", *V2, "--journal", journal)
    with SandboxThread(categories={7: 100, 8: 15}) as sandbox:
        assert tmapi(*harvest, "--estimate", url=sandbox.url).code == 0
        verdict = tmapi("status", journal).out.decode().splitlines()[-1]
        assert verdict.startswith("NOT COMPLETE: 1 of 2 listings finished, 1 not finished")
        assert "again to continue" in verdict
        done = tmapi(*harvest, "--json", "--lookahead", "off", url=sandbox.url)
        assert json.loads(done.out)["complete"] == 2
        assert sandbox.sandbox.stats.requests == 6
