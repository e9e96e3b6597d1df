"""The `tmapi` command: its list of commands, and what happens to errors that reach the top.

A command's module is imported when that command runs, so that `tmapi --help` loads Typer and
nothing of the client. To add a command, write `commands/NAME.py` with a Typer app of one command
that is called `app` and with `EXAMPLES`, and add a line to `COMMANDS`.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import redirect_stderr, suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from tmapi_async import __version__
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.extras import install_command

from .completion.shell_scripts import COMPLETION_VARIABLE, explain_failures
from .console import discard_output, print_message, print_refusal, set_up_streams
from .exit_codes import OK, PARTIAL, UNEXPECTED, USAGE
from .help_texts import arrange_help, fit_help
from .options.several_values import Positionals, repeat_option
from .signals import Interrupts

COMMANDS = {
    "check": "Check token, host, balance, proxy, disk and destinations, before work.",
    "config": "Show the settings in force and where each of them comes from.",
    "items": "Print every item of the listings as JSON lines.",
    "harvest": "Fetch every page of the listings into a journal file.",
    "details": "Fetch the details of the products that a journal's listings show.",
    "categories": "Show the category tree.",
    "status": "Show the contents of a journal, listing by listing.",
    "runs": "Show the cost of each run in requests, by endpoint and category.",
    "export": "Write the items of a journal to files and databases.",
    "changes": "Show the differences between visits: new, gone and changed items.",
    "report": "Write a web page about a journal: what was found, what sells, what changed.",
    "replay": "Try again to read rows that could not be read before.",
    "verify": "Read a whole journal and check that nothing in it is damaged.",
    "backup": "Copy a whole journal to a new file, also while a harvest writes to it.",
    "repair": "Save every page that can be read from a damaged journal into a new one.",
    "sandbox": "Start a local server that imitates the API, errors included.",
}
"""Name of each command and the first line of its help, in the order of `tmapi --help`."""

_TYPER_INTERRUPTED = 130
_INTERRUPTS = Interrupts()
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO)

_EXTRAS = {
    "pyarrow": "export",
    "duckdb": "export",
    "psycopg": "postgres",
    "jinja2": "report",
    "distributed": "cluster",
}
"""Package that may be missing -> extra of this package that installs it."""


class LazyCommand(TyperCommand):
    """A command whose module is imported when the command runs."""

    # The types are Click's, of which newer versions of Typer have a copy of their own.
    def load(self) -> Any:
        """Import the module and return the command itself."""
        module = import_module(f"tmapi_async.cli.commands.{self.name}")
        command = typer.main.get_command(module.app)
        arrange_help(command, getattr(module, "FIRST_OPTIONS", ()), module.EXAMPLES)
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments with the command itself; Click then runs that one."""
        command, parent = self.load(), kwargs.get("parent")
        fit_help(command)
        if parent is not None:
            _hide_types(command, type(parent)(command, parent=parent))
        name, arguments, *others = args
        arguments = _repeat_options(command, arguments)
        context = command.make_context(name, arguments, *others, **kwargs)
        _INTERRUPTS.__enter__()  # all is loaded: from now on there may be something to save
        return context


def _repeat_options(command: Any, arguments: list[str]) -> list[str]:
    """Let `--to` take several values where it can be repeated."""
    options = {name: param for param in command.params for name in param.opts}
    if not getattr(options.get("--to"), "multiple", False):
        return arguments
    counts = [param.nargs for param in command.params if param.param_type_name == "argument"]
    positionals: Positionals = "none" if not counts else "file" if counts[0] == 1 else "ids"
    return list(repeat_option("--to", arguments, positionals))


def _hide_types(command: Any, context: Any) -> None:
    """Leave Python's types out of the help, where Typer shows `<bool>` or `<list[str]>`."""
    for param in command.get_params(context):  # --help included
        if param.param_type_name == "argument":
            vars(param)["display_type_rich"] = lambda ctx: None  # noqa: ARG005 - Typer's parameter
            if param.hidden:
                vars(param)["get_usage_pieces"] = lambda ctx: []  # noqa: ARG005 - as above
        elif param.is_flag or param.count:
            param.metavar = ""


class CommandGroup(TyperGroup):
    """The commands, with a help that shows no Python type next to `--help`."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments before the command."""
        fit_help(self)
        explain_failures(self.params)
        return super().make_context(*args, **kwargs)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option `--help`."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


