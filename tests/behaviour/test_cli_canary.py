"""No output of a command shows the token, whatever fails and however much is logged."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.commands import environment, finish, spawn
from tmapi_async.sandbox import KINDS, Faults
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = pytest.mark.slow


@pytest.fixture
def _no_back_off(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.mark.usefixtures("_no_back_off")
@pytest.mark.parametrize("name", [*KINDS, "closed"])
def test_no_output_shows_the_token(tmapi, canary, name):
    """No fault shows the token at full logging (`-vv --json`), sent by query or by header."""
    # 503 is asked again for a quarter of an hour, and each time-out takes its time.
    steps = [name] * 2 if name in ("429", "503", "hang", "slow") else name
    faults = Faults(script={7: steps, 8: "417"}) if name in KINDS else Faults()
    with SandboxThread(
        categories={7: 45, 8: 45}, token=canary.token, faults=faults, oversized=2**22
    ) as sandbox:
        url = sandbox.url
        if name != "closed":
            _ask(tmapi, canary, url)
            statistics = sandbox.sandbox.stats
            assert statistics.codes["401"] == 0 or name == "401"
            assert statistics.requests > 0
    if name == "closed":
        _ask(tmapi, canary, url)


def _ask(tmapi, canary, url):
    for auth in ("query", "header"):
        options = ["--json", "-vv", "--auth", auth, "--timeout", "0.2", "--max-pages", "2"]
        done = tmapi("items", "7", "8", *options, url=url, token=canary.token)
        assert done.code in (0, 3, 4)
        assert canary.absent_from(done.out)
        assert canary.absent_from(done.err)
        assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["items", "7", "--token={}", "--base-url", "http://127.0.0.1:1/?apiToken={}"],
        ["items", "7", "--token={}", "--base-url", "{}"],
        ["items", "7", "--token={}", "--base-url", "http://{}@127.0.0.1"],
        ["items", "7", "--token", "{}", "--timeout", "0"],
        ["items", "7", "--token", "{}", "--timeout", "soon"],
        ["items", "7", "--token", "{}", "--no-such-option"],
        ["items", "7", "--tokn={}"],
        ["items", "7", "-t={}"],
        ["items", "7", "--token", "{} {}"],
        ["items", "x", "--token", "{}"],
        ["items", "@/missing", "--token", "{}"],
        ["--token={}", "items", "7"],
        ["items", "7", "--sandbox", "--token", "{}"],
    ],
    ids=" ".join,
)
def test_a_refusal_of_options_does_not_repeat_the_token(tmapi, canary, arguments):
    """A message about bad usage does not repeat a token on the command line."""
    done = tmapi(*(argument.replace("{}", canary.token) for argument in arguments))
    assert done.code == 2
    assert canary.absent_from(done.err)
    assert canary.absent_from(done.out)


def test_an_unexpected_failure_is_told_without_it(tmapi, canary, monkeypatch):
    """An unexpected error is exit 1, shown by class and place: its text may hold a URL."""

    def breaks(*_, **__):
        raise ZeroDivisionError(f"http://x/?apiToken={canary.token}")

    monkeypatch.setattr("tmapi_async.transport.attempts.attempt_outcomes.read_reply", breaks)
    with SandboxThread(token=canary.token) as sandbox:
        done = tmapi("items", "7", "-vv", url=sandbox.url, token=canary.token)
    assert (done.code, done.out) == (1, b"")
    assert "ZeroDivisionError" in done.err
    assert canary.absent_from(done.err)


@pytest.mark.slow
def test_the_process_does_not_show_it(canary):
    """With the token in the environment, title and arguments of the process do not hold it."""
    with SandboxThread(categories={7: 45}, token=canary.token) as sandbox:
        sandbox.call(sandbox.sandbox.hold)
        process = spawn("items", "7", env=environment(sandbox.url, canary.token))
        while sandbox.sandbox.stats.in_flight == 0:
            os.sched_yield()
        folder = Path(f"/proc/{process.pid}")
        texts = [(folder / name).read_bytes() for name in ("cmdline", "comm", "stat")]
        sandbox.call(sandbox.sandbox.release)
        done = finish(process)
    assert done.code == 0
    assert all(canary.absent_from(text) for text in texts)
