"""The loop of `tmapi status --watch`: looks at a journal until its harvest ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
from rich.live import Live
from rich.text import Text

from tmapi_async.cli.console import (
    display_console,
    print_json,
    print_message,
    print_output,
    print_refusal,
)
from tmapi_async.cli.exit_codes import PARTIAL
from tmapi_async.cli.summary import Summary
from tmapi_async.errors import JournalError, LockedJournalError
from tmapi_async.errors.escaping import escape_controls
from tmapi_async.journal.live.journal_watch import Glance, JournalWatch

from .live_table import live_line, live_lines
from .progress_line import INTERVAL_SECONDS

TERMINAL_SECONDS = 1.0
"""Seconds between two looks on a terminal."""

NAMED_ROWS = 100
"""Failed and waiting listings that a look names."""

_LEFT_OUT = ("empty", "contradicted", "suspects")
"""Keys of the summary that are known at the end alone."""

_END_FIELDS = {"running": False, "open": 0, "pages_per_minute": 0.0, "eta": None}


class Display(Protocol):
    """Place where looks at a journal are shown."""

    def show(self, glance: Glance) -> None:
        """Show a look."""

    def note(self, text: str) -> None:
        """Show why there is no look at this moment."""


class LiveTable:
    """A table on a terminal, drawn anew at each look.

    Args:
        live: Part of the terminal that is drawn anew.
        name: Name of the journal.
    """

    def __init__(self, live: Live, name: str) -> None:
        self._live = live
        self._name = escape_controls(name)

    def show(self, glance: Glance) -> None:
        """Draw a look."""
        width, height = self._live.console.size
        self._draw(live_lines(glance, self._name, width, height))

    def note(self, text: str) -> None:
        """Draw a text in place of a look."""
        self._draw([text])

    def _draw(self, lines: list[str]) -> None:
        self._live.update(Text("\n".join(map(escape_controls, lines))), refresh=True)


class TextLines:
    """One line for each look, where there is no terminal."""

    def show(self, glance: Glance) -> None:
        """Print a look as one line."""
        _print_now(live_line(glance))

    def note(self, text: str) -> None:
        """Print a text as one line."""
        _print_now(text)


class JsonLines:
    """One JSON object for each look."""

    def show(self, glance: Glance) -> None:
        """Print a look as one JSON object."""
        print_json(glance_json(glance))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Print a text to standard error: only looks are data."""
        print_message(text)


def _print_now(line: str) -> None:
    print_output(line)
    sys.stdout.flush()


def glance_json(glance: Glance) -> str:
    """Return a look as one JSON object: the keys of the summary, and those of the watch."""
    starts = [*glance.earlier]
    if glance.start is not None and glance.start.totals is not None:
        starts.append(glance.start.totals)
    summary = Summary.from_ticks(glance.tally, starts, stopped_by=None)
    fields = summary.fields(running=True)
    kept = {name: value for name, value in fields.items() if name not in _LEFT_OUT}
    return msgspec.json.encode({**_watch_fields(glance), **kept}).decode()


def _watch_fields(glance: Glance) -> dict[str, Any]:
    left = glance.remaining
    eta = None if left is None else {"low": left.low, "likely": left.mean, "high": left.high}
    return {
        "at": datetime.fromtimestamp(glance.at, UTC).isoformat().replace("+00:00", "Z"),
        "running": not glance.has_ended,
        "run": glance.run,
        "start": glance.start.id if glance.start is not None else None,
        "open": len(glance.reading),
        "waiting": glance.waiting_number,
        "pages_per_minute": round(60 * glance.rate, 1),
        "eta": eta,
    }


class StatusWatch:
    """One run of `tmapi status --watch`.

    Args:
        journal: Journal to watch.
        seconds: Seconds between two looks; None for the usual ones.
        json: Print each look as a JSON object.
    """

    def __init__(self, journal: Path, seconds: float | None, *, json: bool) -> None:
        self._journal = journal
        self._json = json
        self._is_terminal = sys.stdout.isatty() and not json
        usual = TERMINAL_SECONDS if self._is_terminal else INTERVAL_SECONDS
        self._seconds = usual if seconds is None else seconds
        self._end_fields: dict[str, Any] = {}

    def run(self, print_end: Callable[[Mapping[str, Any]], int]) -> int:
        """Watch the journal until its harvest ends, and return the exit code.

        Args:
            print_end: Prints the journal as it is at the end and returns the exit code. It gets
                the keys that JSON objects of a watch have before those of the summary.

        Raises:
            JournalError: The journal cannot be read at the beginning.
        """
        watch = JournalWatch(self._journal)
        try:
            with self._display() as display:
                code = self._follow(watch, display)
            return print_end(self._end_fields) if code is None else code
        except KeyboardInterrupt:
            print_message("no longer watching: the harvest is not affected")
            return PARTIAL

    def _display(self) -> AbstractContextManager[Display]:
        if self._json:
            return nullcontext(JsonLines())
        if not self._is_terminal:
            return nullcontext(TextLines())
        return _live_table(str(self._journal))

    def _follow(self, watch: JournalWatch, display: Display) -> int | None:
        """Show looks until the harvest ends; return an exit code if it could not be watched."""
        start = None
        while True:
            try:
                glance = watch.look(time.time(), NAMED_ROWS)
            except LockedJournalError as error:
                glance = None
                display.note(str(error))
            except JournalError as error:
                print_refusal(str(error))
                return PARTIAL
            if watch.change:
                print_message(f"{watch.path} is not watched any more: {watch.change}")
                return PARTIAL
            if glance is not None:
                if glance.has_ended or _is_other(glance, start):
                    self._end(glance, start)
                    return None
                if glance.start is not None and glance.start.ended_at is None:
                    start = glance.start.id
                display.show(glance)
            self._wait(watch)

    def _end(self, glance: Glance, start: int | None) -> None:
        """Say how the watch has ended, where the journal does not say it."""
        self._end_fields = _watch_fields(glance) | _END_FIELDS
        if start is None:
            print_message(f"{self._journal}: no process is writing, so there is nothing to watch")
        elif glance.has_ended and glance.start is not None and glance.start.ended_at is None:
            print_message("the harvest was killed: it has ended without recording an end")

    def _wait(self, watch: JournalWatch) -> None:
        """Wait for the time of the next look, or for the end of the harvest."""
        until = time.monotonic() + self._seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, TERMINAL_SECONDS))
            if left > TERMINAL_SECONDS and watch.is_free():
                return


def _is_other(glance: Glance, start: int | None) -> bool:
    """Return True if the watched start has ended and another one has begun meanwhile."""
    return start is not None and glance.start is not None and glance.start.id != start


@contextmanager
def _live_table(name: str) -> Iterator[LiveTable]:
    # Drawn by this thread alone: Rich's own would draw between two looks, for nothing.
    console = display_console(sys.stdout)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveTable(live, name)
