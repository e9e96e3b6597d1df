"""The Prefect flow of the examples: its steps as plain functions, and the flow where Prefect is."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.recipes import copy_example, run_bare
from tmapi_async.harvest import JournalInUseError, JournalReader
from tmapi_async.journal.lock import WriteLock
from tmapi_async.sandbox import Faults

FOLDER = ROOT / "examples" / "prefect_flow"
if not FOLDER.is_dir():
    pytest.skip("the examples are not in this distribution", allow_module_level=True)

CATS = {1031910: 113, 2806778: 18}


@pytest.fixture(scope="module")
def job():
    """The module of the steps."""
    spec = importlib.util.spec_from_file_location("nightly_job", FOLDER / "nightly_job.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def start_sandbox(tmapi_sandboxes, monkeypatch):
    """Start a sandbox with the categories of the night, and point the environment to it."""

    async def start(*, token="sandbox", **options):  # noqa: S107 - the sandbox's public one
        running = await tmapi_sandboxes(categories=CATS, limit=8, **options)
        monkeypatch.setenv("TMAPI_TOKEN", token)
        monkeypatch.setenv("TMAPI_BASE_URL", running.url)
        return running

    return start


@pytest.fixture
async def sandbox(start_sandbox):
    """A sandbox without faults."""
    return await start_sandbox()


async def test_a_repeated_night_pays_for_nothing_twice(job, sandbox, path):
    """The second call of a night sends no request; tables and report are made of the journal."""
    assert re.match(r"131 items, \d+ requests", await job.harvest(CATS, path, 100))
    sent = sandbox.stats.requests
    assert await job.harvest(CATS, path, 100) == "131 items, 0 requests in this start"
    assert sandbox.stats.requests == sent
    files = job.write_tables(path)
    assert [file.rpartition("/")[2] for file in files] == ["items.parquet", "report.html"]


async def test_a_retry_continues_the_journal_within_the_budget_of_the_night(job, sandbox, path):
    """What an attempt has spent is not there for the next; a spent budget is not retried."""
    with pytest.raises(job.GiveUpError, match="budget"):
        await job.harvest(CATS, path, 4)
    assert sandbox.stats.requests == 4
    with pytest.raises(job.GiveUpError, match="spent for this night"):
        await job.harvest(CATS, path, 4)
    assert sandbox.stats.requests == 4
    await job.harvest(CATS, path, 12)
    assert sandbox.stats.requests <= 12
    with JournalReader(path) as journal:
        assert [run.states for run in journal.runs()] == [{"complete": 2}]


@pytest.mark.parametrize(("options", "token"), [({"quota": 2}, "sandbox"), ({}, "another")])
async def test_a_matter_of_the_account_is_not_retried(job, start_sandbox, path, options, token):
    """A spent balance and a refused token stay what they are half an hour later."""
    running = await start_sandbox(token=token, balance="bare", **options)
    with pytest.raises(job.GiveUpError) as raised:
        await job.harvest(CATS, path, 100)
    assert token not in str(raised.value).replace(running.url, "")


async def test_a_failed_category_is_worth_a_retry(job, start_sandbox, path):
    """The error says how many have failed; the next attempt asks for those alone."""
    running = await start_sandbox(faults=Faults(script={2806778: "422"}))
    with pytest.raises(job.TryAgainError, match="1 of 2 categories failed"):
        await job.harvest(CATS, path, 100)
    running.faults = Faults()
    sent = running.stats.requests
    await job.harvest(CATS, path, 100)
    assert running.stats.requests - sent <= 2


async def test_a_harvest_beside_another_is_not_retried(job, sandbox, path):
    """The journal refuses the second writer, and nothing is sent."""
    path.touch()
    lock = WriteLock(path)
    lock.acquire()
    try:
        with pytest.raises(JournalInUseError):
            await job.harvest(CATS, path, 100)
    finally:
        lock.release()
    assert sandbox.stats.requests == 0


@pytest.mark.slow
def test_the_flow_runs_as_it_stands(tmp_path):
    """Under Prefect, with its own temporary server on this machine."""
    pytest.importorskip("prefect", reason="Prefect needs an environment of its own")
    folder = copy_example("prefect_flow", tmp_path)
    done = run_bare(
        [sys.executable, folder / "flow.py"],
        tmp_path,
        HOME=str(tmp_path),
        DO_NOT_TRACK="1",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "nightly" / "items.parquet").exists()
