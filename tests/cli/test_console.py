"""Messages, log records and results: escaped, and never a reason to fail."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment, run, spawn
from tests.support.journals import of_rows, row
from tmapi_async.cli.console import LineFormatter

TEXT = "\x1b[2J\u202e裙"


def test_log_records_are_escaped() -> None:
    """A log record shows escape sequences of its arguments and of its traceback."""
    formatter = LineFormatter("tmapi: %(message)s")
    try:
        int(TEXT)
    except ValueError:
        record = logging.LogRecord(
            "tmapi_async", logging.WARNING, "", 1, "row %s\nof", (TEXT,), sys.exc_info()
        )
    text = formatter.format(record)
    assert text.splitlines()[0] == r"tmapi: row \u001b[2J\u202e裙\u000aof"
    assert "Traceback" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "gbk", "ascii", "cp1252"])
@pytest.mark.parametrize("command", ["status", "changes", "report"])
def test_a_stream_that_cannot_hold_a_text_gets_it_escaped(
    tmp_path: Path, command: str, encoding: str
) -> None:
    """A locale without Chinese or emoji does not end a command that has such texts to print."""
    journal = tmp_path / "连衣裙é👗.journal"
    of_rows(journal, row(1, title="连衣裙é👗"))
    options = ["-o", str(tmp_path / "报告.html")] if command == "report" else []
    env = environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    process = spawn(command, str(journal), *options, env=env)
    _, err = process.communicate(timeout=60)
    assert b"unexpected" not in err
    assert process.returncode == (2 if command == "changes" else 0)  # there is one run only


@pytest.mark.slow
def test_json_stays_json_where_a_stream_cannot_hold_its_text(tmp_path: Path) -> None:
    """The summary is written in ASCII where the encoding of the stream lacks a character."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    target = tmp_path / "é裙👗.csv"
    env = environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    done = run("export", str(journal), "--to", str(target), "--json", env=env)
    assert json.loads(done.out)["destinations"][0]["to"] == str(target)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "changes"])
def test_a_closed_standard_output_is_named(tmp_path: Path, command: str) -> None:
    """A command whose only result is its output says that there is none."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    done = run(command, str(journal), env=environment(), before=["sh", "-c", 'exec "$@" >&-', "sh"])
    assert done.code == 2
    assert done.messages[0].startswith("tmapi: standard output is closed")
