"""`tmapi harvest` with workers, with several accounts, and beside another process."""

from __future__ import annotations

import os
import re
import signal
import time

import msgspec
import pytest

from tests.support.commands import SUMMARY_KEYS, environment, finish, run, spawn
from tmapi_async.cli.options import cluster_options as clustering
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox.server.process import SandboxThread

SIZES = dict.fromkeys(range(1, 41), 60)
TOKENS = ("first-account", "second-account")


@pytest.fixture
def journal(tmp_path):
    """Return the path of a journal that does not exist yet, as typed."""
    return str(tmp_path / "test.journal")


@pytest.fixture
def sandbox():
    """Run a sandbox of forty categories of three pages, for two accounts, at a limit of eight."""
    options = {"categories": SIZES, "limit": 8, "latency": 0.02, "token": TOKENS, "ghosts": True}
    with SandboxThread(**options) as thread:
        yield thread


def harvest_all(sandbox, *arguments, token=TOKENS[0], **env):
    """Return the command that harvests everything in a sandbox, and its environment."""
    command = ("harvest", *map(str, SIZES), *arguments, "--json")
    return {"arguments": command, "env": environment(sandbox.url, token, **env)}


def items(journal):
    """Count the distinct items in a journal. Fails if a page is there twice."""
    with JournalReader(journal) as reader:
        reader.verify()
        pages = [(page.listing.cat_id, page.number, page.body) for page in reader.pages()]
    assert len({page[:2] for page in pages}) == len(pages)
    rows = (row for _, _, body in pages for row in msgspec.json.decode(body)["data"]["items"])
    return len({row["item_id"] for row in rows})


def summary(done):
    """Return the summary, the last line of standard output."""
    values = msgspec.json.decode(done.out.splitlines()[-1])
    assert list(values) == SUMMARY_KEYS
    return values


def wait_until(condition):
    """Wait until a condition holds. Fails if it never does."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
def test_worker_processes_get_all_and_report_as_one_process_does(sandbox, journal):
    """Summary, exit code and messages are those of the contract; nothing of Dask is shown."""
    command = harvest_all(sandbox, "--journal", journal, "--workers", "2", "--concurrency", "8")
    done = run(*command["arguments"], env=command["env"])
    assert (done.code, summary(done)["complete"]) == (0, 40)
    assert summary(done)["codes"] == {"200": summary(done)["requests"]}
    assert done.err.splitlines()[-1].startswith("tmapi: COMPLETE: 40 of 40 listings")
    assert not re.search("distributed|Traceback|tcp://", done.err)
    assert items(journal) == 40 * 60
    assert sandbox.sandbox.stats.peak_in_flight <= 8
    again = run(*command["arguments"], env=command["env"])
    assert (again.code, summary(again)["requests"]) == (0, 0)


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
def test_ctrl_c_lets_workers_finish_what_is_on_the_wire(sandbox, journal):
    """The signal reaches the whole group; workers go on until paid pages are in the journal."""
    command = harvest_all(sandbox, "--journal", journal, "--workers", "2", "--concurrency", "8")
    # Slow pages: the harvest must not be over before the signal arrives.
    sandbox.call(sandbox.sandbox.change, latency=0.5)
    process = spawn(*command["arguments"], env=command["env"], start_new_session=True)
    wait_until(lambda: sandbox.sandbox.stats.requests >= 25)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert (done.code, summary(done)["stopped_by"]) == (3, "signal")
    assert "already paid for" in done.err
    assert summary(done)["requests"] == sandbox.sandbox.stats.requests
    sandbox.call(sandbox.sandbox.change, latency=0.02)
    done = run(*command["arguments"], env=command["env"])
    assert done.code == 0
    assert items(journal) == 40 * 60
    assert sandbox.sandbox.stats.extra_servings == summary(done)["second_looks"]


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_token_file_may_name_several_accounts(sandbox, journal, tmp_path, options):
    """A refused account stops alone, and is named by its number; the others do the work."""
    file = tmp_path / "tokens"
    file.write_text("wrong-account\n" + "\n".join(TOKENS) + "\n")
    options = ("--journal", journal, "--token-file", str(file), *options)
    command = harvest_all(sandbox, *options, token="")
    done = run(*command["arguments"], env=command["env"])
    assert done.code == 0, done.err
    assert "account 1 of 3 stops" in done.err
    assert items(journal) == 40 * 60
    assert not any(token in done.err for token in (*TOKENS, "wrong-account"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workers", "2", "--cluster", "tcp://127.0.0.1:9"), "remove --cluster"),
        (("--workers", "0"), "--workers must be at least 1, not 0"),
        (("--cluster", "10.0.0.1:8786"), "such as tcp://10.0.0.1:8786, not '10.0.0.1:8786'"),
        (("--worker-token", "env:TOKEN"), "--worker-token needs --cluster or --workers"),
        (("--workers", "1", "--worker-token", "TOKEN"), "env:NAME or file:PATH"),
    ],
)
def test_options_that_contradict_are_refused_before_anything_starts(
    tmapi, journal, arguments, message
):
    """The exit code is 2, and the message names the option."""
    done = tmapi("harvest", "7", "--journal", journal, *arguments)
    assert (done.code, done.messages[-1].endswith("; nothing was sent")) == (2, True)
    assert message in done.err


def test_without_the_extra_the_message_says_how_to_get_it(tmapi, journal, monkeypatch):
    """The command checks for the extra before it imports distributed."""
    monkeypatch.setattr(clustering, "find_spec", lambda _: None)
    done = tmapi("harvest", "7", "--journal", journal, "--workers", "2")
    assert done.code == 2
    assert 'run pip install "distributed>=' in done.err


@pytest.mark.parametrize(
    ("tokens", "command", "message"),
    [
        ("one\ntwo\n", ("items", "7"), "only tmapi harvest can use several accounts"),
        ("one\ntwo\none\n", ("harvest", "7", "--journal", "x"), "lines 1 and 3 of"),
        ("\n \n", ("harvest", "7", "--journal", "x"), "must contain one token"),
    ],
)
def test_token_files_that_do_not_fit_the_command_are_refused(
    tmapi, tmp_path, tokens, command, message
):
    """The message names the file, and shows no token."""
    file = tmp_path / "tokens"
    file.write_text(tokens)
    done = tmapi(*command, "--token-file", str(file))
    assert done.code == 2
    assert message in done.err
    assert str(file) in done.err
