"""`tmapi items`: prints items as JSON lines to standard output; keeps no state."""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from collections import Counter
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
import typer

from tmapi_async.api.rows import json_lines
from tmapi_async.cli.console import (
    print_error_json,
    print_message,
    print_verdict,
)
from tmapi_async.cli.endings.summary_lines import print_summary
from tmapi_async.cli.exit_codes import OK, PARTIAL
from tmapi_async.cli.options.cache_options import CacheOptions
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.options.job_merge import merge_job_file, print_repeated
from tmapi_async.cli.options.listing_options import ListingOptions
from tmapi_async.cli.options.listing_sets import ListingSet
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import OutputOptions
from tmapi_async.cli.options.split_options import (
    SplitOptions,
    print_endpoint_change,
    print_reconciliation,
)
from tmapi_async.cli.output import ReaderGoneError, RowOutput
from tmapi_async.cli.progress.progress_line import show_progress
from tmapi_async.cli.runner import handle_signal, open_client, run
from tmapi_async.cli.summary import StoppedBy, Summary, stopped_by
from tmapi_async.client.client import TMAPI
from tmapi_async.client.walk import Walk
from tmapi_async.crawl.outcomes import Ending, ListingOutcome
from tmapi_async.errors import InvalidRequestError, TMAPIError
from tmapi_async.errors.quantities import quantity
from tmapi_async.errors.shown_value import show_value
from tmapi_async.journal.records import Totals
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.summaries.verdict import CAPPED_NOTE, Kind

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("endpoint", "keyword", "max_pages", "max_requests", "json", "sandbox")
EXAMPLES = (
    "tmapi items 1031910 --max-pages 1 > items.jsonl",
    "tmapi items --endpoint search --keyword shoes --max-pages 1",
    "tmapi items @cats.txt --free-shipping --max-requests 50 --json",
)

_MAX_NOTICES = 20
_MISSING = "Some items are missing: to get all of them, run the command again"
_SHIFTED_NOTE = (
    "Some pages came from the cache and others are new, so rows that moved meanwhile may be "
    "missing: to read all pages anew, run the same command with --max-age 0."
)
_NOTES: dict[Kind, str] = {
    "incomplete": _MISSING,
    "capped": CAPPED_NOTE,
    "shifted": _SHIFTED_NOTE,
}


class ItemsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi items`.

    Attributes:
        listings: Listings to fetch.
        unique: Leave out items that their listing has already shown.
        most_rejects: Share of a listing's rows that may be rejects.
        split: Treatment of listings that the API cuts short.
        cache_options: Cache of pages.
        connection: Account, server and limits.
        output: Progress and summary.
    """

    listings: ListingOptions
    unique: Annotated[
        bool,
        typer.Option(
            "--unique/--no-unique",
            help="Leave out items that the same listing has already shown.",
        ),
    ] = False
    most_rejects: Annotated[
        float,
        typer.Option(
            "--most-rejects",
            metavar="SHARE",
            help="Maximum share, from 0 to 1, of a listing's rows that cannot be read. A listing"
            " above it counts as failed.",
        ),
    ] = 0.5
    split: SplitOptions
    cache_options: CacheOptions
    connection: ConnectionOptions
    output: OutputOptions

    def check(self) -> None:
        """Check the options before anything is sent.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        self.listings.check()
        self.split.check(max_pages=self.listings.max_pages)
        self.cache_options.check()
        self.connection.check()
        if not 0 <= self.most_rejects <= 1:
            raise InvalidRequestError(
                f"--most-rejects must be a share from 0 to 1, not {show_value(self.most_rejects)}"
            )


# An ID below 0 looks like an option; `read_ids` tells the two apart.
@app.command("items", context_settings={"ignore_unknown_options": True})
@takes_struct
def items(context: typer.Context, options: ItemsOptions) -> None:
    """Print every item of the listings as JSON lines.

    The command stores nothing.
    For long jobs that must survive an interruption, use tmapi harvest.
    """
    options.output.set_up_logging()
    options, listings = merge_job_file(context, options, options.listings, "items")
    options.output.set_up_logging()  # again, since the job file may have changed it
    options.check()
    if not options.output.quiet:
        print_repeated(listings, options.listings)
    options.split.sample_requests(listings)  # refuses listings that cannot be divided
    raise typer.Exit(run_items(options, listings))


def run_items(options: ItemsOptions, listings: ListingSet) -> int:
    """Print the items of the listings and return the exit code."""

    async def print_all() -> int:
        return await _ItemStream(options, listings).run()

    return run(print_all())


class _ItemStream:
    """One run of the command."""

    def __init__(self, options: ItemsOptions, listings: ListingSet) -> None:
        self._options = options
        self._listings = listings
        self._rows = RowOutput()
        self._started = time.monotonic()
        self._notices = 0
        self._rejected: Counter[Ending] = Counter()
        self._tally = RunTally()  # of complete listings
        self._walk: Walk[Any] | None = None
        self._api: TMAPI | None = None
        self._stopped_by: StoppedBy | None = None
        self._reader_gone = False
        self._rows_lost = False

    async def run(self) -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a running coroutine belongs to a task

        def interrupt() -> None:
            self._stopped_by = "signal"
            task.cancel()

        async with handle_signal(interrupt):
            try:
                await self._print_items()
            except asyncio.CancelledError:
                if self._stopped_by != "signal":
                    raise
            except ReaderGoneError:
                self._reader_gone = True
                self._rows.discard()
            except TMAPIError as error:
                if isinstance(error, InvalidRequestError) and self._walk is None:
                    raise  # the cache cannot be opened; nothing was sent
                self._stopped_by = stopped_by(error)
                if error.halts or not error.listing:
                    print_message(str(error))
            except OSError as error:
                self._report_write_error(error)
        return self._finish()

    async def _print_items(self) -> None:
        options = self._options
        terminal = sys.stdout.isatty() and sys.stderr.isatty()
        if options.split.split:
            print_endpoint_change(self._listings)
        async with open_client(options.connection, options.cache_options) as self._api:
            self._walk = self._api.walk(
                self._listings,
                max_pages=options.listings.max_pages,
                unique=options.unique,
                on_end=self._report_listing,
                split=options.split.split_setting(quiet=options.output.quiet),
            )
            async with (
                self._walk,
                show_progress(self._progress_line, shown=not options.output.quiet and not terminal),
                aclosing(self._walk.pages()) as pages,
            ):
                async for page in pages:
                    for reject in page.rejects:
                        self._notify(f"{page.request} row {reject.position}: {reject.reason}")
                    await self._rows.write(json_lines(page))

    def _report_listing(self, outcome: ListingOutcome) -> None:
        rows = outcome.items + outcome.rejects
        if (
            outcome.ending in ("complete", "capped")
            and outcome.rejects > self._options.most_rejects * rows
        ):
            self._rejected[outcome.ending] += 1
            self._notify(
                f"failed: {outcome.listing}: {outcome.rejects:,} of {quantity(rows, 'row')} cannot "
                "be decoded, more than --most-rejects allows"
            )
        elif outcome.ending == "failed" and outcome.error is not None:
            self._notify(f"failed: {outcome.error}")
        elif outcome.ending == "shifted":
            self._notify(f"{outcome.listing}: {outcome.shifted}")
        elif outcome.ending == "complete":
            self._count_doubt(outcome)
        elif outcome.ending == "capped":
            reason = "the listing has more pages than --max-pages allows"
            if self._options.listings.max_pages is None:
                advice = self._options.split.advice(outcome.listing)
                reason = f"the API shows no more of this listing{advice}"
            self._notify(
                f"capped: {outcome.listing} ended after {quantity(outcome.pages, 'page')}, "
                f"{quantity(outcome.items, 'item')}: {reason}"
            )

    def _count_doubt(self, outcome: ListingOutcome) -> None:
        figures = (outcome.pages, outcome.items, outcome.unique, outcome.rejects)
        self._tally.add_listing(outcome.listing, "complete", Totals(*figures, 0, outcome.total))

    def _notify(self, text: str) -> None:
        self._notices += 1
        if self._notices <= _MAX_NOTICES:
            print_message(text)
        elif self._notices == _MAX_NOTICES + 1:
            print_message("further messages of this kind are left out; the summary counts them")

    def _report_write_error(self, error: OSError) -> None:
        self._rows_lost = True
        advice = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._stopped_by = "disk"
            advice = ". Free some disk space, then run the same command again"
        print_message(
            f"cannot write the items: {error.strerror}; the last line may be incomplete{advice}"
        )

    def _progress_line(self) -> str:
        assert self._walk is not None and self._api is not None  # noqa: S101, PT018 - set before
        statistics, gate = self._walk.statistics(), self._api.statistics()
        ended = statistics.complete + statistics.capped + statistics.shifted + statistics.failed
        outage = self._api.core.session.outages.report()
        return (
            f"{f'waiting: {outage}; ' if outage else ''}"
            f"{ended:,}/{quantity(len(self._listings), 'listing')}, "
            f"{quantity(statistics.pages, 'page')}, {quantity(statistics.items, 'item')}, "
            f"{quantity(statistics.requests, 'request')}, "
            f"{statistics.codes.get('503', 0):,} x 503, gate {gate.in_flight}/{gate.width}, "
            f"{time.monotonic() - self._started:.0f} s"
        )

    def _finish(self) -> int:
        """Print the summary and return the exit code that agrees with it."""
        if self._walk is None:
            if self._stopped_by == "signal":
                print_message("interrupted; nothing was sent")
            return PARTIAL
        summary = Summary.from_walk(
            self._walk.statistics(),
            listings=len(self._listings),
            seconds=time.monotonic() - self._started,
            stopped_by=self._stopped_by,
        )
        summary = msgspec.structs.replace(
            summary,
            complete=summary.complete - self._rejected["complete"],
            capped=summary.capped - self._rejected["capped"],
            failed=summary.failed + self._rejected.total(),
            empty=self._tally.empty,
            contradicted=self._tally.contradicted,
            suspects=self._tally.suspects,
        )
        code = summary.exit_code(fail_empty=self._options.listings.fail_empty)
        code = max(code, PARTIAL if self._rows_lost else OK)
        if not self._options.output.quiet and not self._reader_gone:
            for reconciliation in self._walk.reconciliations:
                print_reconciliation(reconciliation)
            print_summary(summary, code)
            print_verdict(self._verdict_line(summary), summary.judge().kind)
        if self._options.output.json:
            print_error_json(summary.json())
        return code

    def _verdict_line(self, summary: Summary) -> str:
        verdict = summary.judge()
        if self._rows_lost and verdict.kind != "incomplete":
            return f"NOT COMPLETE: the items could not be written. {_MISSING}"
        return verdict.sentence(_NOTES)
