"""`tmapi check` tells before work what would fail in it, for one request at most."""

from __future__ import annotations

import json

import pytest

from tests.support.journals import of_rows, row
from tmapi_async.sandbox import Faults
from tmapi_async.sandbox.server.process import SandboxThread

TOKEN = "canary-0123456789abcdef"  # noqa: S105 - not a secret


def results(done):
    """Return the results of the checks by their names."""
    return {finding["check"]: finding["result"] for finding in json.loads(done.out)["findings"]}


def test_all_is_well(tmapi, tmp_path):
    """One request is sent, and it is announced before."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    places = ("--journal", str(journal), "--to", str(tmp_path / "a.csv"))
    with SandboxThread(token=TOKEN) as sandbox:
        done = tmapi("check", *places, url=sandbox.url, token=TOKEN)
        assert sandbox.sandbox.stats.requests == 1
        assert tmapi("check", "--free", url=sandbox.url, token=TOKEN).code == 0
        assert sandbox.sandbox.stats.requests == 1
    assert done.code == 0
    assert "sending 1 request, which is billed as one page at most" in done.err
    assert done.out.decode().splitlines()[-1].startswith("READY: ")
    assert TOKEN not in done.out.decode() + done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.journal"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"token": "another-token"}, 4),
        ({"quota": 0}, 4),
        ({"faults": Faults(rates={"500": 1.0})}, 3),
        ({"faults": Faults(rates={"html": 1.0})}, 3),
    ],
)
def test_what_the_api_refuses_is_told_after_one_request(tmapi, options, code):
    """Token and balance have their own exit code; nothing is tried twice."""
    with SandboxThread(**options) as sandbox:
        done = tmapi("check", "--json", url=sandbox.url)
        assert sandbox.sandbox.stats.requests == 1
    assert done.code == code
    assert results(done)["account"] == "failed"
    assert json.loads(done.out)["requests"] == 1


def test_places_that_cannot_be_written_are_told(tmapi, tmp_path):
    """Every place has a finding of its own, and the request is not lost by that."""
    journal = tmp_path / "missing" / "a.journal"
    places = ("--journal", str(journal), "--to", "x.txt", "--to", str(tmp_path / "a.jsonl"))
    with SandboxThread() as sandbox:
        done = tmapi("check", *places, "--free", url=sandbox.url)
    assert done.code == 3
    lines = done.out.decode().splitlines()
    assert [line.split(":")[0].split()[0] for line in lines[:3]] == ["failed", "failed", "fine"]
    assert "create it first" in lines[0].lower()


def test_without_a_host_no_request_is_paid_for(tmapi):
    """The paid check comes last, and only where it can succeed."""
    with SandboxThread() as sandbox:
        url = sandbox.url
    done = tmapi("check", "--json", url=url)
    assert (done.code, json.loads(done.out)["requests"]) == (3, 0)
    assert results(done)["account"] == "skipped"


def test_a_missing_token_is_bad_usage(tmapi):
    """The message says where a token goes."""
    done = tmapi("check", token="")
    assert done.code == 2
    assert "set TMAPI_TOKEN" in done.err


def test_other_users_can_read_the_token_file(tmapi, tmp_path):
    """The file is used, and the warning says how to close it."""
    file = tmp_path / "token"
    file.write_text("sandbox")
    file.chmod(0o644)
    with SandboxThread() as sandbox:
        done = tmapi("check", "--token-file", str(file), "--free", url=sandbox.url, token="")
        assert f"Run chmod 600 {file}" in done.out.decode()
        file.chmod(0o600)
        done = tmapi("check", "--token-file", str(file), "--free", url=sandbox.url, token="")
    assert (done.code, "warning" in done.out.decode()) == (0, False)
