"""Text output of the commands: messages on standard error, results on standard output.

Every text goes through `escape_controls` here, so that no title, message or file name can give
orders to a terminal. Rows (JSON lines) are data and go through `output.RowOutput`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import warnings
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.escaping import escape_controls

from .concealing import conceal, possible_secrets
from .logs.json_log import JsonFormatter, PlainFormatter, with_fields

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tmapi_async.journal.summaries.verdict import Kind

_COLOURS: dict[Kind, str] = {
    "complete": "bold green",
    "running": "bold",
    "nothing": "bold",
    "capped": "bold yellow",
    "shifted": "bold yellow",
    "contradicted": "bold yellow",
    "empty": "bold yellow",
    "incomplete": "bold red",
}


_EVENTS = logging.getLogger("tmapi_async.command")
"""Messages, progress and summary of this command, where they are logged (`--log`, `--log-file`)."""

_EVENTS.propagate = False


class LineFormatter(logging.Formatter):
    """Formats log records for a terminal: control characters of the text are shown escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides logging's
        """Return the line of a record."""
        return escape_controls(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - overrides logging's
        """Return the lines of a traceback."""
        return "\n".join(map(escape_controls, super().formatException(ei).split("\n")))  # type: ignore[arg-type]


def print_message(text: str, *, level: int = logging.INFO) -> None:
    """Write a message of this program, prefixed with `tmapi:`, to standard error and to the log.

    Args:
        text: The message.
        level: Level of the record in the log.
    """
    log_event("message", text, level=level)
    if not logs_json():
        _write_error(f"tmapi: {text}")


def print_unlogged(text: str) -> None:
    """Write a message to standard error alone: the log has it as an event with fields."""
    _write_error(f"tmapi: {text}")


def print_refusal(text: str) -> None:
    """Write the message of a refused command, without arguments that may be a token."""
    secrets = possible_secrets(sys.argv[1:], os.environ)
    print_message(conceal(text, secrets), level=logging.ERROR)


def print_error_line(text: str) -> None:
    """Write a line to standard error and to the log, with control characters escaped."""
    log_event("message", text)
    if not logs_json():
        _write_error(text)


def print_error_json(text: str) -> None:
    """Write a JSON object to standard error, where standard output has rows."""
    _write_error(text)


def _write_error(text: str) -> None:
    # A reader that has gone must not turn a message into a failure.
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{escape_controls(text)}\n")
        sys.stderr.flush()


def print_output(text: str) -> None:
    """Write a line of a result to standard output, with control characters escaped.

    Where standard output is closed, nothing is written: see `require_output`.
    """
    if sys.stdout is not None:
        sys.stdout.write(f"{escape_controls(text)}\n")


def print_verdict(text: str, kind: Kind, *, result: bool = False) -> None:
    """Write the verdict of a command, in colour on a terminal.

    Args:
        text: The verdict.
        kind: Its kind, which gives the colour.
        result: Write to standard output, and not as a message to standard error.
    """
    if not result:
        log_event("verdict", text, verdict=kind)
        if logs_json():
            return
    stream = sys.stdout if result else sys.stderr
    line = escape_controls(text if result else f"tmapi: {text}")
    if stream is not None and stream.isatty():
        from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

        display_console(stream).print(Text(line, _COLOURS[kind]), soft_wrap=True)
    elif result:
        print_output(line)
    else:
        _write_error(line)


def log_event(event: str, text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Add an event of this command to the log, if there is one.

    Args:
        event: Name of the event.
        text: The event for people.
        level: Level of the record.
        **fields: The event for programs. They hold no secret.
    """
    if _EVENTS.handlers:
        _EVENTS.log(level, "%s", text, extra=with_fields(event, **fields))


def logs_events() -> bool:
    """Return True if events of this command go to a log."""
    return bool(_EVENTS.handlers)


def logs_json() -> bool:
    """Return True if standard error has JSON objects alone: no plain text and no display."""
    return any(isinstance(handler, _CurrentStderr) for handler in _EVENTS.handlers)


def is_live_terminal() -> bool:
    """Return True if standard error is a terminal for a display that is drawn anew."""
    return sys.stderr.isatty() and not logs_json()


def terminal_width(stream: TextIO | None) -> int | None:
    """Return the number of cells of a line; None where the stream is not a terminal."""
    with suppress(OSError, ValueError):
        if stream is not None and stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns or None
    return None


def print_json(text: str) -> None:
    """Write a JSON object to standard output, in ASCII where the stream cannot hold its text."""
    if sys.stdout is None:
        return
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text))
    print_output(text)


def discard_output() -> None:
    """Send what is left of standard output to the null device: its reader has gone."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def require_output() -> None:
    """Check that there is a standard output, for commands whose only result is their output.

    Raises:
        InvalidRequestError: Standard output is closed.
    """
    if sys.stdout is None:
        raise InvalidRequestError("standard output is closed: open it, or redirect it to a file")


def set_up_streams() -> None:
    """Let standard output and error escape characters that their encoding cannot hold.

    In a locale such as Latin-1 or GBK, a Chinese or Spanish title would otherwise end the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Forgiving(io.TextIOBase):
    """A standard stream for displays: a terminal that has gone is no failure."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write a text, if anybody can read it."""
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Return True if the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the number of the stream."""
        return self._stream.fileno()


def display_console(stream: TextIO | None = None) -> Console:
    """Return a console that outlives its terminal; by default on standard error, for progress."""
    from rich.console import Console  # noqa: PLC0415 - only displays need it

    return Console(file=cast("IO[str]", _Forgiving(stream or sys.stderr)))


def spinner_name() -> str:
    """Return the name of a spinner that the encoding of standard error can hold."""
    return "dots" if (sys.stderr.encoding or "").lower().startswith("utf") else "line"


class _CurrentStderr(logging.StreamHandler[TextIO]):
    """Writes to the standard error of this moment: a display puts lines above its own."""

    @property
    def stream(self) -> TextIO:
        """Standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Ignore the stream that the base class chooses."""


def set_up_logging(verbosity: int = 0, *, json: bool = False, file: Path | None = None) -> None:
    """Send log records and warnings of this package to standard error, one line each.

    Args:
        verbosity: 0 for warnings alone, 1 for retries, 2 or more for every attempt.
        json: Write JSON objects: to `file` if there is one, else to standard error in place of all
            other text.
        file: File that gets the records, and the events of this command, in addition; or None.

    Raises:
        InvalidRequestError: The file cannot be written.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    stderr = _CurrentStderr()
    stderr.setFormatter(LineFormatter("tmapi: %(message)s"))
    handlers: list[logging.Handler] = [stderr]
    log: list[logging.Handler] = []
    if file is not None:
        from .logs.log_file import open_log_file  # noqa: PLC0415 - loads a network client, for other logs

        log = [open_log_file(file, print_unlogged)]
        handlers += log
    elif json:
        log = [stderr]
    for handler in log:
        handler.setFormatter(JsonFormatter() if json else PlainFormatter())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for earlier in _EVENTS.handlers:
        if not isinstance(earlier, _CurrentStderr):
            earlier.close()
    _EVENTS.handlers[:] = log
    _EVENTS.setLevel(logging.INFO)
    # Other packages may log URLs, and a URL holds the token.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("tmapi_async").setLevel(level)
    warnings.showwarning = lambda message, *_args, **_more: print_message(
        f"warning: {message}", level=logging.WARNING
    )


def silence_logger(name: str) -> None:
    """Hide the log of another package: the command reports the same events in its own words."""
    logging.getLogger(name).setLevel(logging.CRITICAL)
