"""Messages and warnings, all on standard error."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import suppress


def print_message(text: str) -> None:
    """Write one message line, marked as one of ours, to standard error."""
    print_line(f"tmapi: {text}")


def print_line(text: str) -> None:
    """Write a line to standard error as it is."""
    # A reader that has gone must not turn a message into a failure.
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def set_up_logging(verbosity: int = 0) -> None:
    """Send log records and warnings of this package to standard error, one line each.

    Args:
        verbosity: 0 for warnings alone, 1 for retries, 2 or more for every attempt.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.basicConfig(format="tmapi: %(message)s", level=level, stream=sys.stderr, force=True)
    # Other packages may log URLs, and a URL holds the token.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("tmapi_async").setLevel(level)
    warnings.showwarning = lambda message, *_args, **_more: print_message(f"warning: {message}")


def silence_logger(name: str) -> None:
    """Hide the log of another package: the command reports the same events in its own words."""
    logging.getLogger(name).setLevel(logging.CRITICAL)
