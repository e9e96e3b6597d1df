"""Every place that judges the same listings says the same: items, harvest, status, report."""

from __future__ import annotations

import json

import pytest

from tmapi_async.report.facts import gather
from tmapi_async.report.page_texts import verdict
from tmapi_async.sandbox import Drift, Prices
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = pytest.mark.slow


def contradicted(folder, total=500):
    """Record a page that ends a listing of 500 rows after 20 of them."""
    rows = [{"item_id": number, "title": "x"} for number in range(1, 21)]
    data = {"page": 1, "page_size": 20, "has_next_page": False, "total_count": total, "items": rows}
    body = {"code": 200, "msg": "success", "data": data}
    (folder / "category-items-v2-7.json").write_text(json.dumps(body))
    return {"bodies": folder, "verbatim": True}


V2 = ("--endpoint", "category-v2")
CASES = {
    "empty": (
        {"categories": {7: 0}},
        (),
        "COMPLETE: 1 of 1 listing, but 1 empty: no item came. Look at category/items?cat_id=7.",
        0,
    ),
    "short of its total": (
        lambda folder: contradicted(folder, total=23),
        V2,
        (
            "CONTRADICTED: 1 of 1 listing complete (of them 1 contradicted by the API's own "
            "total). Look at category/items/v2?cat_id=7."
        ),
        0,
    ),
    "complete": ({}, (), "COMPLETE: 1 of 1 listing", 0),
    "capped": ({}, ("--max-pages", "2"), "CAPPED: 0 of 1 listing complete, 1 capped", 0),
    "unproven": (
        {
            "prices": {7: Prices.parse("20,1.0,9.90:150")},
            "ceiling": 40,
            "shift": 3,
            "shift_ties": True,
        },
        (*V2, "--split", "--ceiling", "40"),
        "CAPPED: 0 of 1 listing complete, 1 capped",
        0,
    ),
    "unreadable": (
        {"drift": Drift(bad_rows=1.0)},
        ("--most-rejects", "1"),
        "NOT COMPLETE: 0 of 1 listing finished, 1 failed",
        3,
    ),
    "contradicted": (
        contradicted,
        V2,
        "NOT COMPLETE: 0 of 1 listing finished, 1 failed",
        3,
    ),
    "stopped": (
        {},
        ("--max-requests", "2"),
        "NOT COMPLETE: 0 of 1 listing finished, 1 not finished",
        3,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_all_commands_judge_a_listing_alike(tmapi, tmp_path, case):
    """Each command that judges listings has one verdict: `items`, `harvest`, `status`, `export`."""
    options, arguments, text, code = CASES[case]
    options = options(tmp_path) if callable(options) else {"categories": {7: 190}, **options}
    journal = str(tmp_path / "a.journal")
    with SandboxThread(**options) as sandbox:
        items = tmapi("items", "7", *arguments, "--json", url=sandbox.url)
        harvest = tmapi("harvest", "7", "--journal", journal, *arguments, url=sandbox.url)
        summary = tmapi("status", journal, "--json")
        status = tmapi("status", journal)
    export = tmapi("export", journal, "--to", str(tmp_path / "x.jsonl"), "--json")
    assert (items.code, harvest.code) == (code, code)
    assert f"tmapi: {text}" in items.err
    assert f"tmapi: {text}" in harvest.err
    assert status.out.decode().splitlines()[-1].startswith(text)
    assert verdict(gather(journal))[1].startswith(text)
    states = ("complete", "capped", "failed", "stopped")
    counts = json.loads(summary.out)
    assert [items.summary[name] for name in states] == [counts[name] for name in states]
    exported = json.loads(export.out)
    assert items.summary["verdict"] == counts["verdict"] == exported["verdict"]
    assert items.summary["suspects"] == counts["suspects"] == exported["suspects"]
    assert f"tmapi: {text}" in export.err


@pytest.mark.parametrize("command", [("items",), ("harvest", "--journal", "a.journal")])
def test_fail_empty_makes_an_empty_listing_a_failure(tmapi, tmp_path, monkeypatch, command):
    """A script that must not go on without rows can ask for exit code 3."""
    monkeypatch.chdir(tmp_path)
    with SandboxThread(categories={7: 20}) as sandbox:
        for cats, codes in ((["7"], (0, 0)), (["7", "999"], (0, 3))):
            plain = tmapi(*command, *cats, "--json", url=sandbox.url)
            strict = tmapi(*command, *cats, "--fail-empty", "--json", url=sandbox.url)
            assert (plain.code, strict.code) == codes
    assert "category/items?cat_id=999" in strict.err
