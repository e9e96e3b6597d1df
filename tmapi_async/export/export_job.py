"""One export: reads a journal once and writes its rows to every destination."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tmapi_async.errors import ExportError, ExportRefusedError
from tmapi_async.errors.argument_checks import check_callable, check_path, check_type
from tmapi_async.errors.shown_value import show_value
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.verdict import Verdict

from .conversions import Conversions
from .destinations import Destination, check_room, parse_destinations
from .endpoint_choice import ALL, check_several, endpoint_named, require_products, table_name
from .over_time.gone_items import walked_listings
from .over_time.price_history import price_history
from .parallel.jobs import check_jobs
from .parallel.row_source import RowSource
from .results.export_summary import ExportProgress, ExportSummary
from .selection import Scope, Selection, describe_runs, resolve_endpoints
from .sinks import HoldsTables, KeepsHistory, MarksGone, Sink

_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO)
"""Errors of a file that may be over when the rows are there."""


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
        endpoints: Names of endpoints, each of which gets a table of its own in every destination
            (`"item-skus"`); `"all"` stands for every endpoint of the journal and for the elements
            of its details. Empty for the one endpoint of the selection.

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
        endpoints: Sequence[str] = (),
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
        self._endpoints = self._read_endpoints(endpoints)
        several = ALL in self._endpoints or len(self._endpoints) > 1
        if history and several:
            raise ExportRefusedError("--history is of one endpoint: export one at a time")
        if history and self._selection.endpoint is not None:
            require_products(endpoint_named(self._selection.endpoint), "--history")
        if history and (self._selection.since or self._selection.run is not None):
            raise ExportRefusedError(
                "--history covers all visits of the exported listings: remove --run and --since"
            )
        self._to: list[Destination] = parse_destinations(
            to, table=table, journal=self._path, history=history, csv_bom=csv_bom
        )
        if several:
            check_room(self._to)
        self._conversions = Conversions()
        self._scopes: list[Scope] = []
        self._started_at = time.monotonic()
        self._pages_read = 0
        self.verdict = Verdict()
        self.summary = ExportSummary(journal=str(self._path))

    @property
    def run_read(self) -> str:
        """The run or runs that are read, for a message; empty before `run` is called."""
        return describe_runs(self.summary.runs) if self._scopes else ""

    def _read_endpoints(self, endpoints: Sequence[str]) -> tuple[str, ...]:
        is_list = isinstance(endpoints, list | tuple)
        if not is_list or not all(isinstance(name, str) for name in endpoints):
            raise ExportRefusedError(
                f"endpoints must be a list of names such as ['item-skus'], not "
                f"{show_value(endpoints)}"
            )
        if endpoints and self._selection.endpoint is not None:
            raise ExportRefusedError(
                "endpoints cannot be combined with an endpoint of the selection"
            )
        check_several(endpoints, unique=self._selection.unique)
        return tuple(endpoints)

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
                self._scopes = resolve_endpoints(reader, self._selection, self._endpoints)
                running = reader.writer is not None
                self.verdict = self.summary.describe(self._scopes, running=running)
                sinks: list[Sink] = []
                for scope in self._scopes:
                    sinks = self._open_tables(scope, sinks, open_sinks)
                    self._write(reader, scope, sinks, on_progress)
                    self._mark_gone(reader, scope, sinks)
                if self._history:
                    self._write_history(reader, self._scopes[0], open_sinks)
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

    def _open_tables(
        self, scope: Scope, previous: list[Sink], open_sinks: list[Sink]
    ) -> list[Sink]:
        """Open a table in each destination.

        Args:
            scope: The rows to write.
            previous: Sinks of the endpoint before, one for each destination; empty for the first.
            open_sinks: All sinks, which this method adds to as soon as one is open.
        """
        if len(self._scopes) == 1:
            table = None
        else:
            table = table_name(scope.endpoint, [one.endpoint for one in self._scopes])
        sinks: list[Sink] = []
        for number, destination in enumerate(self._to):
            sink = previous[number] if previous else None
            if table is not None and isinstance(sink, HoldsTables):
                sink.begin_table(scope.endpoint, table)
            else:
                sink = destination.open(scope.endpoint, table)
                open_sinks.append(sink)
            sinks.append(sink)
        return sinks

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
            pages_to_read = sum(one.pages for one in self._scopes) * (2 if scope.unique else 1)
            total = max(pages_to_read, self._pages_read)
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
    endpoints: Sequence[str] = (),
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
        table: Table of every database among them; by default `?table=` of its URL, else `items` for
            products of listings, and the name of the endpoint for anything else (`item_skus`).
        history: Also write the price history of the exported listings; see `Export`.
        csv_bom: True to begin each CSV file with a byte-order mark, by which Excel knows UTF-8.
        jobs: Number of processes that read and decode the journal; see `Export`.
        endpoints: Endpoints that get a table each in every destination, or `["all"]`; see `Export`.
        on_progress: Called after every few thousand rows.

    Returns:
        The result.

    Raises:
        ExportRefusedError: The export is not possible; nothing was written.
        ExportError: A destination failed and is unchanged.
        JournalError: The journal cannot be read.
    """
    check_callable("on_progress", on_progress)
    export = Export(
        path,
        to,
        selection,
        table=table,
        history=history,
        csv_bom=csv_bom,
        jobs=jobs,
        endpoints=endpoints,
    )
    return export.run(on_progress)
