"""The whole command line in every locale, on terminals of any width, and with output closed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.commands import TMAPI, environment
from tests.support.endpoint_journals import write_endpoints
from tests.support.journals import body, of_rows, row, write
from tmapi_async import SEARCH_ITEMS
from tmapi_async.cli.app import COMMANDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="terminals and locales there are others"),
]

TITLE = "连衣裙 Señora\x1b[2J\u202e \U0001f457"
LOCALES = ("C", "ASCII", "C.UTF-8", "Latin-1", "GBK")
WIDTHS = (40, 80, 200)
CLOSED = (">&-", "2>&-", ">&- 2>&- <&-", "| true", "> /dev/full", "2> /dev/full")
CODES = (0, 2, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Journals with two runs, of foreign titles, of other endpoints, and a damaged one."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [row(number, title=TITLE, price="4.59") for number in range(1, 21)]
    of_rows(folder / "j", *rows)
    later = body([row(number, title=TITLE, price="5.10") for number in range(3, 25)])
    write(folder / "j", {7: [later]}, refresh=True)
    write_endpoints(folder / "others", {SEARCH_ITEMS.name: [body([row(1, title=TITLE)])]})
    damaged = bytearray((folder / "j").read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 4000] = b"\xff" * 4000
    (folder / "damaged").write_bytes(damaged)
    (folder / "钱.txt").write_text("1031910\n", encoding="utf-8")
    return folder


def command_lines(folder, place):
    """Command lines of every command: help, common mistakes, and what it is for."""
    place.mkdir()
    j, other, damaged = (str(folder / name) for name in ("j", "others", "damaged"))
    sandboxed = ("--sandbox", "--max-requests", "3", "--concurrency", "2")
    runs = {
        "check": [
            ("--journal", j, "--to", str(place / "表.csv"), *sandboxed), ("--free", "--to", "没有"),
            ("--journal", damaged, "--json", *sandboxed), ("--journal", "/没有/j", "--free"),
        ],
        "config": [(), ("--json",), ("--path",), ("--example",), ("--job", "没有.toml")],
        "items": [
            ("1", *sandboxed), ("1", "x" + TITLE), (f"@{folder / '钱.txt'}", *sandboxed),
            ("--keyword", "连衣裙", "--endpoint", "search", *sandboxed), ("@没有.txt",),
        ],
        "harvest": [
            ("1", "2", "--journal", str(place / "收.j"), *sandboxed),
            ("1", "--journal", damaged, *sandboxed), ("1",), ("1", "--journal", "/没有/j"),
            ("1", "--journal", str(place / "k"), "--to", "x.xyz", *sandboxed),
            ("--job", "没有.toml", "--journal", "x"),
        ],
        "details": [
            (j, "--dry-run", "--json"), (other, "--top", "2", *sandboxed), (damaged, "--dry-run"),
            ("没有", *sandboxed), (j, "--older-than", "七天", *sandboxed),
        ],
        "categories": [(*sandboxed, "--journal", str(place / "tree")), ("-1",)],
        "runs": [(j,), (j, "--all"), (other,), (damaged,), ("没有",), (j, "--json")],
        "status": [(j,), (j, "--all"), (other,), (damaged,), ("没有",), (j, "--json")],
        "export": [
            (j, "--to", "-"), (j, "--to", str(place / "表.csv")),
            (j, "--to", str(place / "x.duckdb")),
            (damaged, "--to", "-"), (j, "--to", "x.xyz"), (j,), (other, "--to", "-"),
        ],
        "changes": [(j,), (j, "--json"), (j, "--to", "-"), (other,), (damaged,)],
        "report": [(j, "-o", str(place / "报告.html")), (damaged, "-o", str(place / "r.html"))],
        "replay": [(j,), (damaged,)],
        "verify": [(j,), (damaged,), ("没有",)],
        "backup": [(j, str(place / "副本")), (damaged, str(place / "b")), (j, j)],
        "repair": [(damaged, str(place / "修")), (j, j)],
        "sandbox": [("--port", "x"), ("--fault", "没有=1")],
    }  # fmt: skip
    assert set(runs) == set(COMMANDS), "a new command needs its lines here"
    lines = [(name, *argv) for name, many in runs.items() for argv in many]
    for name in COMMANDS:
        lines += [(name, "--help"), (name, "--no-such-option"), (name, "--no-such=" + TITLE)]
        lines += [] if name == "sandbox" else [(name,)]
    return [(), ("--help",), ("--version",), ("no-such-command",), *lines]


@pytest.fixture(scope="module")
def locales(tmp_path_factory):
    """Variables of each locale; Latin-1 and GBK are made here where the system can make them."""
    made = tmp_path_factory.mktemp("locales")
    ascii_only = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    variables = {
        "C": {"LC_ALL": "C"},
        "ASCII": {"LC_ALL": "C", **ascii_only},
        "C.UTF-8": {"LC_ALL": "C.UTF-8"},
    }
    others = {"Latin-1": ("es_ES", "ISO-8859-1"), "GBK": ("zh_CN", "GBK")}
    for name, (language, charmap) in others.items():
        variables[name] = {"PYTHONIOENCODING": charmap}
        if shutil.which("localedef") is not None:
            full = f"{language}.{charmap}"
            command = ["localedef", "-i", language, "-f", charmap, str(made / full)]
            if subprocess.run(command, capture_output=True, check=False).returncode <= 1:  # noqa: S603
                variables[name] = {"LC_ALL": full, "LOCPATH": str(made), "PYTHONUTF8": "0"}
    return variables


def run_all(lines, place, variables, width=None):
    """Run command lines in one process. Returns the exit code and the text of each."""
    text = "".join(json.dumps({"argv": argv, "width": width}) + "\n" for argv in lines)
    env = {**environment(), "TERM": "xterm-256color", "TMAPI_TOKEN": "", **variables}
    env.pop("LANG", None)
    script = Path(__file__).parents[1] / "support" / "run_many.py"
    subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(script), str(place)],
        input=text.encode(),
        env=env,
        check=True,
        cwd=place,
    )
    results = [json.loads(line) for line in (place / "results").read_text().splitlines()]
    assert len(results) == len(lines)
    return [(result["code"], result["output"].encode("latin-1")) for result in results]


def check(argv, code, output):
    """Check that a command has ended as the contract says, without a word of Python's."""
    assert code in CODES, (argv, code, output)
    for word in (b"Traceback", b"unexpected failure", b"Error:", b"Exception"):
        assert word not in output, (argv, code, output)
    if argv[-1:] == ("--help",):
        assert code == 0
        assert output


