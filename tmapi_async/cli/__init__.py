"""The command line. Commands parse options and show results; the logic is elsewhere.

Until Ctrl-C is taken care of, this module loads nothing that is not loaded already: the module
`signal` takes several milliseconds, in which Ctrl-C would print a traceback.
"""

from __future__ import annotations

import os
from _signal import SIG_IGN, SIGINT, SIGTERM, getsignal, signal

__all__ = ["main"]

_SIGNALLED = 128
"""Exit code of a command that a signal ended before it did anything, less the signal's number."""

_FIRST_PROCESS = 1


def main() -> None:
    """Run the command line and end the process with an exit code of the contract."""
    _exit_on_interrupt()
    # Arrow's other allocators keep much memory that they do not use, in each process.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from tmapi_async.errors.hidden_modules import hide_module  # noqa: PLC0415 - after Ctrl-C is safe

    # Where pandas is installed, Arrow loads it with the first array: 54 MB and a third of a second.
    hide_module("pandas")
    from .app import main as run_command  # noqa: PLC0415 - takes long to load

    try:
        run_command()
    finally:
        _exit_on_interrupt()  # while the interpreter ends, too


def _exit_on_interrupt() -> None:
    """Let Ctrl-C end the process at once, while there is nothing to save.

    SIGTERM does so by itself, but not for the first process of a container: the system keeps all
    signals from it that it does not handle.
    """
    for number in (SIGINT, SIGTERM) if os.getpid() == _FIRST_PROCESS else (SIGINT,):
        if getsignal(number) is not SIG_IGN:  # a shell ignores Ctrl-C for a job in the background
            signal(number, _leave)


def _leave(number: int, _frame: object) -> None:
    try:
        if "_TMAPI_COMPLETE" not in os.environ:  # it would break the line that the user types
            os.write(2, b"tmapi: interrupted\n")
    finally:
        os._exit(_SIGNALLED + number)
