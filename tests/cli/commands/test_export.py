from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import body, of_catalogue, of_rows, row, write
from tmapi_async.cli.commands.export import ExportOptions, run_export


def tmapi(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `tmapi export` as a user does."""
    command = [sys.executable, "-c", "from tmapi_async.cli import main; main()", "export"]
    return subprocess.run(  # noqa: S603 - our own command
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **options,
    )


@pytest.mark.slow
def test_several_destinations_and_a_summary(tmp_path: Path) -> None:
    """One `--to` may have several destinations; the summary is the last line."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 25})
    names = ("a.csv", "b.parquet", "c.jsonl", "d.jsonl.zst")
    paths = [tmp_path / name for name in names]
    done = tmapi(journal, "--to", *paths[:3], "--to", paths[3], "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["pages"], summary["run"]) == (25, 2, 1)
    assert summary["stopped_by"] is None
    sizes = {one["to"]: one["bytes"] for one in summary["destinations"]}
    assert sizes == {str(path): path.stat().st_size for path in paths}
    assert "25 rows from 2 pages of run 1" in done.stderr


@pytest.mark.slow
def test_what_could_not_be_read_is_told(tmp_path: Path) -> None:
    """The summary counts unreadable values by column, and unfinished listings."""
    rows = [row(1, price="面议", sales_count="100000+"), row(2, price="?"), None]
    write(tmp_path / "a.journal", {7: [body(rows)]}, state="open")
    done = tmapi(tmp_path / "a.journal", "--to", tmp_path / "a.parquet")
    assert done.returncode == 0
    assert "2 values could not be read" in done.stderr
    assert "(price x 2)" in done.stderr
    assert "(sales_count x 1)" in done.stderr
    assert "1 row could not be decoded and is not exported" in done.stderr
    assert "NOT COMPLETE: 0 of 1 listing finished, 1 not finished" in done.stderr


def test_a_rate_below_1_is_told_apart_from_a_number_that_is_not_plain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason that is given is the one that the journal has."""
    rate, count = {"shop_info": {"shop_repurchase_rate": "0.63"}}, {"sales_count": "100000+"}
    told = {}
    for name, rows in (("rate", [row(1, **rate)]), ("both", [row(1, **rate), row(2, **count)])):
        journal = of_rows(tmp_path / f"{name}.journal", *rows)
        assert export(journal, [str(tmp_path / "a.jsonl")]) == 0
        told[name] = capsys.readouterr().err
        assert "1 rate is below 1 and may be percent or a fraction" in told[name]
        assert "(shop_info_shop_repurchase_rate x 1)" in told[name]
    assert "plain number" not in told["rate"]
    assert "1 value is not a plain number" in told["both"]
    assert "(sales_count x 1)" in told["both"]


@pytest.mark.slow
def test_rows_on_standard_output_stand_alone(tmp_path: Path) -> None:
    """With `--to -` standard output holds rows alone, and the summary ends standard error."""
    journal = of_rows(tmp_path / "a.journal", row(1), row(2))
    done = tmapi(journal, "--to", "-", "--json", "-q")
    assert done.returncode == 0
    assert [json.loads(line)["item_id"] for line in done.stdout.splitlines()] == [1, 2]
    assert json.loads(done.stderr.splitlines()[-1])["rows"] == 2


def test_options_select(tmp_path: Path) -> None:
    """Run, time, category and `--unique` select rows, alone and combined."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1), row(1)])], 8: [body([row(2)])]})
    write(path, {7: [body([row(3)])]}, refresh=True)

    def ids(**fields: Any) -> list[int]:
        target = tmp_path / "a.jsonl"
        assert export(path, [str(target)], **fields) == 0
        return [json.loads(line)["item_id"] for line in target.read_bytes().splitlines()]

    assert ids() == [2, 3]
    assert ids(run="latest") == [3]
    assert ids(run="1") == [1, 1, 2]
    assert ids(run="all", unique=True, cat=["7"]) == [1, 3]
    assert ids(since="2026-01-05") == [1, 1, 2, 3]
    assert ids(since="2026-01-05T09:30:01Z") == []
    assert ids(since="2026-01-05T17:30:00+08:00", run="1", cat=["8"]) == [2]


def export(journal: Path, to: list[str], **fields: Any) -> int:
    """Run the command with some options and return the exit code."""
    return run_export(ExportOptions(journal=journal, to=to, **fields))


def test_what_an_export_leaves_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The messages name the runs, later unfinished visits, and listings outside of the run."""
    path = tmp_path / "a.journal"
    write(path, {cat_id: [body([row(cat_id)])] for cat_id in range(1, 21)})
    write(path, {5: [body([row(5)])]}, refresh=True)
    write(path, {6: []}, refresh=True, state="open")
    to = [str(tmp_path / "a.jsonl")]
    assert export(path, to) == 0
    messages = capsys.readouterr().err
    assert "20 rows from 20 pages of runs 1 and 2 in" in messages
    assert "warning: 1 listing has a later visit not finished: the rows of the last" in messages
    assert export(path, to, run="2") == 0
    messages = capsys.readouterr().err
    assert "1 row from 1 page of run 2 in" in messages
    assert "19 other listings of the journal are not exported" in messages


@pytest.mark.parametrize(
    ("to", "fields", "reason"),
    [
        ("a.ods", {}, "must end with one of"),
        ("nowhere/a.csv", {}, "create it first"),
        ("a.csv", {"run": "zero"}, "--run must be latest, all or the number of a run"),
        ("a.csv", {"run": "0"}, "--run must be"),
        ("a.csv", {"run": "5"}, "has no run 5"),
        ("a.csv", {"since": "yesterday"}, "--since must be a date"),
        ("a.csv", {"cat": ["shoes"]}, "'shoes' is not a category ID"),
        ("a.csv", {"cat": ["9"]}, "no listing of category 9"),
        ("a.csv", {"table": "x"}, "--table needs a database"),
        ("a.jsonl", {"csv_bom": True}, "--csv-bom needs a .csv file"),
    ],
)
def test_bad_usage_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    to: str,
    fields: dict[str, Any],
    reason: str,
) -> None:
    """Wrong usage is exit 2 with one line that says why. No file is made."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    assert export(journal, [str(tmp_path / to)], **fields) == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.journal"]


@pytest.mark.slow
def test_a_destination_needs_its_option(tmp_path: Path) -> None:
    """A destination without `--to` is refused, so that no file is written by accident."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    done = tmapi(journal, tmp_path / "a.csv")
    assert done.returncode == 2
    assert "no destination: give --to" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_journal_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing journal, or a file that is not a journal, ends with exit 2."""
    (tmp_path / "b.journal").write_text("not a journal, but long enough to be read as one" * 20)
    for name, reason in (("a.journal", "no such journal"), ("b.journal", "not a journal of tmapi")):
        assert export(tmp_path / name, [str(tmp_path / "a.jsonl")]) == 2
        assert reason in capsys.readouterr().err


def test_a_database_that_is_not_there_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that cannot be reached is exit 3: the same command may work later."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    assert export(journal, [f"postgresql://me:s3cret@/shop?host={tmp_path}"]) == 3
    messages = capsys.readouterr().err
    assert "nothing was written" in messages
    assert "s3cret" not in messages


def test_postgres_from_the_command_line(
    tmp_path: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary counts new, changed and unchanged rows."""
    journal = of_rows(tmp_path / "a.journal", row(1), row(2))
    for counts in ("2 new, 0 changed, 0 unchanged", "0 new, 0 changed, 2 unchanged"):
        assert export(journal, [postgres], table="goods") == 0
        messages = capsys.readouterr().err
        assert counts in messages
        assert "s3cret" not in messages


STOPPED = """
import os, signal, sys
from tmapi_async.cli import main
from tmapi_async.journal.reader import JournalReader

number, pages = getattr(signal, sys.argv.pop()), JournalReader.pages

def pages_with_a_signal(*args, **kwargs):
    os.kill(os.getpid(), number)
    yield from pages(*args, **kwargs)

JournalReader.pages = pages_with_a_signal
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    """Ctrl-C and SIGTERM end an export with exit 3; the old file stays, without leftovers."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    target = tmp_path / "out" / "a.csv"
    target.parent.mkdir()
    target.write_text("old")
    done = subprocess.run(  # noqa: S603 - our own code
        [
            sys.executable,
            "-c",
            STOPPED,
            "export",
            str(journal),
            "--to",
            str(target),
            "--json",
            name,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    assert "interrupted" in done.stderr
    assert json.loads(done.stdout)["stopped_by"] == "signal"
    assert [path.name for path in target.parent.iterdir()] == ["a.csv"]
    assert target.read_text() == "old"


@pytest.mark.slow
def test_a_reader_that_goes_ends_it_quietly(tmp_path: Path) -> None:
    """A closed pipe (`| head`) ends an export without a message."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 2000})
    command = [sys.executable, "-c", "from tmapi_async.cli import main; main()", "export"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, str(journal), "--to", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b"{")
        child.stdout.close()
        messages = child.stderr.read()
        child.wait(60)
    assert (child.returncode, messages) == (3, b"")
