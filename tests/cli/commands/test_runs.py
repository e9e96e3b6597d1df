"""`tmapi runs` agrees with what the server has counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tmapi_async.sandbox import Faults
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from tests.support.commands import InProcess


def test_the_costs_are_those_of_the_server(tmapi: InProcess, tmp_path: Path) -> None:
    """Requests, retries and items of two runs and two endpoints, by category."""
    journal = str(tmp_path / "a.journal")
    harvest = ("harvest", "7", "8", "--journal", journal, "--refresh", "-q", "--no-share")
    with SandboxThread(categories={7: 45, 8: 20}) as sandbox:
        sandbox.sandbox.faults = Faults(script={(7, 2): ["500"]})
        assert tmapi(*harvest, "--lookahead", "off", url=sandbox.url).code == 0
        first = sandbox.sandbox.stats.requests
        assert tmapi(*harvest, "--endpoint", "category-v2", url=sandbox.url).code == 0
        done = tmapi(*harvest, url=sandbox.url)
        total = sandbox.sandbox.stats.requests
    assert done.code == 0
    costs = json.loads(tmapi("runs", journal, "--json").out)
    assert costs["requests"] == total
    assert costs["runs"][0]["keys"][0]["endpoint"] == "category/items"
    first_run = tmapi("runs", journal, "--run", "1")
    one = {(key["endpoint"], key["key"]): key for key in costs["runs"][0]["keys"]}
    seven = one["category/items", "7"]
    assert (seven["requests"], seven["retries"], seven["items"]) == (4, 1, 45)
    assert costs["runs"][-1]["run"] == 2
    assert first <= costs["runs"][0]["requests"]
    text = first_run.out.decode()
    assert "category/items     7" in text
    assert "11.2" in text


def test_a_run_that_is_not_there_is_refused(tmapi: InProcess, tmp_path: Path) -> None:
    """The message names the runs that there are."""
    journal = str(tmp_path / "a.journal")
    with SandboxThread(categories={7: 5}) as sandbox:
        tmapi("harvest", "7", "--journal", journal, "-q", url=sandbox.url)
    done = tmapi("runs", journal, "--run", "3")
    assert done.code == 2
    assert "has no run 3: its only run is 1" in done.err


def test_a_run_without_a_page_has_no_table(tmapi: InProcess, tmp_path: Path) -> None:
    """Where no page is stored, a sentence takes the place of an empty table."""
    journal = str(tmp_path / "a.journal")
    with SandboxThread(categories={7: 5}, token="another") as sandbox:  # noqa: S106 - of a sandbox
        assert tmapi("harvest", "7", "--journal", journal, "-q", url=sandbox.url).code == 4
    lines = tmapi("runs", journal).out.decode().splitlines()
    assert "Run 1: no page is stored yet" in lines
    assert not any(line.startswith("endpoint") for line in lines)
