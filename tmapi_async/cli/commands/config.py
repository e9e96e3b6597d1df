"""`tmapi config`: the settings in force, and the source of each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tmapi_async.cli.completion.completed_values import complete_jobs
from tmapi_async.cli.concealing import hide_passwords
from tmapi_async.cli.configuration.setting_file import SettingFile
from tmapi_async.cli.configuration.setting_keys import KEYS, example_file
from tmapi_async.cli.configuration.setting_layers import Setting, merge_layers
from tmapi_async.cli.configuration.setting_places import PROJECT_FILE, exists, user_file
from tmapi_async.cli.console import (
    print_json,
    print_output,
    require_output,
    set_up_logging,
    terminal_width,
)
from tmapi_async.cli.exit_codes import OK
from tmapi_async.cli.options.cache_options import CacheOptions
from tmapi_async.cli.options.connection_options import SeveralAccountsOptions
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.settings_in_force import layers
from tmapi_async.cli.tables import format_table
from tmapi_async.client.environment import read_environment
from tmapi_async.errors import InvalidRequestError

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("job", "path", "example", "json", "base_url", "concurrency")
EXAMPLES = (
    "tmapi config",
    "tmapi config --path",
    "tmapi config --example > tmapi.toml",
)

_NOT_SHOWN = "set, not shown"


class ConfigOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi config`.

    Attributes:
        job: Job file whose options are shown, too, or None.
        path: Show the places of the settings files, and nothing else.
        example: Print a settings file with every key, each as a comment.
        json: Print the result as JSON, and nothing else.
        cache_options: Cache of pages, to be shown as a command would use it.
        connection: Account, server and limits, to be shown as a command would use them.
    """

    job: Annotated[
        Path | None,
        typer.Option(
            "--job",
            metavar="FILE.toml",
            help="Also show the options of this job file.",
            autocompletion=complete_jobs,
        ),
    ] = None
    path: Annotated[
        bool, typer.Option("--path", help="Show only the places of the settings files.")
    ] = False
    example: Annotated[
        bool,
        typer.Option("--example", help="Print a settings file with every key, each as a comment."),
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="Print only the result, as one JSON object.")
    ] = False
    cache_options: CacheOptions
    connection: SeveralAccountsOptions


class FilePlace(msgspec.Struct, frozen=True):
    """Place of a settings file.

    Attributes:
        kind: "project file" or "user file".
        path: Absolute path.
        found: True if there is such a file.
    """

    kind: str
    path: str
    found: bool


@app.command("config")
@takes_struct
def config(context: typer.Context, options: ConfigOptions) -> None:
    """Show the settings in force and where each of them comes from.

    Options are shown as a command with the same options would use them.
    The token is never shown.
    """
    set_up_logging()
    require_output()
    raise typer.Exit(run_config(context, options))


def run_config(context: typer.Context, options: ConfigOptions) -> int:
    """Print the settings and return the exit code.

    Args:
        context: Context of the command, for the options that were typed.
        options: Options.

    Raises:
        InvalidRequestError: A settings file, a job file or an environment variable is invalid.
    """
    if options.example:
        for line in example_file().split("\n"):
            print_output(line)
        return OK
    places = list(_places())
    if options.path:
        if options.json:
            print_json(msgspec.json.encode({"files": places}).decode())
        for place in places if not options.json else ():
            print_output(f"{place.kind}: {place.path}{'' if place.found else ' (not there)'}")
        return OK
    job = None
    if options.job is not None:
        job = (options.job, SettingFile(options.job, "job").settings(KEYS))
    merged = merge_layers(layers(context, job), keep_all=True)
    _check_environment(merged)
    if options.json:
        print_json(_as_json(merged, places))
    else:
        for line in _lines(merged, places, options.job):
            print_output(line)
    return OK


def _places() -> Iterator[FilePlace]:
    for kind, path in (("project file", PROJECT_FILE), ("user file", user_file())):
        if path is not None:
            try:
                found = exists(path)
            except InvalidRequestError:  # something that is no file: a command names it
                found = True
            yield FilePlace(kind, _absolute(path), found)


def _absolute(path: Path) -> str:
    try:
        return str(path.absolute())
    except OSError:  # the working folder was removed
        return str(path)


def _check_environment(merged: dict[str, Setting]) -> None:
    """Check the variables, and put their values in the place of their texts."""
    values = read_environment()
    for name, setting in merged.items():
        if setting.source == "environment" and name in values and name != "token":
            merged[name] = msgspec.structs.replace(setting, value=values[name])


def _shown(value: Any) -> Any:
    """Return a value as it can be shown and be part of JSON, without passwords."""
    if isinstance(value, list):
        return hide_passwords([str(entry) for entry in value])
    if isinstance(value, Path | str):
        return hide_passwords([str(value)])[0]
    return value


def _cell(value: Any) -> str:
    value = _shown(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _token(merged: Mapping[str, Setting]) -> Setting | None:
    """Return the setting that gives the token, without the token."""
    setting = merged.get("token_file")
    if setting is None or setting.source != "option":
        setting = merged.get("token", setting)
    return None if setting is None else msgspec.structs.replace(setting, value=_NOT_SHOWN)


def _lines(
    merged: Mapping[str, Setting], places: Iterable[FilePlace], job: Path | None
) -> Iterator[str]:
    token = _token(merged)
    rows = [("token", token.value, _origin(token)) if token else ("token", "not set", "")]
    for name, key in KEYS.items():
        setting = merged.get(name)
        if setting is None:
            rows.append((name, key.default, "default"))
        else:
            rows.append((name, _cell(setting.value), _origin(setting)))
    yield from format_table(("setting", "value", "from"), rows, terminal_width(sys.stdout))
    yield ""
    if job is not None:
        yield f"job file: {job}"
    for place in places:
        yield f"{place.kind}: {place.path}{'' if place.found else ' (not there)'}"


def _origin(setting: Setting) -> str:
    return setting.source if setting.from_file else f"{setting.source}, {setting.place}"


def _as_json(merged: Mapping[str, Setting], places: list[FilePlace]) -> str:
    token = _token(merged)
    result = {
        "token": {
            "set": token is not None,
            "source": token.source if token else None,
            "place": token.place if token else None,
        },
        "settings": {
            name: {
                "value": _shown(merged[name].value) if name in merged else None,
                "source": merged[name].source if name in merged else "default",
                "place": merged[name].place if name in merged else None,
                "default": key.default,
            }
            for name, key in KEYS.items()
        },
        "files": places,
    }
    return msgspec.json.encode(result).decode()
