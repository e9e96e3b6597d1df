"""The samples, tables and options on README.md and in docs/ match the program."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import typer

import tmapi_async
from tests.support.paths import ROOT
from tmapi_async import errors
from tmapi_async.api.columns import columns
from tmapi_async.api.items import Item
from tmapi_async.api.rows import PROVENANCE
from tmapi_async.cli.app import app
from tmapi_async.cli.summary import Summary
from tmapi_async.journal import schema
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
SAMPLE = re.compile(
    r"^```(?P<language>\w+)(?P<options>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINE = re.compile(r"(?<!\\)\n")
STORE = re.compile(r"\b(s3|gs|az)://")
NUMBER = re.compile(r"\b\d+\b")
TITLE = re.compile(r'title="([^"]+)"')


class Sample(NamedTuple):
    """A fenced block of a page. `line` is the line of its first line of code."""

    page: Path
    line: int
    language: str
    title: str | None
    code: str


def samples(page: Path, *languages: str) -> list[Sample]:
    """Return the blocks of some languages on a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in SAMPLE.finditer(text):
        title = TITLE.search(match["options"])
        line = text.count("\n", 0, match.start("code")) + 1
        name = title[1] if title else None
        found.append(Sample(page, line, match["language"], name, match["code"]))
    return [sample for sample in found if sample.language in languages]


def run(sample: Sample, namespace: dict[str, Any]) -> None:
    """Execute a Python sample in this process, and the tmapi commands of a shell sample."""
    if sample.language == "bash":
        run_commands(sample)
        return
    # Blank lines before the code make a traceback name the line of the page.
    source = "\n" * (sample.line - 1) + sample.code
    exec(compile(source, str(sample.page), "exec"), namespace)  # noqa: S102 - our own docs


def run_commands(sample: Sample) -> None:
    """Run the tmapi commands of a shell sample. Other tests cover make and installation."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    commands = [line for line in LINE.split(sample.code) if "tmapi " in line]
    for command in commands:
        assert not STORE.search(command), f"{sample.page}:{sample.line} would leave this machine"
        done = subprocess.run(  # noqa: S602 - our own docs
            command,
            shell=True,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{sample.page}: {command}\n{done.stderr}"


def pages_with(*languages: str, titled: bool) -> list[Any]:
    """Return the pages with such samples, as parameters of a test."""
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if any(bool(sample.title) is titled for sample in samples(page, *languages))
    ]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SandboxThread]:
    """Run a sandbox and point the environment to it, as a reader does."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with SandboxThread(limit=8) as running:
        monkeypatch.setenv("TMAPI_BASE_URL", running.url)
        monkeypatch.setenv("TMAPI_TOKEN", "sandbox")
        yield running


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("page", pages_with("python", "bash", titled=False))
def test_samples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples of a page run one after the other, in one folder, as a reader would run them.

    A block of text with the title "Output" is what the sample before it prints.
    """
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "sample"}
    printed = ""
    for sample in samples(page, "python", "bash", "text"):
        if sample.language == "text":
            assert sample.title != "Output" or printed == sample.code, f"{page}:{sample.line}"
        elif sample.title is None:
            with redirect_stdout(StringIO()) as output:
                run(sample, namespace)
            printed = output.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("python", titled=True))
def test_samples_of_suites_pass(page: Path, tmp_path: Path) -> None:
    """The samples with a file name are files of a test suite, and the suite passes."""
    for sample in samples(page, "python"):
        if sample.title:
            (tmp_path / sample.title).write_text(sample.code, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--override-ini=asyncio_mode=auto"]
    done = subprocess.run(  # noqa: S603 - our own docs
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_notebooks_show_what_they_print(path: Path) -> None:
    """The cells of a notebook run one after the other, and their outputs are those in the file."""
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "scripts/run_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    asyncio.run(script.run(notebook))
    assert script.dumped(notebook) == path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_loop_on_the_front_page_takes_a_spent_balance_for_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The usual loop of the front page loses items silently; that with TMAPI raises."""
    page = ROOT / "docs" / "index.md"
    usual: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    broken, mended = samples(page, "python")
    run(broken, usual)
    run(mended, ours)
    with SandboxThread(quota=2, balance="bare") as sandbox:
        monkeypatch.setenv("TMAPI_BASE_URL", sandbox.url)
        monkeypatch.setenv("TMAPI_TOKEN", "sandbox")
        assert len(usual["category"](1031910)) == 40
        sandbox.call(lambda: setattr(sandbox.sandbox, "quota", 4))
        with pytest.raises(errors.BalanceError) as raised:
            ours["category"](1031910)
        assert len(sandbox.sandbox.catalogue.item_ids(1031910)) == 113
    shown = " ".join(samples(page, "text")[0].code.split())
    # Which page is refused first is up to the look-ahead.
    assert NUMBER.sub("N", str(raised.value)) == NUMBER.sub("N", shown)


