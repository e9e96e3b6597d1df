"""The command line. Commands parse options and show results; the logic is elsewhere."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

from tmapi_async.errors import InvalidRequestError

from . import console
from .app import app
from .commands import asking, telling
from .summary import PARTIAL, UNEXPECTED, USAGE

__all__ = ["app", "asking", "main", "telling"]

_TYPER_INTERRUPTED = 130


def main() -> None:
    """Run the command line; the process ends with an exit code of the contract."""
    _keep_closed_streams()
    try:
        app()
    except SystemExit as end:
        if end.code != _TYPER_INTERRUPTED:
            raise
        console.tell("interrupted")
        sys.exit(PARTIAL)
    except InvalidRequestError as error:
        console.tell(f"{error}; nothing was sent")
        sys.exit(USAGE)
    except KeyboardInterrupt:
        console.tell("interrupted")
        sys.exit(PARTIAL)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EPIPE):
            _unexpected(error)
        if error.errno != errno.EPIPE:
            console.tell(f"cannot write the output: {error.strerror}")
        # Else the interpreter, flushing at its end, meets the same again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(PARTIAL)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        _unexpected(error)


def _unexpected(error: Exception) -> NoReturn:
    # Only the class and where it was raised: a message from below may hold a URL.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else "unknown"
    console.tell(f"unexpected failure: {type(error).__name__} in {where}; please report it")
    sys.exit(UNEXPECTED)


def _keep_closed_streams() -> None:
    """Put nothing where a standard stream was closed.

    Else the next socket would get its number, and what is written to the stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            if name != "stdout":  # what writes rows must know that it cannot
                setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as the process lives
