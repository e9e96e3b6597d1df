"""Progress of a harvest: a panel on a terminal, redrawn a few times a second, or log lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tmapi_async.cli.console import (
    display_console,
    is_live_terminal,
    log_event,
    logs_events,
    logs_json,
    print_unlogged,
)
from tmapi_async.errors.escaping import escape_controls
from tmapi_async.errors.quantities import quantity
from tmapi_async.harvest import HarvestProgress

from .progress_line import INTERVAL_SECONDS, REFRESH_SECONDS
from .wording import clock_text, pages_per_minute, time_left_text

_SHORTEST_BAR = 14


def progress_line(progress: HarvestProgress) -> str:
    """Return the progress of a harvest on one line."""
    tally = progress.tally
    parts = [
        f"{tally.listings - tally.left:,}/{quantity(tally.listings, 'listing')}",
        quantity(tally.pages, "page"),
        quantity(tally.items, "item"),
        _requests(progress),
        *([speed] if (speed := _speed(progress)) else []),
        f"{progress.codes.get('503', 0):,} x 503",
        f"gate {progress.in_flight}/{progress.width}",
        *([quantity(tally.rejects, "reject")] if tally.rejects else []),
        *([f"{tally.failed:,} failed"] if tally.failed else []),
        clock_text(progress.seconds),
        *([eta] if (eta := _eta(progress)) else []),
    ]
    states = ["stopping; "] if progress.stopping else []
    states += [f"waiting: {reason}; " for reason in _reasons_to_wait(progress)]
    return "".join(states) + ", ".join(parts)


def _reasons_to_wait(progress: HarvestProgress) -> list[str]:
    return [str(reason) for reason in (progress.waiting_for, progress.outage) if reason]


def _requests(progress: HarvestProgress) -> str:
    if progress.budget is None:
        return quantity(progress.requests, "request")
    charged = progress.requests - progress.unreached
    return f"{charged:,} of {quantity(progress.budget, 'request')}"


def _speed(progress: HarvestProgress) -> str:
    """Return the recent speed: by the minute where it is low; nothing before the first page."""
    if progress.rate >= 1:
        return f"{progress.rate:.1f} pages/s"
    return pages_per_minute(progress.rate) if progress.rate > 0 or progress.pages else ""


def _eta(progress: HarvestProgress) -> str:
    if progress.eta is None:
        return ""
    low, high = progress.eta_range or (progress.eta, progress.eta)
    return time_left_text(low, progress.eta, high)


def progress_panel(progress: HarvestProgress, width: int = 80) -> RenderableType:
    """Return the progress of a harvest as a bar with its figures below, for a terminal's width."""
    rows: list[RenderableType] = [
        _bar_row(progress, width),
        _journal_row(progress),
        _request_row(progress),
    ]
    rows += [
        Text(escape_controls(f"waiting: {reason}; nothing else is requested"), "bold red")
        for reason in _reasons_to_wait(progress)
    ]
    return Group(*rows)


def _bar_row(progress: HarvestProgress, width: int) -> RenderableType:
    tally = progress.tally
    ended = tally.listings - tally.left
    activity = "stopping" if progress.stopping else "harvesting"
    state = Text(f"{activity} {ended:,}/{quantity(tally.listings, 'listing')}", "bold")
    time = Text(f"{clock_text(progress.seconds)}  {_eta(progress)}".rstrip())
    if state.cell_len + time.cell_len + _SHORTEST_BAR > width:
        return Text("  ").join([state, time])
    row = Table.grid(padding=(0, 2), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    row.add_row(state, ProgressBar(total=max(1, tally.listings), completed=ended), time)
    return row


def _journal_row(progress: HarvestProgress) -> Text:
    tally = progress.tally
    pages, items = quantity(tally.pages, "page"), quantity(tally.items, "item")
    row = Text(f"{pages}, {items}", "green")
    listings = quantity(progress.open, "listing")
    speed = _speed(progress)
    row.append(f"{f', {speed}' if speed else ''}, {listings} open", "default")
    for number, words in (
        (tally.rejects, quantity(tally.rejects, "reject")),
        (progress.failed_pages, f"{quantity(progress.failed_pages, 'page')} failed"),
        (tally.failed, f"{quantity(tally.failed, 'listing')} failed"),
    ):
        if number:
            row.append(f", {words}", "red")
    return row


def _request_row(progress: HarvestProgress) -> Text:
    return Text(
        f"{_requests(progress)}, "
        f"{quantity(progress.retries, 'retry', 'retries')}, {progress.wasted:,} wasted, "
        f"{progress.codes.get('503', 0):,} x 503, "
        f"gate {progress.in_flight}/{progress.width}, {progress.waiting:,} not yet on disk",
        "dim",
    )


class HarvestDisplay:
    """Draws the progress of a harvest on a terminal.

    Args:
        console: The terminal.
        read_progress: Returns the progress at this moment.
    """

    def __init__(self, console: Console, read_progress: Callable[[], HarvestProgress]) -> None:
        self._read_progress = read_progress
        # Drawn from the event loop alone: Rich's own thread would read data while it changes.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def refresh(self) -> None:
        """Draw the progress at this moment."""
        panel = progress_panel(self._read_progress(), self._live.console.width)
        self._live.update(panel, refresh=True)

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
async def show_harvest(
    read_progress: Callable[[], HarvestProgress], *, shown: bool
) -> AsyncIterator[None]:
    """Show a harvest while the block runs: a panel on a terminal, a line per interval elsewhere."""
    if not shown:
        yield
        return
    work = []
    if not logs_json():
        show = _draw if is_live_terminal() else _append_lines
        work.append(show(read_progress))
    if logs_events():
        work.append(_log_progress(read_progress))
    tasks = [asyncio.create_task(each, name="tmapi display") for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _draw(read_progress: Callable[[], HarvestProgress]) -> None:
    with HarvestDisplay(display_console(), read_progress) as display:
        while True:
            display.refresh()
            await asyncio.sleep(REFRESH_SECONDS)


async def _append_lines(read_progress: Callable[[], HarvestProgress]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        print_unlogged(progress_line(read_progress()))


async def _log_progress(read_progress: Callable[[], HarvestProgress]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        progress = read_progress()
        log_event("progress", progress_line(progress), **progress_fields(progress))


def progress_fields(progress: HarvestProgress) -> dict[str, Any]:
    """Return the progress of a harvest as fields of a log record."""
    tally, eta = progress.tally, progress.eta_range
    outage = progress.outage
    return {
        "listings": tally.listings,
        "ended": tally.listings - tally.left,
        "failed": tally.failed,
        "pages": tally.pages,
        "items": tally.items,
        "rejects": tally.rejects,
        "requests": progress.requests,
        "budget": progress.budget,
        "retries": progress.retries,
        "wasted": progress.wasted,
        "codes": progress.codes,
        "width": progress.width,
        "seconds": round(progress.seconds, 3),
        "pages_per_minute": round(60 * progress.rate, 1),
        "eta": None if eta is None else {"low": eta[0], "likely": progress.eta, "high": eta[1]},
        "waiting_for": progress.waiting_for or (None if outage is None else str(outage)),
    }
