"""Log records as JSON objects, and the file that gets them."""

from __future__ import annotations

import json
import logging
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tmapi_async.cli.logs.json_log import JsonFormatter, with_fields
from tmapi_async.cli.logs.log_file import LogFile
from tmapi_async.sandbox import Faults
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from tests.support.canary import Canary
    from tests.support.commands import InProcess


def record(text: str, **attributes: Any) -> logging.LogRecord:
    """Return a record of this package."""
    made = logging.LogRecord("tmapi_async", logging.INFO, "x.py", 1, text, (), None)
    made.created = 1_767_605_400.25
    vars(made).update(attributes)
    return made


def test_a_record_is_one_object_with_its_fields() -> None:
    """Time in UTC, level, event, text and fields; on one line of ASCII without controls."""
    text = "连衣裙\n\x1b[2J\u202e"
    line = JsonFormatter().format(record(text, **with_fields("retry", page=3, listing=text)))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "time": "2026-01-05T09:30:00.250Z",
        "level": "info",
        "event": "retry",
        "message": text,
        "page": 3,
        "listing": text,
    }


def test_an_error_of_another_package_has_its_traceback_in_one_line() -> None:
    """The object names the logger, and keeps the traceback as a text."""
    try:
        int("nothing")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info(), name="asyncio")
    line = json.loads(JsonFormatter().format(made))
    assert line["event"] == "message"
    assert line["logger"] == "asyncio"
    assert line["exception"].endswith("invalid literal for int() with base 10: 'nothing'")


def objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of a log; every line must be one."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", [("items",), ("harvest", "--journal", "a.journal")])
def test_standard_error_has_json_objects_alone(
    tmapi: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Attempts, messages, summary and verdict: no line is plain text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(random, "random", lambda: 0.0)  # no back-off
    faults = Faults(script={(7, 2): ["500"], (7, 3): "417"})
    with SandboxThread(categories={7: 60}, faults=faults) as sandbox:
        done = tmapi(*command, "7", "--log", "json", "-vv", url=sandbox.url)
    assert done.code == 3
    lines = objects(done.err)
    events = {line["event"] for line in lines}
    assert {"attempt", "retry", "message", "summary", "verdict"} <= events
    retry = next(line for line in lines if line["event"] == "retry")
    assert (retry["page"], retry["attempt"], retry["outcome"]) == (2, 1, "500")
    assert retry["listing"] == "category/items?cat_id=7"
    summary = next(line for line in lines if line["event"] == "summary")
    assert summary["exit_code"] == 3
    assert summary["failed"] == 1
    assert lines[-1]["verdict"] == "incomplete"


def test_a_log_file_is_beside_the_messages(tmapi: InProcess, tmp_path: Path) -> None:
    """Standard error stays as it was, and the file is appended to."""
    log = tmp_path / "run.log"
    harvest = ("harvest", "7", "--journal", str(tmp_path / "a.journal"), "--log-file", str(log))
    with SandboxThread(categories={7: 60}) as sandbox:
        done = tmapi(*harvest, "--log", "json", url=sandbox.url)
        assert tmapi(*harvest, "--log", "json", url=sandbox.url).code == 0
        assert tmapi(*harvest, url=sandbox.url).code == 0
    assert done.err.splitlines()[-1].startswith("tmapi: COMPLETE")
    lines = log.read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert events.count("begin") == events.count("summary") == 2
    plain = [line for line in lines if not line.startswith("{")]
    assert plain[-1].split(" ", 2)[1:] == ["info:", done.err.splitlines()[-1][7:]]


def test_a_log_that_cannot_be_written_is_refused(tmapi: InProcess, tmp_path: Path) -> None:
    """Nothing is sent, and the message names the option or the file."""
    done = tmapi("items", "7", "--sandbox", "--log-file", str(tmp_path / "no" / "x.log"))
    assert done.code == 2
    assert "cannot write the log file" in done.err
    done = tmapi("items", "7", "--sandbox", "--log", "yaml")
    assert done.code == 2
    assert "--log must be text or json, not 'yaml'" in done.err


def test_a_full_disk_of_the_log_is_told_once(tmp_path: Path) -> None:
    """The work goes on, without a traceback for each lost record."""
    messages: list[str] = []
    log = LogFile(tmp_path / "x.log", messages.append)

    class Full:
        """A stream whose disk is full."""

        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            """Do nothing."""

        def close(self) -> None:
            """Do nothing."""

    log.stream.close()
    log.stream = Full()  # type: ignore[assignment]
    log.emit(record("one"))
    log.emit(record("two"))
    log.close()
    (line,) = messages
    assert line.endswith("cannot be written: lines are missing in it")


def test_no_log_shows_the_token(tmapi: InProcess, tmp_path: Path, canary: Canary) -> None:
    """Not at the highest level, not in a refusal, not in a file."""
    log = tmp_path / "run.log"
    options = ("--log", "json", "-vv", "--timeout", "0.2")
    with SandboxThread(categories={7: 45}, token="another") as sandbox:  # noqa: S106 - planted
        for more in ((), ("--log-file", str(log)), ("--concurrency", canary.token)):
            done = tmapi("items", "7", *options, *more, url=sandbox.url, token=canary.token)
            assert done.code in (2, 4)
            assert canary.absent_from(done.err)
            assert canary.absent_from(done.out)
    assert canary.absent_from(log.read_bytes())
