"""Everything that the command line takes and prints is documented, and nothing else is."""

from __future__ import annotations

import functools
import io
import re
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import typer

from tests.support.doc_pages import PAGES, page_ids
from tests.support.paths import ROOT
from tmapi_async.cli.app import COMMANDS, app
from tmapi_async.sandbox.__main__ import main as sandbox_main
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.commands import Done

REFERENCE = ROOT / "docs" / "reference"
NAMED_BY_DATA = {
    "bounds",
    "categories",
    "checks",
    "codes",
    "settings",
    "sources",
    "tables",
    "unread",
}
GENERATED = "<!-- command: {name} -->"
WRITTEN_IN_CODE = re.compile(r"`([^`\n]+)`")


@functools.cache
def parameters(name: str) -> list[Any]:
    """Return the options and arguments of a command."""
    group: Any = typer.main.get_command(app)
    params: list[Any] = group.commands[name].load().params
    return params


@functools.cache
def options_of(name: str) -> frozenset[str]:
    """Return the long options of a command."""
    if name == "sandbox":  # it has a parser of its own
        with redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit):
            sandbox_main(["--help"])
        return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z\d-]+", said.getvalue()))
    found = {
        option for param in parameters(name) for option in (*param.opts, *param.secondary_opts)
    }
    return frozenset(option for option in found if option.startswith("--")) | {"--help"}


def described(name: str) -> set[str]:
    """Return the words in code on the page of a command, and on the pages that it links."""
    own = REFERENCE / "commands" / f"{name}.md"
    text = own.read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([\w./-]+\.md)", text)
    pages = {(own.parent / target).resolve() for target in linked} - {ROOT / "docs" / "glossary.md"}
    texts = [text, *(page.read_text(encoding="utf-8") for page in pages)]
    return {
        word for text in texts for code in WRITTEN_IN_CODE.findall(text) for word in code.split()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_a_word_in_the_help(name: str) -> None:
    """Options and arguments say what they mean; the reference is made from these texts."""
    if name != "sandbox":
        silent = [param.name for param in parameters(name) if not (param.hidden or param.help)]
        assert silent == []
        return
    with redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit):
        sandbox_main(["--help"], prog="tmapi sandbox")
    entries = re.split(r"\n  (?=-)", said.getvalue())[1:]
    assert len(entries) >= len(options_of(name))
    assert [entry for entry in entries if not re.search(r"(?:\n {6,}|\w {2,})\w", entry)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_every_option(name: str) -> None:
    """The page of a command is made from the program, or names each of its options."""
    page = REFERENCE / "commands" / f"{name}.md"
    if GENERATED.format(name=name) not in page.read_text(encoding="utf-8"):
        assert options_of(name) - {"--help"} - described(name) == set()
    overview = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    assert f"`tmapi {name}" in overview


def commands_in(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the name and the options of each `tmapi` command in a text."""
    joined = text.replace("\\\n", " ")
    for match in re.finditer(r"\btmapi ([a-z][a-z-]*)\b([^\n`|>;&]*)", joined):
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z\d-]+", match[2].partition(" #")[0]))
        if match[1] in COMMANDS or options:
            yield match[1], options


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_pages_name_only_what_exists(page: Path) -> None:
    """Each command on a page exists and has the options that it is given there."""
    if page.name == "CHANGELOG.md":
        pytest.skip("says what was there once")
    for name, options in commands_in(page.read_text(encoding="utf-8")):
        assert name in COMMANDS, f"{page}: tmapi {name}"
        assert options - options_of(name) == set(), f"{page}: tmapi {name}"


DOCS_FOR_USERS = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]


@pytest.mark.parametrize("page", DOCS_FOR_USERS, ids=page_ids(DOCS_FOR_USERS))
def test_options_in_the_text_exist(page: Path) -> None:
    """An option that a sentence names alone is one of some command."""
    group: Any = typer.main.get_command(app)
    common = {option for param in group.params for option in (*param.opts, *param.secondary_opts)}
    known = {option for name in COMMANDS for option in options_of(name)} | common
    text = page.read_text(encoding="utf-8")
    named = {
        code.split()[0].partition("=")[0]
        for code in WRITTEN_IN_CODE.findall(text)
        if code.startswith("--")
    }
    others = set(
        re.findall(r"(?:python -m|make|pytest|dask-ssh|--nworkers|nginx|pip)\b.*?(--[a-z-]+)", text)
    )
    assert named - known - others == set()


def keys_of(value: Any) -> set[str]:
    """Return the keys of a JSON value and of those within."""
    if isinstance(value, list):
        return {key for one in value for key in keys_of(one)}
    if not isinstance(value, dict):
        return set()
    found = set(value)
    for key, one in value.items():
        within = keys_of(one)
        data = set(one) if key in NAMED_BY_DATA and isinstance(one, dict) else set()
        found |= within - data
    return found


def last_object(done: Done) -> dict[str, Any]:
    """Return the JSON object in the last line of the errors, or of the output."""
    last = (done.err.splitlines() or [""])[-1]
    text = last if last.startswith("{") else done.out.splitlines()[-1]
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


@pytest.mark.slow
def test_each_key_of_json_is_documented(tmapi: Callable[..., Done], tmp_path: Path) -> None:
    """The reference of each command names every key that its `--json` prints."""
    journal = str(tmp_path / "shop.journal")
    harvest = ("harvest", "1031910", "--journal", journal, "--json")
    lines = [
        ("check", "--journal", journal),
        ("check", "--token", "wrong"),
        ("items", "2806778"),
        harvest,
        (*harvest, "--refresh"),
        (*harvest, "--dry-run"),
        ("changes", journal),
        ("details", journal, "--top", "2", "--dry-run"),
        ("details", journal, "--top", "2"),
        ("categories", "--depth", "1"),
        ("config",),
        ("status", journal),
        ("runs", journal),
        ("export", journal, "--to", str(tmp_path / "items.jsonl"), "--endpoint", "category-v1"),
        ("verify", journal),
        ("backup", journal, str(tmp_path / "copy.journal")),
        ("repair", journal, str(tmp_path / "saved.journal")),
    ]
    speaking = {
        name for name in COMMANDS if any("--json" in param.opts for param in parameters(name))
    }
    assert {line[0] for line in lines} >= speaking, "a new command needs a line here"
    missing = []
    with SandboxThread() as sandbox:
        for name, *arguments in lines:
            done = tmapi(name, *arguments, *({"--json"} - set(arguments)), url=sandbox.url)
            unknown = keys_of(last_object(done)) - described(name)
            missing += [f"{name}: {key}" for key in sorted(unknown)]
    assert not missing, "\n".join(missing)
