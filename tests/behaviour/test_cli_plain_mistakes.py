"""A plain mistake ends in a plain message and exit 2, never in an "unexpected failure"."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.commands import environment, run
from tests.support.journals import of_rows, row
from tmapi_async.cli.app import LazyCommand

pytestmark = pytest.mark.slow

PATHS = {
    "loop": "a symbolic link on this path leads back to itself",
    "loop/x": "a symbolic link on this path leads back to itself",
    "n" * 300: "the name is too long",
    "file/x": "a part of this path is a file",
    "a\0b": "",
    "folder": "",
    "missing/x": "",
    "": "",
}

READERS = [
    ["status", "PATH"],
    ["changes", "PATH"],
    ["export", "PATH", "--to", "out.jsonl"],
    ["report", "PATH"],
    ["replay", "PATH"],
    ["items", "@PATH"],
    ["items", "--job", "PATH"],
    ["items", "7", "--token-file", "PATH"],
]

WRITERS = [
    ["export", "a.journal", "--to", "PATH.jsonl"],
    ["export", "a.journal", "--to", "PATH.csv"],
    ["export", "a.journal", "--to", "PATH.parquet"],
    ["export", "a.journal", "--to", "PATH.duckdb"],
    ["changes", "a.journal", "--to", "PATH.csv"],
    ["report", "a.journal", "-o", "PATH"],
    ["harvest", "7", "--journal", "a.journal", "--to", "PATH.csv"],
    ["harvest", "7", "--journal", "PATH"],
    ["categories", "--journal", "PATH"],
]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """The working directory, with a journal, a file, a folder and a link to itself."""
    monkeypatch.chdir(tmp_path)
    of_rows(tmp_path / "a.journal", row(1))
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for ending in ("jsonl", "csv", "parquet", "duckdb"):
        (tmp_path / f"folder.{ending}").mkdir()
        (tmp_path / f"loop.{ending}").symlink_to(f"loop.{ending}")
    return tmp_path


def plain(done):
    """Check that the command ended in one plain message, and return this message."""
    assert done.code == 2, done.err
    (line,) = done.messages
    assert "unexpected" not in line
    return line


@pytest.mark.parametrize("path", PATHS, ids=ascii)
@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmapi, command, path):
    """Loops, long names, folders in place of files and NULs are refused by every reader."""
    if path == "" and command[0] == "items":
        path = "folder"
    line = plain(tmapi(*(part.replace("PATH", path) for part in command)))
    if command[0] != "items":
        assert PATHS[path] in line


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids=ascii)
@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmapi, command, path):
    """No request is sent for rows that have nowhere to go."""
    if "PATH" in command and path == "missing/x":
        pytest.skip("a missing folder of a journal is another rule")
    line = plain(tmapi(*(part.replace("PATH", path) for part in command)))
    assert PATHS[path] in line


@pytest.mark.parametrize("command", [*READERS, *WRITERS], ids=" ".join)
def test_a_folder_that_was_removed_under_a_command_is_named(tmapi, command, folder, monkeypatch):
    """Relative paths count from nowhere then, as in the shell of somebody who cleans up."""
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    line = plain(tmapi(*(part.replace("PATH", "x") for part in command)))
    if not command[1].startswith("@"):  # a list of IDs is just not there
        assert "the current folder does not exist any more" in line


def test_a_journal_whose_name_is_not_unicode_is_read(tmapi, folder):
    """File names of another encoding, such as GBK, are the names of ordinary files."""
    (folder / "a.journal").rename(folder / "\udcc1\udcac.journal")
    assert tmapi("status", "\udcc1\udcac.journal").code == 0
    assert tmapi("replay", "\udcc1\udcac.journal").code == 0
    line = plain(tmapi("export", "\udcc1\udcac.journal", "--to", "\udcc1.duckdb"))
    assert "is not text in UTF-8" in line


NUMBERS = ["9" * 400, "1" + "0" * 5000, "-1", "1e400", "nan", "0", "[]", '"x"']


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:10])
@pytest.mark.parametrize(
    "key",
    ["max_pages", "max_requests", "rate", "timeout", "concurrency", "lookahead", "ceiling",
     "most_rejects", "cat_ids_file", "cat_ids", "price_start", "to"],
)  # fmt: skip
def test_a_number_of_a_job_file_that_makes_no_sense_is_refused(tmapi, folder, key, number):
    """Numbers of hundreds or thousands of digits, and those that are none, are plain mistakes."""
    table = key in ("cat_ids_file", "price_start", "cat_ids")
    value = f"[{number}]" if key in ("to", "cat_ids") else number
    text = f"[[listings]]\n{'' if key == 'cat_ids' else 'cat_ids = [7]'}\n"
    line = f"{key} = {value}\n"
    (folder / "job.toml").write_text(text + line if table else line + text)
    done = tmapi(
        "harvest",
        "--job",
        "job.toml",
        "--journal",
        "b.journal",
        "--wait",
        "0",
        url="http://127.0.0.1:9",
    )
    assert "unexpected" not in done.err
    assert "Traceback" not in done.err
    if len(number) > 100:
        assert done.code in (2, 3)
        assert done.code == 2 or key in ("max_pages", "timeout", "lookahead")


@pytest.mark.parametrize("package", ["pyarrow", "duckdb", "jinja2", "psycopg", "distributed"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(tmapi, monkeypatch, package):
    """On a base install, a command that needs an extra says how to install its packages."""

    def fail(*_args, **_more):
        raise ModuleNotFoundError(f"No module named '{package}'", name=f"{package}.compute")

    monkeypatch.setattr(LazyCommand, "load", fail)
    line = plain(tmapi("changes", "a.journal"))
    assert f"needs {package}, which is not installed" in line
    assert re.search(rf'run pip install .*"{package}(\[binary])?>=', line)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["status", "a.journal"],
        ["changes", "a.journal"],
        ["export", "a.journal", "--to", "-"],
        ["harvest", "7", "--journal", "b.journal", "--to", "-"],
        ["categories"],
        ["items", "7"],
    ],
    ids=" ".join,
)
def test_a_closed_standard_output_is_refused_before_the_work(command):
    """A command whose result goes to standard output says that there is none."""
    env = environment("http://127.0.0.1:9")
    done = run(*command, env=env, before=["/bin/sh", "-c", 'exec 1>&-; exec "$@"', "sh"])
    assert "standard output is closed" in plain(done)


@pytest.mark.slow
def test_a_summary_without_standard_output_is_left_out(folder):
    """The files of an export are written whether or not somebody reads the summary."""
    command = ["export", "a.journal", "--to", "out.jsonl", "--json"]
    env = environment()
    done = run(*command, env=env, before=["/bin/sh", "-c", 'exec 1>&-; exec "$@"', "sh"])
    assert done.code == 0
    assert json.loads((folder / "out.jsonl").read_text().splitlines()[0])["item_id"] == 1
