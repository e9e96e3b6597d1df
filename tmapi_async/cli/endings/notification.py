"""The user's command of `--notify`, which is run at the end with the summary on its input.

No shell reads the command: it is split into words, and the words are the program and its arguments.
Nothing of the summary becomes a part of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Annotated, TypeAlias

import typer

from tmapi_async.cli.console import print_message
from tmapi_async.cli.exit_codes import PARTIAL, UNEXPECTED, USAGE
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.summary import Summary
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.quantities import quantity
from tmapi_async.errors.shown_value import show_value
from tmapi_async.transport.frames import forgets_locals

TIME_LIMIT = 60.0
"""Seconds after which the command is ended."""

EXIT_CODE = "TMAPI_EXIT_CODE"
"""Environment variable with the exit code of the command that has ended."""

_TOKEN = "TMAPI_TOKEN"  # noqa: S105 - the name of the variable
_MIN_TOKEN = 8
_UNHARMED = "the result of the harvest is not affected"


def split_command(command: str) -> list[str]:
    """Return the words of a command: the program, with its path, and its arguments.

    Args:
        command: The command as typed. On Windows a backslash is a part of a path.

    Raises:
        InvalidRequestError: A quotation mark is missing, or there is no such program.
    """
    windows = sys.platform == "win32"
    try:
        words = shlex.split(command, posix=not windows)
    except ValueError as error:
        reason = str(error)
        raise InvalidRequestError(
            f"--notify: the command cannot be split into words: {reason[:1].lower()}{reason[1:]}"
        ) from None
    if windows:
        words = [_unquoted(word) for word in words]
    if not words or not words[0]:
        raise InvalidRequestError("--notify needs a command, such as --notify ./tell.sh")
    program = shutil.which(os.path.expanduser(words[0]))  # noqa: PTH111 - a bare name is no path
    if program is None:
        raise InvalidRequestError(
            f"--notify: there is no program {show_value(words[0])}: give the path of a file that "
            "can be executed. No shell reads the command; if it needs one, write "
            "--notify \"sh -c '...'\""
        )
    return [program, *words[1:]]


def _unquoted(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"
    return word[1:-1] if quoted else word


@forgets_locals
def secret_variables(
    environment: Mapping[str, str], tokens: Collection[str], worker_token: str | None = None
) -> frozenset[str]:
    """Return the names of the environment variables that hold a token.

    Args:
        environment: Environment of this process.
        tokens: Tokens of the accounts.
        worker_token: Value of `--worker-token`, or None.
    """
    secrets = [token for token in tokens if len(token) >= _MIN_TOKEN]
    kind, _, name = (worker_token or "").partition(":")
    holders = {
        name for name, value in environment.items() if any(token in value for token in secrets)
    }
    return frozenset({_TOKEN, *holders, *([name] if kind == "env" else [])})


NotifyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="COMMAND",
        help="Run this command at the end, however the work ends, with the summary as JSON on its"
        f" standard input. No shell reads it. It has {TIME_LIMIT:.0f} seconds, and does not get the"
        " token.",
        rich_help_panel="Output",
        show_default=False,
    ),
]


def check_notify(command: str | None) -> None:
    """Check that the command of `--notify` can be run.

    Raises:
        InvalidRequestError: The command cannot be run.
    """
    if command is not None:
        split_command(command)


@forgets_locals
def notification(
    command: str | None, connection: ConnectionOptions, worker_token: str | None = None
) -> Notification | None:
    """Return the command to run at the end, or None.

    Args:
        command: The command as typed, or None.
        connection: Account whose token the command must not get.
        worker_token: Value of `--worker-token`, or None.

    Raises:
        InvalidRequestError: The command cannot be run.
    """
    if command is None:
        return None
    tokens = [] if connection.sandbox else connection.tokens()
    hidden = secret_variables(os.environ, tokens, worker_token)
    return Notification(split_command(command), hidden)


def run_and_notify(
    work: Callable[[], int], notification: Notification | None, summary: Callable[[], Summary]
) -> int:
    """Do the work of a command and then run the user's command, however the work ends.

    Args:
        work: The work, which returns the exit code.
        notification: The user's command, or None.
        summary: Returns the summary.

    Returns:
        The exit code of the work.
    """
    if notification is None:
        return work()
    code = UNEXPECTED
    try:
        code = work()
    except KeyboardInterrupt:
        code = PARTIAL
        raise
    except InvalidRequestError:
        code = USAGE
        raise
    finally:
        notification.send(summary().json(), code)
    return code


class Notification:
    """A command to run at the end.

    Args:
        words: The program and its arguments.
        hidden: Environment variables that the command must not get.
        seconds: Seconds after which the command is ended.
    """

    def __init__(
        self, words: list[str], hidden: Collection[str] = (), seconds: float = TIME_LIMIT
    ) -> None:
        self._words = words
        self._hidden = hidden
        self._seconds = seconds

    def send(self, summary: str, exit_code: int) -> None:
        """Run the command and wait for it; say if it fails. Never raises for a failure of it.

        Args:
            summary: The summary as JSON, for the standard input of the command.
            exit_code: Exit code of this process.
        """
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()  # what was printed before comes before what the command prints
        try:
            failure = self._run(f"{summary}\n".encode(), exit_code)
        except OSError as error:
            failure = f"it cannot be run: {error.strerror}"
        if failure:
            print_message(f"--notify {self._name}: {failure}; {_UNHARMED}")

    @property
    def _name(self) -> str:
        return os.path.basename(self._words[0])  # noqa: PTH119 - also of a path of Windows

    def _run(self, summary: bytes, exit_code: int) -> str:
        """Run the command. Return how it has failed, or ""."""
        kept = {name: value for name, value in os.environ.items() if name not in self._hidden}
        with subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            self._words,
            stdin=subprocess.PIPE,
            stdout=_own_stderr(),  # standard output has rows or the summary of this process alone
            env={**kept, EXIT_CODE: str(exit_code)},
            # Ctrl-C and a closed terminal, which may have ended the harvest, do not end it.
            start_new_session=True,
        ) as process:
            try:
                process.communicate(summary, timeout=self._seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                return f"it was ended after {quantity(round(self._seconds), 'second')}"
            except BaseException:
                _end(process)
                raise
        return f"it has ended with exit code {process.returncode}" if process.returncode else ""


def _own_stderr() -> int:
    """Return standard error as a file for a child process, or none where it is closed."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return subprocess.DEVNULL


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command with all processes that it has started."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
