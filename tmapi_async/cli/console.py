"""What a command says beside its output: messages, warnings and progress, all on standard error."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.text import Text

REFRESH_SECONDS = 0.25
"""How often the line on a terminal is drawn."""

INTERVAL_SECONDS = 15.0
"""How often a line is written where standard error is not a terminal."""


def tell(text: str) -> None:
    """Write one message line to standard error."""
    # A reader of ours that has gone must not turn a message into a failure.
    with suppress(OSError, ValueError):
        sys.stderr.write(f"tmapi: {text}\n")
        sys.stderr.flush()


def tell_plainly(text: str) -> None:
    """Write a line to standard error as it is."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def set_up(verbose: int) -> None:
    """Send log records and warnings of this package to standard error, a line each."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(format="tmapi: %(message)s", level=level, stream=sys.stderr, force=True)
    # Other packages may log URLs, and those hold the token.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("tmapi_async").setLevel(level)
    warnings.showwarning = lambda message, *_args, **_more: tell(f"warning: {message}")


def quieten(logger: str) -> None:
    """Leave out what another package says while it shuts down: it is told in our own words."""
    logging.getLogger(logger).setLevel(logging.CRITICAL)


@asynccontextmanager
async def progress(line: Callable[[], str], *, shown: bool) -> AsyncIterator[None]:
    """Show how far a command is: a line that is redrawn on a terminal, one an interval elsewhere.

    Args:
        line: Makes the line.
        shown: Whether anything is shown at all.
    """
    if not shown:
        yield
        return
    show = _redraw if sys.stderr.isatty() else _write
    task = asyncio.create_task(show(line), name="tmapi progress")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _redraw(line: Callable[[], str]) -> None:
    console = Console(stderr=True)
    with console.status(Text(line()), refresh_per_second=1 / REFRESH_SECONDS) as status:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            status.update(Text(line()))


async def _write(line: Callable[[], str]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        tell(line())
