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

from ..errors import InvalidRequestError
from ..export import Export, ExportProgress, ExportSummary, Selection
from ..export.destinations import ENDINGS
from ..export.errors import ExportError
from ..export.reading import ALL_RUNS
from ..harvest.errors import (
    JournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
)
from ..listings import parse_id
from . import console
from .summary import OK, PARTIAL, UNEXPECTED, USAGE

TO_HELP = f"A file ({', '.join(ENDINGS)}), postgresql://..., or - for JSON lines; may be repeated."

_UNUSABLE = (NoJournalError, NotAJournalError, NewerJournalError, OlderJournalError)


def selection(
    run: str | None, since: str | None, cats: list[str] | None, *, unique: bool
) -> Selection:
    """What the options select.

    Raises:
        InvalidRequestError: One of them makes no sense.
    """
    return Selection(
        run=_run(run),
        since=_time(since) if since else None,
        cats=frozenset(parse_id(cat) for cat in cats or ()),
        unique=unique,
    )


def _run(text: str | None) -> int | None:
    if text in (None, "latest"):
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


def export(job: Export, *, json: bool, quiet: bool, rows_on_stdout: bool) -> int:
    """Run an export; returns the exit code."""
    code = OK
    tell = console.tell if not quiet else lambda _: None
    try:
        with _stopped_by_sigterm(), _progress(shown=not quiet) as show:
            job.run(show)
    except BrokenPipeError:
        _silence()
        return PARTIAL
    except KeyboardInterrupt:
        code = PARTIAL
        console.tell("interrupted: no destination was changed but those named as done")
    except InvalidRequestError as error:
        code = USAGE
        console.tell(str(error))
    except ExportError as error:
        code = PARTIAL
        console.tell(str(error))
    except JournalError as error:
        code = USAGE if isinstance(error, _UNUSABLE) else UNEXPECTED
        console.tell(str(error))
    for line in lines(job.summary):
        tell(line)
    if json:
        text = msgspec.json.encode(job.summary).decode()
        if rows_on_stdout:
            console.tell_plainly(text)
        else:
            print(text, flush=True)  # noqa: T201 - the contract's last line of standard output
    return code


def lines(summary: ExportSummary) -> Iterator[str]:
    """The summary for a person."""
    for done in summary.destinations:
        where = "standard output" if done.to == "-" else done.to
        if done.inserted is not None:
            how = f"{done.inserted:,} new, {done.updated:,} changed, {done.unchanged:,} as they were"
        else:
            how = f"{done.rows:,} rows"
        size = f", {done.bytes:,} bytes" if done.bytes is not None else ""
        yield f"{where}: {how}{size}"
    which = "all runs" if summary.run is None else f"run {summary.run}"
    yield (
        f"{summary.rows:,} rows of {summary.pages:,} pages of {which} in {summary.seconds:.1f} s, "
        f"{summary.rows_per_second:,.0f} a second"
    )
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
    elif sys.stderr.isatty() and not sys.stdout.isatty():
        with Console(stderr=True).status("reading") as status:
            yield lambda progress: status.update(Text(str(progress)))
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


def job(
    journal: Path, to: list[str], chosen: Selection, *, table: str | None
) -> tuple[Export, bool]:
    """The export that is asked for, and whether its rows go to standard output."""
    return Export(journal, to, chosen, table=table), "-" in to
