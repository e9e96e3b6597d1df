"""One export: reads a journal once and writes its rows to every destination."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tmapi_async.errors import ExportError, ExportRefusedError
from tmapi_async.errors.argument_checks import check_callable, check_path, check_type
from tmapi_async.errors.shown_value import show_value
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.verdict import Verdict

from .conversions import Conversions
from .destinations import Destination, parse_destinations
from .endpoint_choice import endpoint_named, refuse_detail_tables
from .over_time.gone_items import walked_listings
from .over_time.price_history import price_history
from .parallel.jobs import check_jobs
from .parallel.row_source import RowSource
from .selection import Scope, Selection, resolve
from .sinks import DestinationResult, KeepsHistory, MarksGone, Sink

_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO)
"""Errors of a file that may be over when the rows are there."""


class ExportProgress(msgspec.Struct, frozen=True):
    """Progress of an export.

    Attributes:
        pages: Pages read so far; for unique items, of both readings.
        of: Pages to read; an upper bound if `since` is given.
        rows: Rows written so far.
        seconds: Seconds since the export began.
    """

    pages: int
    of: int
    rows: int
    seconds: float

    def __str__(self) -> str:
        speed = self.rows / self.seconds if self.seconds else 0.0
        return (
            f"pages read: {self.pages:,} of {self.of:,}, rows written: {self.rows:,} "
            f"({speed:,.0f} per second), time: {self.seconds:.0f} s"
        )


class ExportSummary(msgspec.Struct, kw_only=True):
    """Result of an export.

    Attributes:
        journal: The journal.
        run: The run whose rows were exported, or None for several.
        runs: Runs of the exported listings.
        endpoint: Name of the endpoint whose rows were read; empty before it is known.
        listings_unfinished: Selected listings that were not walked to their end: more rows will
            come.
        listings_failed: Selected listings that failed: some of their pages are missing.
        listings_superseded: Selected listings with a later visit that is not finished; the rows of
            their latest finished visit were exported.
        listings_left_out: Listings of the same endpoint and categories that were not exported,
            because the run or the command does not contain them.
        pages: Pages whose rows were exported.
        rows: Rows written to each destination.
        rejects: Rows of these pages that the present models cannot decode; the journal keeps them.
        unread: Column -> number of values that are null although the API sent something. The text
            that was sent is in the column `..._text`.
        bounds: Column -> number of values that are not plain numbers (`"100000+"`). Their text is
            in the column `..._text` too.
        seconds: Duration of the export.
        rows_per_second: Rows written per second.
        stopped_by: None, `signal`, `disk` or `error`. If it is set, only the destinations in
            `destinations` were changed.
        destinations: Results of the completed destinations.
        listings_complete: Selected listings that were read to their end.
        listings_capped: Selected listings that ended at a ceiling or a maximum number of pages.
        listings_shifted: Selected listings walked in two sittings, between which rows came.
        listings_empty: Complete listings without any item.
        listings_contradicted: Complete listings with fewer different rows than their own total.
        suspects: Names of the first of those empty and contradicted listings.
        verdict: Kind of the verdict over the selected listings, such as "complete" or "capped".
    """

    journal: str
    run: int | None = None
    runs: list[int] = []
    endpoint: str = ""
    listings_unfinished: int = 0
    listings_failed: int = 0
    listings_superseded: int = 0
    listings_left_out: int = 0
    pages: int = 0
    rows: int = 0
    rejects: int = 0
    unread: dict[str, int] = {}
    bounds: dict[str, int] = {}
    seconds: float = 0.0
    rows_per_second: float = 0.0
    stopped_by: str | None = None
    destinations: list[DestinationResult] = []
    listings_complete: int = 0
    listings_capped: int = 0
    listings_shifted: int = 0
    listings_empty: int = 0
    listings_contradicted: int = 0
    suspects: tuple[str, ...] = ()
    verdict: str = ""


class Export:
    """A checked export, ready to run.

    Args:
        path: The journal.
        to: Destinations: paths, database URLs, `-`.
        selection: The part of the journal to export. By default the latest finished visit of each
            listing.
        table: Table of every database among the destinations, in place of their own.
        history: Also write the price history of the exported listings, over all their visits: to a
            file `NAME.history.ENDING` beside each file, to a table `NAME_history` in each database,
            to a sheet `history` of a workbook.
        csv_bom: True to begin each CSV file with a byte-order mark, for Excel.
        jobs: Number of processes that read and decode the journal; 1 for this process alone, None
            for two processes if the journal is large.

    Attributes:
        summary: Result so far.
        verdict: Verdict over the selected listings; over none before `run` has read them.

    Raises:
        ExportRefusedError: A destination cannot be used; nothing was read.
    """

    def __init__(
        self,
        path: str | Path,
        to: Iterable[str],
        selection: Selection | None = None,
        *,
        table: str | None = None,
        history: bool = False,
        csv_bom: bool = False,
        jobs: int | None = 1,
    ) -> None:
        check_path("path", path)
        check_type("selection", selection, Selection, "a Selection")
        check_type("table", table, str, "the name of a table")
        check_type("history", history, bool, "True or False")
        _check_destinations(to)
        self._path = Path(path).expanduser()
        self._selection = selection or Selection()
        check_jobs(jobs)
        self._history, self._jobs = history, jobs
        if history and self._selection.endpoint is not None:
            refuse_detail_tables(endpoint_named(self._selection.endpoint), "--history")
        if history and (self._selection.since or self._selection.run is not None):
            raise ExportRefusedError(
                "--history covers all visits of the exported listings: remove --run and --since"
            )
        self._to: list[Destination] = parse_destinations(
            to, table=table, journal=self._path, history=history, csv_bom=csv_bom
        )
        self._conversions = Conversions()
        self._scope: Scope | None = None
        self._started_at = time.monotonic()
        self._pages_read = 0
        self.verdict = Verdict()
        self.summary = ExportSummary(journal=str(self._path))

    @property
    def run_read(self) -> str:
        """The run or runs that are read, for a message; empty before `run` is called."""
        return self._scope.description if self._scope else ""

    def check_destinations(self, endpoint: str) -> None:
        """Open every destination without rows, and leave it as it was.

        Args:
            endpoint: Short or full name of the endpoint whose rows will be written.

        Raises:
            ExportRefusedError: A table or a database does not fit the rows, or a file may not be
                written.
            ExportError: A database or a store cannot be reached, a database is locked, or the disk
                is full.
        """
        for destination in self._to:
            try:
                destination.check(endpoint_named(endpoint), history=self._history)
            except OSError as error:
                kind = ExportError if error.errno in _PASSING else ExportRefusedError
                raise kind(_write_message(error, str(destination.path))) from None

    def run(self, on_progress: Callable[[ExportProgress], None] = lambda _: None) -> ExportSummary:
        """Read the journal and write every destination.

        Args:
            on_progress: Called after every few thousand rows.

        Returns:
            The result. `summary` has the same values, also after an exception.

        Raises:
            JournalError: The journal cannot be read.
            ExportRefusedError: The journal has no such rows, or a table does not fit them.
            ExportError: A destination failed; those not in `summary.destinations` are unchanged.
        """
        self._started_at = time.monotonic()
        open_sinks: list[Sink] = []
        try:
            with JournalReader(self._path) as reader:
                self._scope = resolve(reader, self._selection)
                self._describe(self._scope, running=reader.writer is not None)
                for destination in self._to:
                    open_sinks.append(destination.open(self._scope.endpoint))  # noqa: PERF401 - if one fails, those opened before must be in the list
                self._write(reader, self._scope, open_sinks, on_progress)
                self._mark_gone(reader, self._scope, open_sinks)
                if self._history:
                    self._write_history(reader, self._scope, open_sinks)
            while open_sinks:
                self.summary.destinations.append(open_sinks[0].commit())
                del open_sinks[0]
        except BaseException as error:
            self.summary.stopped_by = _stop_reason(error)
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                raise _write_error(error, open_sinks) from None
            raise
        finally:
            for sink in open_sinks:
                sink.abort()
            self._end()
        return self.summary

    def _describe(self, scope: Scope, *, running: bool) -> None:
        summary, tally = self.summary, scope.tally
        self.verdict = Verdict.of(tally, running=running)
        summary.verdict = self.verdict.kind
        summary.runs = list(scope.runs)
        summary.run = scope.runs[0] if len(scope.runs) == 1 else None
        summary.endpoint = scope.endpoint.name
        summary.listings_unfinished, summary.listings_failed = tally.left, tally.failed
        summary.listings_complete, summary.listings_capped = tally.complete, tally.capped
        summary.listings_shifted, summary.listings_empty = tally.shifted, tally.empty
        summary.listings_contradicted, summary.suspects = tally.contradicted, tally.suspects
        summary.listings_superseded = scope.superseded
        summary.listings_left_out = scope.left_out

    def _write(
        self,
        reader: JournalReader,
        scope: Scope,
        sinks: list[Sink],
        on_progress: Callable[[ExportProgress], None],
    ) -> None:
        summary = self.summary

        def on_pages(pages: int) -> None:
            self._pages_read += pages
            total = max(scope.pages * (2 if scope.unique else 1), self._pages_read)
            seconds = time.monotonic() - self._started_at
            on_progress(ExportProgress(self._pages_read, total, summary.rows, seconds))

        source = RowSource(
            reader,
            scope,
            self._conversions,
            batches=any(destination.reads_arrow for destination in self._to),
            lines=not all(destination.reads_arrow for destination in self._to),
        )
        for rows in source.rows(self._jobs, on_pages):
            for sink in sinks:
                sink.write(rows)
            summary.pages += rows.pages
            summary.rows += rows.count
            summary.rejects += rows.rejects
            on_pages(rows.pages)

    def _mark_gone(self, reader: JournalReader, scope: Scope, sinks: list[Sink]) -> None:
        tables = [sink for sink in sinks if isinstance(sink, MarksGone)]
        # Rows since a time, or one row for each item, do not show all items of any listing.
        if tables and not (scope.since or scope.unique):
            walked = walked_listings(reader, scope)
            for table in tables:
                table.mark_gone(walked)

    def _write_history(self, reader: JournalReader, scope: Scope, sinks: list[Sink]) -> None:
        writers = [sink.write_history for sink in sinks if isinstance(sink, KeepsHistory)]
        for destination in self._to:
            file = destination.open_history(scope.endpoint)
            if file is not None:
                sinks.append(file)
                writers.append(file.write)
        for rows in price_history(reader, scope):
            for write in writers:
                write(rows)

    def _end(self) -> None:
        summary, seconds = self.summary, time.monotonic() - self._started_at
        summary.unread, summary.bounds = self._conversions.unread, self._conversions.bounds
        summary.seconds = round(seconds, 3)
        summary.rows_per_second = round(summary.rows / seconds, 1) if seconds else 0.0


def _stop_reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "signal"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk" if full else "error"


def _write_error(error: OSError, sinks: list[Sink]) -> ExportError:
    names = ", ".join(sink.to for sink in sinks) or "the destination"
    return ExportError(_write_message(error, names))


def _write_message(error: OSError, names: str) -> str:
    reason = error.strerror or type(error).__name__
    return f"cannot write {names}: {reason}; nothing there was changed"


def _check_destinations(to: Iterable[str]) -> None:
    is_list = isinstance(to, Iterable) and not isinstance(to, str | bytes)
    if not is_list or (
        isinstance(to, list | tuple) and not all(isinstance(one, str) for one in to)
    ):
        raise ExportRefusedError(
            f"to must be a list of destinations such as ['items.parquet'], not {show_value(to)}"
        )


def export_journal(
    path: str | Path,
    to: Iterable[str],
    selection: Selection | None = None,
    *,
    table: str | None = None,
    history: bool = False,
    csv_bom: bool = False,
    jobs: int | None = 1,
    on_progress: Callable[[ExportProgress], None] = lambda _: None,
) -> ExportSummary:
    """Write the items of a journal to files and databases, reading the journal once.

    Works while a harvest writes to the journal. Needs the extra `export` for Parquet, CSV and
    DuckDB and SQLite, `postgres` for Postgres, `xlsx` for Excel and `s3` for object stores.

    Args:
        path: The journal.
        to: Destinations: paths ending in `.parquet`, `.csv`, `.jsonl`, `.jsonl.zst`, `.xlsx`,
            `.sqlite` or `.duckdb`, `postgresql://` URLs, objects such as `s3://BUCKET/NAME.csv`,
            `-` for JSON lines to standard output.
        selection: The part of the journal to export. By default the latest finished visit of each
            listing.
        table: Table of every database among them; by default `?table=` of its URL, else `items`.
        history: Also write the price history of the exported listings; see `Export`.
        csv_bom: True to begin each CSV file with a byte-order mark, by which Excel knows UTF-8.
        jobs: Number of processes that read and decode the journal; see `Export`.
        on_progress: Called after every few thousand rows.

    Returns:
        The result.

    Raises:
        ExportRefusedError: The export is not possible; nothing was written.
        ExportError: A destination failed and is unchanged.
        JournalError: The journal cannot be read.
    """
    check_callable("on_progress", on_progress)
    export = Export(path, to, selection, table=table, history=history, csv_bom=csv_bom, jobs=jobs)
    return export.run(on_progress)
