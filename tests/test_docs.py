"""The tables in docs/ match the program."""

from __future__ import annotations

import inspect
import re
from typing import Any

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
