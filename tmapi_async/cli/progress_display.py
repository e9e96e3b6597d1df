"""A harvest on a terminal: drawn with Rich, redrawn a few times a second."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tmapi_async.harvest import HarvestProgress

from .console import INTERVAL_SECONDS, REFRESH_SECONDS, tell


def line(now: HarvestProgress) -> str:
    """How far a harvest is, on one line."""
    tally = now.tally
    ended = tally.listings - tally.left
    budget = "" if now.budget is None else f" of {now.budget:,}"
    parts = [
        f"{ended:,}/{tally.listings:,} listings",
        f"{tally.pages:,} pages",
        f"{tally.items:,} items",
        f"{now.requests:,}{budget} requests",
        f"{now.rate:.1f} pages/s",
        f"{now.codes.get('503', 0):,} x 503",
        f"gate {now.in_flight}/{now.width}",
        *([f"{tally.rejects:,} rejects"] if tally.rejects else []),
        *([f"{tally.failed:,} failed"] if tally.failed else []),
        _time(now.seconds),
        *([f"about {_time(now.eta)} left"] if now.eta is not None else []),
    ]
    return ("stopping; " if now.stopping else "") + ", ".join(parts)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def picture(now: HarvestProgress) -> RenderableType:
    """How far a harvest is, as a bar with its figures below."""
    tally = now.tally
    ended = tally.listings - tally.left
    head = Table.grid(padding=(0, 2), expand=True)
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True, justify="right")
    eta = f"about {_time(now.eta)} left" if now.eta is not None else ""
    word = "stopping" if now.stopping else "harvesting"
    head.add_row(
        Text(f"{word} {ended:,}/{tally.listings:,} listings", "bold"),
        ProgressBar(total=max(1, tally.listings), completed=ended),
        Text(f"{_time(now.seconds)}  {eta}".rstrip()),
    )
    budget = "" if now.budget is None else f" of {now.budget:,}"
    held = Text(f"{tally.pages:,} pages, {tally.items:,} items", "green")
    held.append(f", {now.rate:.1f} pages/s, {now.open:,} listings open", "default")
    for number, word in (
        (tally.rejects, "rejects"),
        (now.failed_pages, "pages failed"),
        (tally.failed, "listings failed"),
    ):
        if number:
            held.append(f", {number:,} {word}", "red")
    sent = Text(
        f"{now.requests:,}{budget} requests, {now.retries:,} retries, {now.wasted:,} wasted, "
        f"{now.codes.get('503', 0):,} x 503, gate {now.in_flight}/{now.width}, "
        f"{now.waiting:,} pages await the disk",
        "dim",
    )
    return Group(head, held, sent)


class Display:
    """Draws a harvest on a terminal.

    Args:
        console: The terminal.
        progress: Tells how far the harvest is.
    """

    def __init__(self, console: Console, progress: Callable[[], HarvestProgress]) -> None:
        self._progress = progress
        # Drawn from the event loop alone: a thread of Rich's would read what is being changed.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def refresh(self) -> None:
        """Draw it as it is now."""
        self._live.update(picture(self._progress()), refresh=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(exc_type, exc, traceback)


@asynccontextmanager
async def shown(progress: Callable[[], HarvestProgress], *, wanted: bool) -> AsyncIterator[None]:
    """Show a harvest while the block runs: drawn on a terminal, a line an interval elsewhere."""
    if not wanted:
        yield
        return
    work = _draw(progress) if sys.stderr.isatty() else _write(progress)
    task = asyncio.create_task(work, name="tmapi display")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _draw(progress: Callable[[], HarvestProgress]) -> None:
    with Display(Console(stderr=True), progress) as display:
        while True:
            display.refresh()
            await asyncio.sleep(REFRESH_SECONDS)


async def _write(progress: Callable[[], HarvestProgress]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        tell(line(progress()))
