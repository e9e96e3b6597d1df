"""Options as fields of structs."""

from __future__ import annotations

import inspect
from typing import Annotated

import msgspec
import typer
from typer.testing import CliRunner

from tmapi_async.cli.options.option_structs import replace_options, takes_struct


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Options that several commands share."""

    rate: Annotated[float | None, typer.Option("--rate")] = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one command."""

    file: Annotated[str, typer.Argument(metavar="FILE")]
    group: Group
    every: Annotated[bool, typer.Option("--all")] = False


@takes_struct
def command(context: typer.Context, options: Options) -> None:
    """Print the options."""
    typer.echo(f"{context.info_name} {options}")


def test_typer_sees_the_fields_of_the_struct_and_of_its_groups() -> None:
    """Fields are parameters in their order; a field without a default is required."""
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["context", "file", "rate", "every"]
    assert parameters["file"].default is inspect.Parameter.empty
    assert parameters["every"].default is False


def test_the_command_gets_the_struct() -> None:
    """A command gets its parsed options as one struct."""
    app = typer.Typer()
    app.command("show")(command)
    done = CliRunner().invoke(app, ["a.journal", "--rate", "2.5", "--all"])
    assert done.exit_code == 0
    expected = Options(file="a.journal", group=Group(rate=2.5), every=True)
    assert done.output == f"show {expected}\n"


def test_options_are_replaced_in_groups_too() -> None:
    """Values of a job file reach options of any group; other names are ignored."""
    options = Options(file="a", group=Group())
    changed = replace_options(options, {"rate": 1.0, "every": True, "other": 5})
    assert changed == Options(file="a", group=Group(rate=1.0), every=True)
