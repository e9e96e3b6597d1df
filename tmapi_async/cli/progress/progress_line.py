"""Progress as one line of text, on standard error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.text import Text

from tmapi_async.cli.console import (
    display_console,
    is_live_terminal,
    log_event,
    logs_json,
    print_unlogged,
    spinner_name,
)
from tmapi_async.errors.escaping import escape_controls

REFRESH_SECONDS = 0.25
"""Seconds between two drawings of the progress on a terminal."""

INTERVAL_SECONDS = 15.0
"""Seconds between two progress lines where standard error is not a terminal."""


@asynccontextmanager
async def show_progress(make_line: Callable[[], str], *, shown: bool) -> AsyncIterator[None]:
    """Show progress while the block runs.

    A terminal shows one line that is redrawn; a file or a pipe gets one line per interval.

    Args:
        make_line: Returns the line.
        shown: False to show nothing.
    """
    if not shown:
        yield
        return
    show = _redraw if is_live_terminal() else _append
    task = asyncio.create_task(show(make_line), name="tmapi progress")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _redraw(make_line: Callable[[], str]) -> None:
    console = display_console()

    def draw() -> Text:
        return Text(escape_controls(make_line()))

    with console.status(
        draw(), spinner=spinner_name(), refresh_per_second=1 / REFRESH_SECONDS
    ) as status:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            status.update(draw())


async def _append(make_line: Callable[[], str]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        line = make_line()
        log_event("progress", line)
        if not logs_json():
            print_unlogged(line)
