"""One export: a journal is read once, and its rows go to every destination."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tmapi_async.errors import ExportError
from tmapi_async.journal.reader import JournalReader

from .conversions import Conversions
from .destinations import Destination, destinations
from .selection import Scope, Selection, chunks, scope
from .sinks import DestinationResult, Rows, Sink


class ExportProgress(msgspec.Struct, frozen=True):
    """How far an export is.

    Attributes:
        pages: Pages read so far; those of both readings, for unique items.
        of: Pages to be read, as far as can be told: fewer where `since` selects some.
        rows: Rows written so far.
        seconds: Since it began.
    """

    pages: int
    of: int
    rows: int
    seconds: float

    def __str__(self) -> str:
        speed = self.rows / self.seconds if self.seconds else 0.0
        return (
            f"{self.pages:,} of {self.of:,} pages read, {self.rows:,} rows, "
            f"{speed:,.0f} a second, {self.seconds:.0f} s"
        )


class ExportSummary(msgspec.Struct, kw_only=True):
    """What an export did.

    Attributes:
        journal: The journal.
        run: The run that was read, or None for all.
        endpoint: Name of the endpoint whose rows were read; empty before that is known.
        listings_unfinished: Listings selected that have not been walked to their end: there is
            more to come.
        listings_failed: Listings selected that failed: some of their pages are missing.
        pages: Pages that rows were taken from.
        rows: Rows written to each destination.
        rejects: Rows of those pages that today's models cannot decode; the journal keeps them.
        unread: Column to how many of its values are null although something was sent; what was
            sent stands in its `..._text`.
        bounds: Column to how many of its values were sent as something that says more than the
            number (`"100000+"`), which stands there too.
        seconds: How long it took.
        rows_per_second: Rows a second.
        stopped_by: None, `signal`, `disk`, or `error`: then nothing is in place but what is in
            `destinations`.
        destinations: What is in place.
    """

    journal: str
    run: int | None = None
    endpoint: str = ""
    listings_unfinished: int = 0
    listings_failed: int = 0
    pages: int = 0
    rows: int = 0
    rejects: int = 0
    unread: dict[str, int] = {}
    bounds: dict[str, int] = {}
    seconds: float = 0.0
    rows_per_second: float = 0.0
    stopped_by: str | None = None
    destinations: list[DestinationResult] = []


class Export:
    """An export that is checked and ready to run.

    Args:
        path: The journal.
        to: Destinations: paths, database URLs, `-`.
        selection: What of the journal is wanted.
        table: The table of every database among the destinations, if not theirs.

    Raises:
        ExportRefusedError: A destination cannot be; nothing was read.
    """

    def __init__(
        self,
        path: str | Path,
        to: Iterable[str],
        selection: Selection | None = None,
        *,
        table: str | None = None,
    ) -> None:
        self._path = Path(path).expanduser()
        self._selection = selection or Selection()
        self._to: list[Destination] = destinations(to, table=table, journal=self._path)
        self._conversions = Conversions()
        self._scope: Scope | None = None
        self._began = time.monotonic()
        self._read = 0
        self.summary = ExportSummary(journal=str(self._path))

    @property
    def run_read(self) -> str:
        """Which run is read, in words; empty before `run`."""
        return self._scope.about if self._scope else ""

    def run(self, on_progress: Callable[[ExportProgress], None] = lambda _: None) -> ExportSummary:
        """Read the journal and write every destination.

        Args:
            on_progress: Called after every few thousand rows.

        Returns:
            What was done; also in `summary`, which is kept true when this raises.

        Raises:
            JournalError: The journal cannot be read.
            ExportRefusedError: Nothing like that is in it, or a table does not fit.
            ExportError: A destination failed; those not in `summary.destinations` are as before.
        """
        self._began = time.monotonic()
        open_sinks: list[Sink] = []
        try:
            with JournalReader(self._path) as reader:
                self._scope = scope(reader, self._selection)
                self._about(self._scope)
                for one in self._to:
                    open_sinks.append(one.open(self._scope.endpoint))  # noqa: PERF401 - one that fails leaves the others open
                self._write(reader, self._scope, open_sinks, on_progress)
            while open_sinks:
                self.summary.destinations.append(open_sinks[0].finish())
                del open_sinks[0]
        except BaseException as error:
            self.summary.stopped_by = _stopped_by(error)
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                raise _could_not_write(error, open_sinks) from None
            raise
        finally:
            for sink in open_sinks:
                sink.abandon()
            self._close()
        return self.summary

    def _about(self, found: Scope) -> None:
        self.summary.run = found.run.id if found.run else None
        self.summary.endpoint = found.endpoint.name
        self.summary.listings_unfinished = found.unfinished
        self.summary.listings_failed = found.failed

    def _write(
        self,
        reader: JournalReader,
        found: Scope,
        sinks: list[Sink],
        on_progress: Callable[[ExportProgress], None],
    ) -> None:
        summary = self.summary
        tables = any(one.tables for one in self._to)

        def tick(pages: int) -> None:
            self._read += pages
            of = max(found.pages * (2 if found.unique else 1), self._read)
            seconds = time.monotonic() - self._began
            on_progress(ExportProgress(self._read, of, summary.rows, seconds))

        for chunk in chunks(reader, found, tick=tick):
            rows = Rows(chunk, self._conversions, tables=tables)
            for sink in sinks:
                sink.write(rows)
            summary.pages += len(chunk.pages)
            summary.rows += chunk.rows
            summary.rejects += chunk.rejects
            tick(len(chunk.pages))

    def _close(self) -> None:
        summary, seconds = self.summary, time.monotonic() - self._began
        summary.unread, summary.bounds = self._conversions.unread, self._conversions.bounds
        summary.seconds = round(seconds, 3)
        summary.rows_per_second = round(summary.rows / seconds, 1) if seconds else 0.0


def _stopped_by(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "signal"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk" if full else "error"


def _could_not_write(error: OSError, sinks: list[Sink]) -> ExportError:
    left = ", ".join(sink.to for sink in sinks) or "the destination"
    reason = error.strerror or type(error).__name__
    return ExportError(f"cannot write {left}: {reason}; what was there before still is")


def export_journal(
    path: str | Path,
    to: Iterable[str],
    selection: Selection | None = None,
    *,
    table: str | None = None,
    on_progress: Callable[[ExportProgress], None] = lambda _: None,
) -> ExportSummary:
    """Write what a journal holds to files and databases, reading it once.

    Works while a harvest writes to the journal. Needs the extra `export` for Parquet, CSV and
    DuckDB, and `postgres` for Postgres.

    Args:
        path: The journal.
        to: Destinations: paths ending in `.parquet`, `.csv`, `.jsonl`, `.jsonl.zst` or `.duckdb`,
            `postgresql://` URLs, `-` for JSON lines to standard output.
        selection: What of the journal is wanted; the latest run if left out.
        table: The table of every database among them; else `?table=` of its URL, else `items`.
        on_progress: Called after every few thousand rows.

    Returns:
        What was done.

    Raises:
        ExportRefusedError: It cannot be done; nothing was written.
        ExportError: A destination failed; it is as it was before.
        JournalError: The journal cannot be read.
    """
    return Export(path, to, selection, table=table).run(on_progress)
