"""Hooks of MkDocs: command pages from the program itself, the version, and search from the disk.

A page of a command has the line `<!-- command: NAME -->`. In its place, the site shows the usage,
examples and options of the command, as `tmapi NAME --help` does.
"""

from __future__ import annotations

import argparse
import html
import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import typer

from tmapi_async import __version__
from tmapi_async.cli.app import app
from tmapi_async.sandbox.__main__ import make_parser

MARKER = re.compile(r"^<!-- command: ([a-z]+) -->$", re.MULTILINE)
_CODE = re.compile(r"(?<![\w`/-])(--?[a-z][a-z0-9-]*|TMAPI_[A-Z_]+|tmapi [a-z]+)(?![\w`])")
_MARKUP = re.compile(r"([*_<\[\\`])")


class Option(NamedTuple):
    """An option or an argument of a command, as its help shows it."""

    names: tuple[str, ...]
    value: str
    text: str
    default: str


def on_config(config: Any) -> None:
    """Show the version at the head and the foot of each page."""
    config.site_name = f"{config.site_name} {__version__}"
    config.copyright = config.site_name


def on_page_markdown(markdown: str, page: Any = None, **_: Any) -> str:
    """Put the reference of a command in the place of its marker, and let searches prefer it."""
    if page is not None and MARKER.search(markdown):
        page.meta["search"] = {"boost": 2}
    return MARKER.sub(lambda match: command_reference(match[1]), markdown)


def on_post_build(config: Any) -> None:
    """Write search index and search worker as scripts, too: a page on disk may load these."""
    theme = find_spec("material")
    assert theme is not None  # noqa: S101 - the theme of the site
    assert theme.origin is not None  # noqa: S101 - as above
    workers = Path(theme.origin).parent / "templates" / "assets" / "javascripts" / "workers"
    (worker,) = workers.glob("search.*.min.js")
    search = Path(config.site_dir) / "search"
    index = (search / "search_index.json").read_text(encoding="utf-8")
    (search / "search_index.js").write_text(f"var __index = {index}", encoding="utf-8")
    code = json.dumps(worker.read_text(encoding="utf-8"))
    (search / "worker.js").write_text(f"var __worker = {code}", encoding="utf-8")


def command_reference(name: str) -> str:
    """Return usage, purpose, examples and options of a command as Markdown."""
    if name == "sandbox":
        return _sandbox_reference()
    command: Any = typer.main.get_command(app)
    command = command.commands[name].load()
    params = [param for param in command.params if not param.hidden]
    arguments = [_argument(param) for param in params if _is_argument(param)]
    groups: dict[str, list[Option]] = {}
    for param in params:
        if not _is_argument(param):
            groups.setdefault(param.rich_help_panel or "Options", []).append(_option(param))
    module = import_module(f"tmapi_async.cli.commands.{name}")
    usage = " ".join(["tmapi", name, *(option.value for option in arguments), "[OPTIONS]"])
    parts = [
        markdown_of(command.help),
        f'```text title="Usage"\n{usage}\n```',
        "\n".join(['```sh title="Examples"', *module.EXAMPLES, "```"]),
    ]
    if arguments:
        parts += ["## Arguments", _table("argument", arguments)]
    for title, options in groups.items():
        parts += [f"## {title}", _table("option", options)]
    return "\n\n".join(parts)


def _sandbox_reference() -> str:
    parser = make_parser("tmapi sandbox")
    parts = ['```text title="Usage"\ntmapi sandbox [OPTIONS]\n```']
    for group in parser._action_groups:  # noqa: SLF001 - argparse lists its options nowhere else
        options = [_parsed(action) for action in group._group_actions]  # noqa: SLF001 - as above
        if options and group.title != "options":  # --help alone
            parts += [f"## {str(group.title).capitalize()}", _table("option", options)]
    return "\n\n".join(parts)


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _argument(param: Any) -> Option:
    name = param.metavar or param.name.upper()
    name = f"{name}..." if param.nargs == -1 else name
    return Option((), name if param.required else f"[{name}]", param.help or "", "")


def _option(param: Any) -> Option:
    names = (*(name for name in param.opts), *param.secondary_opts)
    value = "" if param.is_flag or param.count else param.metavar or ""
    shown = param.show_default and not param.is_flag and param.default not in (None, (), [])
    return Option(names, value, param.help or "", _plain(param.default) if shown else "")


def _parsed(action: argparse.Action) -> Option:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    shown = value and action.default not in (None, [], argparse.SUPPRESS)
    text = f"{action.help or ''}."
    return Option(
        tuple(action.option_strings),
        value,
        text[:1].upper() + text[1:],
        _plain(action.default) if shown else "",
    )


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(kind: str, options: list[Option]) -> str:
    """Return options as a table of two columns: name with value, and meaning with default."""
    rows = [f"| {kind} | meaning |", "|---|---|"]
    for option in options:
        names = ", ".join(f"<code>{html.escape(name)}</code>" for name in option.names)
        value = html.escape(option.value).replace("|", "&#124;")
        value = f" <code>{value}</code>" if value else ""
        default = f" Default: `{option.default}`." if option.default else ""
        rows.append(f"| {(names + value).strip()} | {markdown_of(option.text)}{default} |")
    return "\n".join(rows)


def markdown_of(text: str) -> str:
    """Return a text of the help as Markdown: options and variables are code, nothing is markup."""
    parts = _CODE.split(text)  # every second one is code
    parts[::2] = [_MARKUP.sub(r"\\\1", part).replace("|", "&#124;") for part in parts[::2]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return "".join(parts)