@pytest.mark.parametrize("name", LOCALES)
def test_every_command_works_in_every_locale(folder, tmp_path, locales, name):
    """No locale turns a title, a file name or a message into a failure."""
    lines = command_lines(folder, tmp_path / "out")
    for argv, (code, output) in zip(lines, run_all(lines, tmp_path, locales[name]), strict=True):
        check(argv, code, output)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_command_fits_its_terminal(folder, tmp_path, width):
    """Helps and tables are no wider than the terminal, at 40 columns as at 200."""
    lines = command_lines(folder, tmp_path / "out")
    variables = {"LC_ALL": "C.UTF-8"}
    results = run_all(lines, tmp_path, variables, width)
    for argv, (code, output) in zip(lines, results, strict=True):
        check(argv, code, output)
        text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", output.decode())
        if argv[-1:] == ("--help",):
            assert max(map(cell_len, re.split(r"[\r\n]+", text))) <= width, (argv, text)
            assert "…" not in text, (argv, text)
        for line in re.split(r"[\r\n]+", text):
            if re.match(r" *(run|start|listing|category|check|setting)  ", line):
                assert cell_len(line) <= width, (argv, line)


@pytest.mark.parametrize("redirection", CLOSED)
def test_every_command_works_with_its_output_closed(folder, tmp_path, redirection):
    """A closed stream, a reader that has gone and a full disk are named or silent."""
    place = tmp_path / "out"
    lines = [
        argv
        for argv in command_lines(folder, place)
        if argv[:1] not in (("sandbox",), ("categories",)) and "--no-such-option" not in argv
    ]
    chosen = {argv[:1]: argv for argv in reversed(lines)}  # the first line of each command
    for argv in [*chosen.values(), ("status", "--help"), ("export", "--no-such-option")]:
        command = ["bash", "-c", f'"$@" {redirection}', "sh", *TMAPI, *argv]
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=environment(), capture_output=True, check=False, timeout=60
        )
        output = done.stdout + done.stderr
        assert b"Traceback" not in output, (argv, output)
        assert b"unexpected failure" not in output, (argv, output)
        assert b"Exception ignored" not in output, (argv, output)
        assert done.returncode in CODES, (argv, done.returncode, output)