def test_the_error_table_names_every_error() -> None:
    """The error table names every exception class that can reach a caller."""
    table = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    raised = {
        name
        for name, thing in inspect.getmembers(errors, inspect.isclass)
        if issubclass(thing, errors.TMAPIError) and not thing.__subclasses__()
    }
    assert {name for name in raised if f"`{name}`" not in table} == set()


def test_every_error_can_be_imported_from_the_package() -> None:
    """Every error in the error table is a public name of the package."""
    table = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    requests = table[: table.index("Errors of journals")]
    named = set(re.findall(r"^\|.*?`(\w+Error)` \|", requests, re.MULTILINE))
    assert named
    assert named <= set(tmapi_async.__all__)


def test_the_row_table_is_the_schema() -> None:
    """The tables of columns list the columns of a row in order."""
    tables = (ROOT / "docs" / "reference" / "rows.md").read_text(encoding="utf-8")
    above_types = tables[: tables.index("## Types")]
    listed = re.findall(r"^\| `(\w+)` \|", above_types, re.MULTILINE)
    names = [column.name for column in columns(Item)]
    texts = [column.text for column in columns(Item) if column.text]
    assert listed == [*PROVENANCE, *names, *texts, "extra"]


@functools.cache
def options_of(command: str) -> set[str]:
    """Return the long options of a command."""
    if command == "sandbox":
        # It hands its arguments on to a parser of its own, whose --help names them.
        said = subprocess.run(
            [sys.executable, "-m", "tmapi_async.sandbox", "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return set(re.findall(r"--[a-z][a-z-]+", said)) - {"--help"}
    commands: Any = typer.main.get_command(app)
    return {
        option
        for parameter in commands.commands[command].load().params
        for option in parameter.opts
        if option.startswith("--")
    }


def commands() -> list[str]:
    """Return the names of all commands."""
    found: Any = typer.main.get_command(app)
    return sorted(found.commands)


def test_every_command_has_a_page_that_is_made_from_the_program() -> None:
    """The overview names every command, and the page of each has the marker of the site's hook."""
    reference = ROOT / "docs" / "reference"
    overview = (reference / "command-line.md").read_text(encoding="utf-8")
    for command in commands():
        assert f"[`tmapi {command}`](commands/{command}.md)" in overview
        page = (reference / "commands" / f"{command}.md").read_text(encoding="utf-8")
        assert f"\n<!-- command: {command} -->\n" in page


@pytest.mark.slow
def test_the_pages_show_no_option_that_is_not_there() -> None:
    """Every tmapi command on any page has only commands and options that exist."""
    shown = [
        match
        for page in PAGES
        for match in re.finditer(r"tmapi ([a-z]+)([^\n`|>]*)", page.read_text(encoding="utf-8"))
        if match[1] in commands() or "--" in match[2]
    ]
    assert shown
    for match in shown:
        wanted = set(re.findall(r"--[a-z][a-z-]+", match[2])) - {"--help"}
        assert wanted <= options_of(match[1]), match[0]


def test_the_summary_table_is_the_summary() -> None:
    """The table of the summary lists all keys in order."""
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    table = page[page.index("| key | meaning |") : page.index("## Verdicts")]
    keys = [*Summary.__struct_fields__, "verdict"]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == keys


def test_the_journal_page_names_every_table() -> None:
    """The page on the journal names every table."""
    page = (ROOT / "docs" / "reference" / "journal.md").read_text(encoding="utf-8")
    tables = re.findall(r"CREATE TABLE (\w+)", "".join((schema.TABLES, *schema.MIGRATIONS)))
    assert tables
    assert {table for table in tables if f"| `{table}` |" not in page} == set()
