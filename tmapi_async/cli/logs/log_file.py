"""The file of `--log-file`: appended to, moved away by log rotation, full without harm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from logging.handlers import WatchedFileHandler
from pathlib import Path

from tmapi_async.errors import InvalidRequestError


class LogFile(WatchedFileHandler):
    """Appends records to a file; opens it anew where a rotation of logs has moved it away.

    Args:
        path: The file.
        print_message: Prints the message that records are lost.
    """

    def __init__(self, path: Path, print_message: Callable[[str], None]) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._has_failed = False
        self._print_message = print_message

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - overrides logging's
        """Say once that records are lost; the work goes on."""
        if not self._has_failed:
            self._has_failed = True
            self._print_message(
                f"the log file {self.baseFilename} cannot be written: lines are missing in it"
            )


def open_log_file(path: Path, print_message: Callable[[str], None]) -> LogFile:
    """Open a log file.

    Args:
        path: The file.
        print_message: Prints the message that records are lost.

    Raises:
        InvalidRequestError: The file cannot be written.
    """
    try:
        return LogFile(path.expanduser(), print_message)
    except OSError as error:
        raise InvalidRequestError(f"cannot write the log file {path}: {error.strerror}") from None
