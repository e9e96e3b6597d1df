"""Options of a command together with those of the environment and of settings files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer

from tmapi_async.cli.configuration.setting_file import SettingFile
from tmapi_async.cli.configuration.setting_keys import KEYS, keys_of
from tmapi_async.cli.configuration.setting_layers import Layer, Setting, merge_layers
from tmapi_async.cli.configuration.setting_places import (
    PROJECT_FILE,
    check_owner,
    exists,
    user_file,
)
from tmapi_async.cli.console import print_message
from tmapi_async.client.environment import variables_set

from .listing_options import option_name
from .option_structs import SETTINGS, replace_options
from .path_checks import check_values

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


def with_settings(
    context: typer.Context,
    options: OptionsT,
    command: str,
    job: tuple[Path, Mapping[str, Any]] | None = None,
) -> OptionsT:
    """Return the options of a command with the values of job and settings files in force.

    Values of environment variables are left to the options, which read them.

    Args:
        context: Context of the command.
        options: Options as typed.
        command: Name of the command.
        job: Path and values of the job file, or None.

    Raises:
        InvalidRequestError: A settings file cannot be read, or has an invalid entry.
    """
    keys = keys_of(command)
    in_force = {
        name: setting
        for name, setting in merge_layers(layers(context, job)).items()
        if setting.from_file and name in keys
    }
    context.meta[SETTINGS] = in_force
    _print_project(context, in_force)
    options = replace_options(options, {name: one.value for name, one in in_force.items()})
    check_values(options)
    return options


def layers(context: typer.Context, job: tuple[Path, Mapping[str, Any]] | None) -> list[Layer]:
    """Return the sources of values, the one that wins first.

    Args:
        context: Context of the command.
        job: Path and values of the job file, or None.

    Raises:
        InvalidRequestError: A settings file cannot be read, or has an invalid entry.
    """
    typed = {
        name: True if name == "token" else value
        for name, value in context.params.items()
        if typed_by_user(context, name)
    }
    variables = variables_set()
    found = [
        Layer("option", {name: option_name(name) for name in typed}, typed),
        Layer("environment", variables, _texts(variables)),
    ]
    if job is not None:
        path, values = job
        found.append(Layer("job file", dict.fromkeys(values, str(path)), values))
    if context.find_root().params.get("no_settings"):
        return found
    project = _file_layer(PROJECT_FILE)
    own = user_file()
    return [*found, *project, *(_user_layer(own) if own else [])]


def _texts(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the texts of environment variables, but not the token."""
    return {
        name: True if name == "token" else os.environ[variable]
        for name, variable in variables.items()
    }


def typed_by_user(context: typer.Context, name: str) -> bool:
    """Return True if an option or argument was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _file_layer(path: Path) -> list[Layer]:
    if not exists(path):
        return []
    values = SettingFile(path, "project").settings(KEYS)
    return [Layer("project file", dict.fromkeys(values, str(path)), values)]


def _user_layer(path: Path) -> list[Layer]:
    if not exists(path):
        return []
    check_owner(path)
    values = SettingFile(path, "user").settings(KEYS)
    return [Layer("user file", dict.fromkeys(values, str(path)), values)]


def _print_project(context: typer.Context, in_force: Mapping[str, Setting]) -> None:
    """Name the settings of the project: its file may lie there without the user knowing."""
    names = [name for name, setting in in_force.items() if setting.source == "project file"]
    if names and not context.params.get("quiet"):
        print_message(f"settings of {PROJECT_FILE}: {', '.join(names)}")
