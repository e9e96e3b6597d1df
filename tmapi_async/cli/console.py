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

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.escaping import escape_controls

from .concealing import conceal, possible_secrets


class LineFormatter(logging.Formatter):
    """Formats log records for a terminal: control characters of the text are shown escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides logging's
        """Return the line of a record."""
        return escape_controls(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - overrides logging's
        """Return the lines of a traceback."""
        return "\n".join(map(escape_controls, super().formatException(ei).split("\n")))  # type: ignore[arg-type]


def print_message(text: str) -> None:
    """Write a message of this program, prefixed with `tmapi:`, to standard error."""
    print_error_line(f"tmapi: {text}")


def print_refusal(text: str) -> None:
    """Write the message of a refused command, without arguments that may be a token."""
    print_message(conceal(text, possible_secrets(sys.argv[1:], os.environ)))


def print_error_line(text: str) -> None:
    """Write a line to standard error, with control characters escaped."""
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


def print_json(text: str) -> None:
    """Write a JSON object to standard output, in ASCII where the stream cannot hold its text."""
    if sys.stdout is None:
        return
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text))
    print_output(text)


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


def set_up_logging(verbosity: int = 0) -> None:
    """Send log records and warnings of this package to standard error, one line each.

    Args:
        verbosity: 0 for warnings alone, 1 for retries, 2 or more for every attempt.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("tmapi: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Other packages may log URLs, and a URL holds the token.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("tmapi_async").setLevel(level)
    warnings.showwarning = lambda message, *_args, **_more: print_message(f"warning: {message}")


def silence_logger(name: str) -> None:
    """Hide the log of another package: the command reports the same events in its own words."""
    logging.getLogger(name).setLevel(logging.CRITICAL)
