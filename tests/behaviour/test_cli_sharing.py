"""Commands share the account's limit with other processes, unless they are told not to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmapi_async.sandbox.server.process import SandboxThread


@pytest.fixture
def folder():
    """Return the folder in which processes find each other."""
    return Path(os.environ["TMAPI_RUNTIME_DIR"])


@pytest.fixture
def sandbox():
    """Run a sandbox."""
    with SandboxThread(categories={7: 60}) as thread:
        yield thread


def test_a_command_shares_by_default_and_no_share_keeps_it_apart(tmapi, sandbox, folder):
    """The folder of sockets is made by a command that shares, and no socket is left over."""
    done = tmapi("items", "7", "-q", "--no-share", url=sandbox.url)
    assert (done.code, len(done.rows), done.err) == (0, 60, "")
    assert not list(folder.glob("tmapi-async-*"))
    done = tmapi("items", "7", "-q", url=sandbox.url)
    assert (done.code, len(done.rows), done.err) == (0, 60, "")
    (made,) = folder.glob("tmapi-async-*")
    assert list(made.iterdir()) == []


def test_a_job_file_may_keep_a_command_apart(tmapi, sandbox, folder, tmp_path):
    """`share = false`; a typed `--share` wins."""
    job = tmp_path / "job.toml"
    job.write_text("share = false\n\n[[listings]]\ncat_ids = [7]\n")
    assert tmapi("items", "--job", str(job), "-q", url=sandbox.url).code == 0
    assert not list(folder.glob("tmapi-async-*"))
    assert tmapi("items", "--job", str(job), "--share", "-q", url=sandbox.url).code == 0
    assert list(folder.glob("tmapi-async-*"))


def test_a_sandbox_of_the_command_is_no_account(tmapi, folder):
    """The sandbox has a limit of its own: nothing is shared."""
    assert tmapi("items", "7", "-q", "--sandbox").code == 0
    assert not list(folder.glob("tmapi-async-*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no Unix sockets")
def test_where_nothing_can_be_shared_the_command_says_so_and_works(tmapi, sandbox, folder):
    """One warning; the command goes on alone."""
    (folder / f"tmapi-async-{os.getuid()}").write_text("a file")
    done = tmapi("items", "7", "-q", url=sandbox.url)
    assert (done.code, len(done.rows)) == (0, 60)
    assert done.err.count("cannot share") == 1
    assert "--no-share" in done.err