app = typer.Typer(
    name="tmapi",
    cls=CommandGroup,
    help="Fetch 1688.com product listings through TMAPI, completely.",
    no_args_is_help=True,
    # Rich's tracebacks print local variables, and some of those hold the token.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _load_later() -> None:
    """Stand in for the function of a command that has not been imported."""


for _name, _summary in COMMANDS.items():
    app.command(_name, cls=LazyCommand, help=_summary, short_help=_summary)(_load_later)


def _print_version(context: typer.Context, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        typer.echo(f"tmapi-async {__version__}")
        raise typer.Exit


@app.callback()
def _read_common_options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Show the version.",
        ),
    ] = False,
    no_settings: Annotated[
        bool,
        typer.Option(
            "--no-settings",
            metavar="",
            help="Read no settings files: neither tmapi.toml nor that of the user.",
        ),
    ] = False,
) -> None:
    """Fetch 1688.com product listings through TMAPI, completely."""


def main() -> NoReturn:
    """Run the command line and end the process with an exit code of the contract."""
    _reopen_closed_streams()
    set_up_streams()
    if COMPLETION_VARIABLE in os.environ:  # a message would break the line that the user types
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            sys.exit(_flush_streams(_run_and_report()))
    sys.exit(_flush_streams(_run_and_report()))


def _run_and_report() -> int:
    """Run the command and return the exit code; print the reason of an unusual end."""
    try:
        _run_command()
    except SystemExit as end:
        # Click ends with 1 where the reader of the help has gone.
        if isinstance(end.__context__, OSError):
            return _report_system_error(end.__context__)
        if end.code == _TYPER_INTERRUPTED:
            return _report_interrupt()
        return end.code if isinstance(end.code, int) else OK
    except InvalidRequestError as error:
        print_refusal(f"{error}; nothing was sent")
        return USAGE
    except KeyboardInterrupt:
        return _report_interrupt()
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _report_system_error(error)


def _report_interrupt() -> int:
    print_message("interrupted")
    return PARTIAL


def _report_system_error(error: Exception) -> int:
    """Name a full disk; a reader or a terminal that has gone needs no message."""
    if _INTERRUPTS.happened:  # a compiled library has put its own error in the place of ours
        return _report_interrupt()
    if not isinstance(error, OSError) or error.errno not in _WRITE_ERRORS:
        return _report_unexpected(error)
    if error.errno not in (errno.EPIPE, errno.EIO):
        print_message(f"cannot write the output: {error.strerror}")
    discard_output()
    return PARTIAL


def _flush_streams(code: int) -> int:
    """Write what is left of the output. Otherwise the interpreter fails to, and names no reason."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return _report_system_error(error) if code == OK else code
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
    return code


def _run_command() -> NoReturn:
    """Run the command; put its parser's errors into our own words.

    The parser repeats refused values, in a box that cuts long ones into lines: a token in a wrong
    place would get into logs in pieces that no filter finds.
    """
    try:
        # Without the standalone mode the parser raises its errors, and returns the exit code.
        code = app(prog_name="tmapi", standalone_mode=False)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        print_refusal(
            f"this command needs {package}, which is not installed: run "
            f"{install_command(_EXTRAS[package])}"
        )
        sys.exit(USAGE)
    except Exception as error:
        # Click's class of these errors; newer versions of Typer have a copy of their own.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
        else:
            context = getattr(error, "ctx", None)
            advice = f"; for help, run {context.command_path} --help" if context else ""
            reason = error.format_message().rstrip(".")
            print_refusal(f"{reason[:1].lower()}{reason[1:]}{advice}; nothing was sent")
        sys.exit(USAGE)
    sys.exit(code)


def _report_unexpected(error: Exception) -> int:
    # Show only the class and the place: a message of a library may hold a URL with the token.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else "unknown"
    print_message(f"unexpected failure: {type(error).__name__} in {place}; please report it")
    return UNEXPECTED


def _reopen_closed_streams() -> None:
    """Open the null device in place of each standard stream that was closed.

    Otherwise the next socket would get the number of that stream, and its messages.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
            # `sys.stdout` stays None: a command that prints rows must know that it cannot.
            if name != "stdout":
                setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - stays open as long as the process lives
