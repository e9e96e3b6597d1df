"""The token is nowhere but on its line: no task, key, log or event holds it."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle

import pytest
from distributed import Client

from tests.support.clustered import LIMIT, harvest, held, job, truth
from tmapi_async.errors import WorkerRefusedError
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.sandbox import Sandbox


def log_all(folder):
    """Every record of this worker, of distributed and of ours, goes to a file."""
    handler = logging.FileHandler(f"{folder}/{os.getpid()}.log")
    logging.getLogger("distributed").addHandler(handler)
    logging.getLogger("tmapi_async").addHandler(handler)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("distributed", "tmapi_async")):
            logging.getLogger(name).setLevel(logging.DEBUG)


async def test_the_token_is_in_no_task_key_log_or_event(workers, path, canary, tmp_path_factory):
    """With all logging on, everything the cluster keeps and tells is searched for the token."""
    scheduler, seen = workers.cluster.scheduler, []
    logs = tmp_path_factory.mktemp("logs")
    async with (
        Client(workers.address, asynchronous=True, set_as_default=False) as client,
        Sandbox(token=canary.token, limit=LIMIT, latency=0.01, categories=60) as sandbox,
    ):
        await client.run(log_all, str(logs))
        work = job(sandbox, path, workers.address, tokens=[canary.token])
        running = asyncio.create_task(work.run())
        while not running.done():
            seen += [
                (key, pickle.dumps(task.run_spec)) for key, task in dict(scheduler.tasks).items()
            ]
            await asyncio.sleep(0.02)
        assert (await running).complete
        told = [
            await client.get_worker_logs(),
            await client.get_scheduler_logs(),
            await client.get_events(),
            scheduler.transition_log,
            scheduler.worker_plugins,
            await client.run(plugins),
            work,
            vars(work._engine._coordinator),
        ]
    assert seen
    assert all("tmapi-batch-" in key and "category/items?cat_id=" in key for key, _ in seen)
    assert all(canary.absent_from(content) for _, content in seen)
    written = [file.read_text() for file in logs.iterdir()]
    assert any("tmapi_session" in text for text in written)  # first messages are logged
    texts = [*written, workers.log.read_text(), *(repr(thing) for thing in told)]
    assert all(canary.absent_from(text) for text in texts)
    assert canary.absent_from(path.read_bytes())


def plugins(dask_worker):
    """What a worker's plugins show of themselves."""
    return repr({name: (plugin, vars(plugin)) for name, plugin in dask_worker.plugins.items()})


def set_variable(name, value):
    """Set a variable of a worker's environment."""
    os.environ[name] = value


async def test_workers_find_the_token_where_they_are_told(workers, path, tmp_path):
    """A variable or a file on the worker holds it; a worker that has another one is refused."""
    (tmp_path / "tokens").write_text("other\nright\n")
    async with (
        Client(workers.address, asynchronous=True, set_as_default=False) as client,
        Sandbox(token=["right", "other"], limit=LIMIT, categories=20) as sandbox,
    ):
        await client.run(set_variable, "TMAPI_TEST_TOKENS", "right")
        places = {
            "env:TMAPI_TEST_TOKENS": ["right"],
            f"file:{tmp_path / 'tokens'}": ["other", "right"],
        }
        for number, (token_source, tokens) in enumerate(places.items()):
            most = {"tokens": TokenSource.parse(token_source)}
            file = path.with_suffix(f".{number}")
            result = await harvest(sandbox, file, workers.address, tokens=tokens, most=most)
            assert result.complete
            assert held(file) == truth(sandbox)
        asked = sandbox.stats.requests
        for token_source, reason in (
            ("env:TMAPI_TEST_TOKENS", "another token"),
            ("env:TMAPI_TEST_NOTHING", "holds 0 tokens"),
            ("file:/nowhere", "cannot be read"),
        ):
            most = {"tokens": TokenSource.parse(token_source)}
            result = await harvest(sandbox, path, workers.address, tokens=["other"], most=most)
            assert isinstance(result.error, WorkerRefusedError)
            assert reason in str(result.error)
        assert sandbox.stats.requests == asked


@pytest.mark.parametrize("text", ["env:", "file:", "TMAPI_TOKEN", "s3:bucket", ""])
def test_a_place_that_is_none_is_refused(text):
    """Only env:NAME and file:PATH say where a token is."""
    with pytest.raises(ValueError, match="env:NAME or file:PATH"):
        TokenSource.parse(text)
