"""The hooks of the site make the pages of commands from the program itself."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

import pytest
import typer

from tests.support.paths import ROOT
from tmapi_async.cli.app import COMMANDS, app
from tmapi_async.sandbox.__main__ import make_parser

if TYPE_CHECKING:
    from types import ModuleType

ROW = re.compile(r"^\| (?P<names>.+?) \| (?P<text>.*) \|$", re.MULTILINE)
NAME = re.compile(r"<code>(--?[\w-]+)</code>")


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The module of hooks, which is a script."""
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts/site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options_of(name: str) -> set[str]:
    """Return the visible options of a command."""
    if name == "sandbox":
        return set(re.findall(r"^  (--[\w-]+)", make_parser("x").format_help(), re.MULTILINE))
    group: Any = typer.main.get_command(app)
    params = group.commands[name].load().params
    visible = [param for param in params if not getattr(param, "hidden", False)]
    found = {name for param in visible for name in (*param.opts, *param.secondary_opts)}
    return {name for name in found if name.startswith("-")}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_describes_every_option(hooks: ModuleType, name: str) -> None:
    """Each option and argument stands in a table, with a text."""
    page = hooks.command_reference(name)
    rows = {row["names"]: row["text"] for row in ROW.finditer(page) if "<code>" in row["names"]}
    listed = {option for names in rows for option in NAME.findall(names)}
    assert listed == options_of(name)
    assert [names for names, text in rows.items() if not text.strip(" .")] == []


def test_the_marker_of_a_command_is_replaced(hooks: ModuleType) -> None:
    """The text around the marker stays."""
    page = hooks.on_page_markdown("# A\n\n<!-- command: runs -->\n\n## B\n")
    assert page.startswith("# A\n\nShow the cost of each run")
    assert page.endswith("\n\n## B\n")
    assert "<!--" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Use -vv, or --max-pages N.", "Use `-vv`, or `--max-pages` N."),
        (
            "The variable TMAPI_BASE_URL, as tmapi export does.",
            "The variable `TMAPI_BASE_URL`, as `tmapi export` does.",
        ),
        (
            "CAT=MEDIAN[,SIGMA] for price_up, *all* <b>",
            r"CAT=MEDIAN\[,SIGMA] for price\_up, \*all\* \<b>",
        ),
        ("auto|N", "auto&#124;N"),
    ],
)
def test_help_becomes_markdown(hooks: ModuleType, text: str, shown: str) -> None:
    """Options and variables become code; nothing else becomes markup."""
    assert hooks.markdown_of(text) == shown
