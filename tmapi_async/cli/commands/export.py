"""`tmapi export`: from a journal to files and databases."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console
from rich.text import Text

from tmapi_async.api.listings import parse_id
from tmapi_async.cli import console
from tmapi_async.cli.summary import OK, PARTIAL, UNEXPECTED, USAGE
from tmapi_async.errors import (
    ExportError,
    InvalidRequestError,
    JournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
)
from tmapi_async.export import Export, ExportProgress, ExportSummary, Selection
from tmapi_async.export.selection import ALL_RUNS
from tmapi_async.export.sinks import DestinationResult

_UNUSABLE = (NoJournalError, NotAJournalError, NewerJournalError, OlderJournalError)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `tmapi export` is asked to do, as typed.

    Attributes:
        journal: The journal.
        to: Destinations.
        table: The table of every database among them, or None.
        run: `latest`, `all` or a number, or None.
        since: A date or a time, or None.
        cats: Category IDs; empty for all.
        unique: Only the latest sighting of each item.
        json: End with the summary as JSON.
        endpoint: Short or full name of the endpoint whose rows are meant, or None.
        quiet: No progress, no summary.
    """

    journal: Path
    to: list[str]
    table: str | None
    run: str | None
    since: str | None
    cats: list[str]
    unique: bool
    json: bool
    quiet: bool
    endpoint: str | None = None

    def export(self) -> Export:
        """The export, checked.

        Raises:
            InvalidRequestError: An option or a destination makes no sense.
        """
        selection = Selection(
            run=_run(self.run),
            since=_time(self.since) if self.since else None,
            cats=frozenset(parse_id(cat) for cat in self.cats),
            unique=self.unique,
            endpoint=self.endpoint,
        )
        return Export(self.journal, self.to, selection, table=self.table)


def _run(text: str | None) -> int | None:
    if text is None or text == "latest":
        return None
    if text == "all":
        return ALL_RUNS
    if text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text):  # noqa: PLR2004
        return int(text)
    raise InvalidRequestError(f"--run must be latest, all or the number of a run, not {text!r}")


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(
            f"--since must be a date or a time such as 2026-01-05 or 2026-01-05T09:30:00Z, "
            f"not {text!r}"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def export(request: Request) -> int:
    """Run an export; returns the exit code."""
    try:
        job = request.export()
    except InvalidRequestError as error:
        console.tell(f"{error}; nothing was read")
        return USAGE
    try:
        code = _run_job(job, quiet=request.quiet)
    except BrokenPipeError:
        _silence()
        return PARTIAL
    if not request.quiet and (code == OK or job.summary.pages):
        for line in lines(job.summary):
            console.tell(line)
    if request.json:
        text = msgspec.json.encode(job.summary).decode()
        tell = console.tell_plainly if "-" in request.to else print
        tell(text)
    return code


def _run_job(job: Export, *, quiet: bool) -> int:
    try:
        with _stopped_by_sigterm(), _progress(shown=not quiet) as show:
            job.run(show)
    except KeyboardInterrupt:
        console.tell("interrupted: nothing was changed but what is named as written")
    except InvalidRequestError as error:
        console.tell(str(error))
        return USAGE
    except ExportError as error:
        console.tell(str(error))
    except JournalError as error:
        console.tell(str(error))
        return USAGE if isinstance(error, _UNUSABLE) else UNEXPECTED
    else:
        return OK
    return PARTIAL


def lines(summary: ExportSummary) -> Iterator[str]:
    """The summary for a person."""
    yield from map(_landed, summary.destinations)
    which = "all runs" if summary.run is None else f"run {summary.run}"
    yield (
        f"{summary.rows:,} rows of {summary.pages:,} pages of {which} in {summary.seconds:.1f} s, "
        f"{summary.rows_per_second:,.0f} a second"
    )
    yield from _left_out(summary)


def _landed(done: DestinationResult) -> str:
    where = "standard output" if done.to == "-" else done.to
    if done.inserted is not None:
        changed = f"{done.updated:,} changed, {done.unchanged:,} as before"
        return f"{where}: {done.inserted:,} new, {changed}"
    size = f", {done.bytes:,} bytes" if done.bytes is not None else ""
    return f"{where}: {done.rows:,} rows{size}"


def _left_out(summary: ExportSummary) -> Iterator[str]:
    for counted, what in (
        (summary.unread, "values could not be read: null, with what was sent in ..._text"),
        (summary.bounds, "values say more than their number: what was sent is in ..._text"),
    ):
        if counted:
            places = ", ".join(f"{name} x {number:,}" for name, number in counted.items())
            yield f"{sum(counted.values()):,} {what} ({places})"
    if summary.rejects:
        yield f"{summary.rejects:,} rows could not be decoded and are in no destination; see replay"
    for number, what in (
        (summary.listings_unfinished, "are not walked to their end: there is more to come"),
        (summary.listings_failed, "failed: pages of them are missing"),
    ):
        if number:
            yield f"warning: {number:,} listings {what}"


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[ExportProgress], None]]:
    """A line that is redrawn on a terminal, one an interval elsewhere."""
    if not shown:
        yield lambda _: None
    elif sys.stderr.isatty():
        with Console(stderr=True).status("reading") as status:
            yield lambda progress: status.update(Text(str(progress)))
    else:
        told = time.monotonic()

        def tell(progress: ExportProgress) -> None:
            nonlocal told
            if time.monotonic() - told >= console.INTERVAL_SECONDS:
                told = time.monotonic()
                console.tell(str(progress))

        yield tell


def _silence() -> None:
    """Let the interpreter flush into nothing when it ends: the reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
