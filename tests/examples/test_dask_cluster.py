"""The Dask cluster of the examples, as a program of its own."""

from __future__ import annotations

import sys

import pytest

from tests.support.paths import ROOT
from tests.support.recipes import copy_example, run_bare
from tmapi_async.harvest import JournalReader

if not (ROOT / "examples").is_dir():
    pytest.skip("the examples are not in this distribution", allow_module_level=True)
pytest.importorskip("distributed", reason="the example needs Dask")


@pytest.mark.slow
def test_the_cluster_runs_as_it_stands_and_ends_cleanly(tmp_path):
    """Every category of the sandbox is complete; nothing is left running and nothing is logged."""
    program = copy_example("dask_cluster.py", tmp_path)
    done = run_bare([sys.executable, program], tmp_path, TMAPI_CACHE_DIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    with JournalReader(tmp_path / "dask.journal") as journal:
        [run] = journal.runs()
        pages = sum(1 for _ in journal.pages())
    assert run.states == {"complete": 40}
    assert f"40 categories, {pages:,} pages" in done.stdout
