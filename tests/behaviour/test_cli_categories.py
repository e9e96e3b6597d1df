"""`tmapi categories`: a tree for people, IDs for pipes, lines for programs."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

import pytest

from tests.support.commands import environment, finish, spawn
from tmapi_async.errors import JournalError
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox.server.process import SandboxThread


def test_the_command_prints_a_tree(tmapi, tmp_path):
    """A pipe gets indented lines, IDs that harvest accepts, or JSON lines with the summary last."""
    done = tmapi("categories", "--sandbox")
    lines = done.out.decode().splitlines()
    assert done.code == 0
    assert any(line.startswith("  ") for line in lines)
    leaves = tmapi("categories", "--sandbox", "--leaves", "-q").out.decode().splitlines()
    assert all("  # " in line for line in leaves)
    id_file = tmp_path / "ids.txt"
    id_file.write_text("\n".join(leaves[:2]), "utf-8")
    done = tmapi("items", f"@{id_file}", "--sandbox", "--max-pages", "1", "--json")
    assert json.loads(done.err.splitlines()[-1])["listings"] == 2
    *nodes, summary = map(json.loads, tmapi("categories", "--sandbox", "--json").out.splitlines())
    assert len(nodes) == len(lines) == summary["items"]
    assert sum(node["has_children"] is False for node in nodes) == len(leaves)


def test_the_command_keeps_the_tree_and_tells_of_it(tmapi, tmp_path):
    """With a journal the same command again sends nothing; status shows the tree."""
    journal = str(tmp_path / "tree.journal")
    first = tmapi("categories", "--sandbox", "--journal", journal)
    again = tmapi("categories", "--sandbox", "--journal", journal, "--json")
    assert first.code == again.code == 0
    assert json.loads(again.out.splitlines()[-1])["requests"] == 0
    assert again.out.splitlines()[:-1] != []
    status = tmapi("status", journal).out.decode()
    assert "category tree: 7 answers, fetched from" in status


def test_another_host_is_warned_of(tmapi, tmp_path):
    """Using a tree from one server for another one prints a warning."""
    journal = str(tmp_path / "j")
    assert tmapi("categories", "--sandbox", "--journal", journal).code == 0
    with SandboxThread(tree=5) as sandbox:
        done = tmapi("categories", "--journal", journal, url=sandbox.url)
    assert done.code == 0
    assert "is from sandbox, new answers are from 127.0.0.1:" in done.err


def test_leaves_of_a_cut_tree_are_those_at_the_cut(tmapi):
    """With a depth, the IDs at that depth count as leaves too."""
    every = tmapi("categories", "--sandbox", "--depth", "1", "-q").out.splitlines()
    leaves = tmapi("categories", "--sandbox", "--depth", "1", "--leaves", "-q").out.splitlines()
    assert len(leaves) == len(every) > 1


def test_a_list_of_ids_with_holes_is_not_printed(tmapi, tmp_path):
    """An incomplete list of IDs is not printed, since harvest would take it for all: exit 3."""
    journal = str(tmp_path / "j")
    done = tmapi("categories", "--sandbox", "--leaves", "--journal", journal, "--max-requests", "2")
    assert (done.code, done.out) == (3, b"")
    assert "the IDs are not printed" in done.err
    assert "run the same command again to continue" in done.err
    done = tmapi("categories", "--sandbox", "--leaves", "--journal", journal)
    assert done.code == 0
    assert done.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["x"], "'x' is not a category ID"),
        (["-5"], "'-5' is not a category ID"),
        (["--depth", "0"], "--depth must be at least 1"),
        (["--refresh"], "it needs --journal"),
        (["--concurrency", "0"], "concurrency"),
    ],
)
def test_bad_input_is_refused(tmapi, arguments, reason):
    """Bad input is refused with exit 2 and a line that says what is wrong."""
    done = tmapi("categories", *arguments, "--sandbox")
    assert (done.code, done.out) == (2, b"")
    assert reason in done.err


@pytest.mark.slow
def test_an_interrupt_keeps_what_was_paid_for(tmp_path):
    """Ctrl-C ends with exit 3 and advice; continuing costs only the missing answers."""
    journal = str(tmp_path / "j")
    with SandboxThread(tree=400, latency=0.02, latency_sigma=0.0, limit=4) as sandbox:
        env = environment(sandbox.url)
        process = spawn("categories", "--journal", journal, env=env)
        while process.poll() is None:
            with suppress(JournalError), JournalReader(journal) as reader:
                if (tree := reader.tree()) is not None and tree.answers > 5:
                    break
        os.kill(process.pid, signal.SIGINT)
        done = finish(process)
        assert done.code == 3
        assert "run the same command again to continue" in done.err
        pages_before = sandbox.sandbox.stats.pages_served
        done = finish(spawn("categories", "--journal", journal, "--json", env=env))
    assert done.code == 0
    # What was on the wire is asked for again, and nothing else.
    every = 1 + sum(
        1 for line in done.out.splitlines()[:-1] if json.loads(line)["has_children"] is not False
    )
    assert json.loads(done.out.splitlines()[-1])["requests"] <= every - pages_before + 8
