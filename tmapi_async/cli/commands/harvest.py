"""`tmapi harvest`: the durable job."""

from __future__ import annotations

import logging
import shlex
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tmapi_async import __version__
from tmapi_async.cli.completion.completed_values import complete_journals
from tmapi_async.cli.concealing import command_to_continue, hide_passwords
from tmapi_async.cli.console import (
    log_event,
    print_error_json,
    print_json,
    print_message,
    print_refusal,
    print_verdict,
)
from tmapi_async.cli.cost_estimate import HarvestCost
from tmapi_async.cli.endings.harvest_ending import print_listings, summarize_harvest
from tmapi_async.cli.endings.notification import (
    NotifyOption,
    check_notify,
    notification,
    run_and_notify,
)
from tmapi_async.cli.endings.summary_lines import print_summary
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.options.cluster_options import ClusterOptions
from tmapi_async.cli.options.connection_options import ConnectionOptions, SeveralAccountsOptions
from tmapi_async.cli.options.cost_options import CostOptions
from tmapi_async.cli.options.job_merge import merge_job_file, print_repeated
from tmapi_async.cli.options.listing_options import ListingOptions
from tmapi_async.cli.options.listing_sets import ListingSet
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import DestinationOptions, OutputOptions
from tmapi_async.cli.options.renewal_options import RenewalOptions
from tmapi_async.cli.options.split_options import (
    SplitOptions,
    print_endpoint_change,
    print_reconciliation,
)
from tmapi_async.cli.progress.interruptible import run_interruptibly
from tmapi_async.cli.runner import open_clients, run
from tmapi_async.cli.summary import Summary
from tmapi_async.client.client import TMAPI
from tmapi_async.errors import (
    BudgetSpentError,
    DiskError,
    ExportError,
    InvalidRequestError,
    MovedJournalError,
    TMAPIError,
)
from tmapi_async.errors.quantities import quantity
from tmapi_async.errors.shown_value import show_value
from tmapi_async.harvest import Harvest, HarvestResult, JournalError
from tmapi_async.journal.schema import provide_temporary_folder
from tmapi_async.journal.summaries.verdict import SHIFTED_NOTE, Kind

from .export import ExportOptions, run_export

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("journal", "endpoint", "to", "refresh", "estimate", "max_requests")
EXAMPLES = (
    "tmapi harvest 1031910 2806778 --journal shop.journal",
    "tmapi harvest 1031910 --journal shop.journal --refresh --to items.csv",
    "tmapi harvest @cats.txt --endpoint category-v2 --journal v2.journal --estimate",
)


class HarvestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi harvest`.

    Attributes:
        listings: Listings to fetch.
        journal: Journal file; required, and checked after the job file is read.
        destinations: Destinations that get the listings when the harvest has ended.
        renewal: Treatment of listings that are finished.
        most_rejects: Maximum share of a page's rows that may be rejects.
        split: Treatment of listings that the API cuts short.
        cost: Treatment of the expected cost.
        connection: Account, server and limits.
        cluster: Processes that send the requests.
        notify: Command to run at the end, or None.
        output: Progress and summary.
    """

    listings: ListingOptions
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="File that stores every page; created if it does not exist. Required.",
            show_default=False,
            autocompletion=complete_journals,
        ),
    ] = None
    destinations: DestinationOptions
    renewal: RenewalOptions
    most_rejects: Annotated[
        float,
        typer.Option(
            "--most-rejects",
            metavar="SHARE",
            help="Maximum share, from 0 to 1, of rows on a page (of 10 rows or more) that cannot be"
            " read. A page above it makes its listing fail.",
        ),
    ] = 0.5
    split: SplitOptions
    cost: CostOptions
    connection: SeveralAccountsOptions
    cluster: ClusterOptions
    notify: NotifyOption = None
    output: OutputOptions

    def check(self, *, sending: bool = True) -> None:
        """Check the options before anything is sent or started.

        Args:
            sending: False if nothing will be sent, so that no token is needed.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        self.listings.check()
        self.renewal.check()
        self.cost.check()
        if sending:
            self.connection.check(allow_several=True)
        self.cluster.check()
        self.split.check(max_pages=self.listings.max_pages)
        if self.split.split and self.cluster.enabled:
            raise InvalidRequestError(
                "--split works in one process only: remove --cluster, --workers"
            )
        self.destinations.check()
        check_notify(self.notify)
        if self.journal is None:
            raise InvalidRequestError("harvest needs --journal FILE, the file for the pages")
        if not 0 <= self.most_rejects <= 1:
            raise InvalidRequestError(
                f"--most-rejects must be a share from 0 to 1, not {show_value(self.most_rejects)}"
            )


# An ID below 0 looks like an option; `read_ids` tells the two apart.
@app.command("harvest", context_settings={"ignore_unknown_options": True})
@takes_struct
def harvest(context: typer.Context, options: HarvestOptions) -> None:
    """Fetch every page of the listings into a journal file.

    The journal survives any interruption.
    Run the same command again to continue.
    When everything is complete, the command sends nothing.
    """
    options.output.set_up_logging()
    options, listings = merge_job_file(context, options, options.listings, "harvest")
    options.output.set_up_logging()  # again, since the job file may have changed it
    options.check(sending=not options.cost.dry_run)
    if not options.output.quiet:
        print_repeated(listings, options.listings)
    options.split.sample_requests(listings)  # refuses listings that cannot be divided
    raise typer.Exit(HarvestCommand(options, listings, sys.argv[1:]).run())


class HarvestCommand:
    """One run of the command.

    Args:
        options: Options, already checked.
        listings: Listings to fetch.
        arguments: The command line, to be shown again.

    Attributes:
        summary: Summary of the harvest; until it has ended, that of one in which nothing was done.
    """

    def __init__(self, options: HarvestOptions, listings: ListingSet, arguments: list[str]) -> None:
        assert options.journal is not None  # noqa: S101 - the options were checked
        self._options = options
        self._listings = listings
        self._arguments = arguments
        self._journal = options.journal
        self._connection: ConnectionOptions = options.connection
        self._destinations = options.destinations.to or []
        self._quiet = options.output.quiet
        self.summary = Summary(listings=len(listings), stopped=len(listings))
        cost = options.cost
        self._notification = (
            None
            if cost.dry_run or cost.estimate
            else notification(options.notify, options.connection, options.cluster.worker_token)
        )

    def run(self) -> int:
        """Run the harvest, and the command of `--notify` at its end; return the exit code.

        Raises:
            InvalidRequestError: A destination is invalid; nothing was sent.
        """
        return run_and_notify(self._run, self._notification, lambda: self.summary)

    def _run(self) -> int:
        # Before the workers of a cluster start, which inherit the place.
        provide_temporary_folder(self._journal.expanduser().resolve().parent)
        try:
            self._check_destinations()
        except InvalidRequestError:
            raise
        except ExportError as error:
            print_message(f"{error}; nothing was sent: run the same command again")
            return PARTIAL
        if self._options.cost.enabled:
            code = self._settle_cost()
            if code is not None:
                return code

        async def harvest_all() -> int:
            try:
                result = await self._harvest()
            except DiskError as error:
                print_message(f"{error}; nothing was sent")
                return PARTIAL
            except JournalError as error:
                print_refusal(str(error))
                return USAGE
            return self._finish(result)

        return run(harvest_all())

    def _settle_cost(self) -> int | None:
        """Print the cost or ask about it. Return the exit code, or None to begin the harvest."""
        options = self._options
        plan = {
            "refresh": options.renewal.refresh,
            "older_than": options.renewal.max_age,
            "max_pages": options.listings.max_pages,
            "split": options.split.split_setting(quiet=True),
        }
        cost = HarvestCost(
            self._listings, self._journal, plan, options.connection, quiet=self._quiet
        )
        code = cost.settle(options.cost, json=options.output.json)
        try:
            self._connection = options.connection.after(cost.paid)
        except BudgetSpentError as error:
            print_message(str(error))
            return PARTIAL
        return code

    def _check_destinations(self) -> None:
        """Refuse invalid destinations, and those that cannot take the rows, before work."""
        if self._destinations:
            export = self._export_options().export()
            for endpoint in self._endpoints():
                export.check_destinations(endpoint)

    async def _harvest(self) -> HarvestResult:
        number = len(self._listings)
        text = f"harvest of {quantity(number, 'listing')} into {self._journal}"
        log_event("begin", text, listings=number, journal=str(self._journal), version=__version__)
        if self._options.split.split:
            print_endpoint_change(self._listings)
        async with (
            open_clients(self._connection) as clients,
            self._options.cluster.scheduler() as scheduler,
        ):
            return await run_interruptibly(self._job(clients, scheduler), shown=not self._quiet)

    def _job(self, clients: list[TMAPI], scheduler: str | None) -> Harvest:
        options = self._options
        return Harvest(
            clients,
            self._listings,
            journal=self._journal,
            refresh=options.renewal.refresh,
            older_than=options.renewal.max_age,
            max_pages=options.listings.max_pages,
            most_rejects=options.most_rejects,
            # Every sandbox has its own port; in the journal all of them are one host.
            host="sandbox" if options.connection.sandbox else None,
            cluster=scheduler,
            tokens=options.cluster.token_source(),
            split=options.split.split_setting(quiet=self._quiet),
        )

    def _finish(self, result: HarvestResult) -> int:
        """Print how the harvest ended and return the exit code that agrees with it."""
        summary = self.summary = summarize_harvest(result)
        if isinstance(result.error, TMAPIError):
            print_message(str(result.error), level=logging.ERROR)
        # The file that has the journal's name now, if any, says nothing about this harvest.
        moved = isinstance(result.error, MovedJournalError)
        if not self._quiet and not moved:
            print_listings(self._journal, result)
            for reconciliation in result.reconciliations:
                print_reconciliation(reconciliation)
        export_code = 0 if moved else self._export(result)
        code = summary.exit_code(fail_empty=self._options.listings.fail_empty) or export_code
        if not self._quiet:
            print_summary(summary, code)
            print_verdict(self._verdict_line(summary), summary.judge().kind)
        if self._options.output.json:
            write = print_error_json if "-" in self._destinations else print_json
            write(summary.json())
        return code

    def _endpoints(self) -> set[str]:
        samples = self._options.split.sample_requests(self._listings)
        return {listing.endpoint for listing in samples}

    def _export_options(self, endpoint: str | None = None) -> ExportOptions:
        """Return the export at the end: rows of one endpoint, since each has its own columns.

        Args:
            endpoint: The endpoint; None where the journal may not hold any rows of it yet.

        Raises:
            InvalidRequestError: The job has several endpoints.
        """
        endpoints = sorted(self._endpoints())
        if len(endpoints) > 1:
            raise InvalidRequestError(
                f"--to takes rows of one endpoint, and this job has {', '.join(endpoints)}: remove "
                "--to, and export them with tmapi export --endpoint NAME, or --endpoint all"
            )
        return ExportOptions(
            journal=self._journal,
            to=self._destinations,
            history=self._options.destinations.history,
            csv_bom=self._options.destinations.csv_bom,
            quiet=self._quiet,
            endpoint=None if endpoint is None else [endpoint],
        )

    def _export(self, result: HarvestResult) -> int:
        """Write the contents of the journal to the destinations and return the exit code."""
        if not self._destinations:
            return OK
        if result.stopped_by == "signal":
            print_message(
                f"interrupted before the export: to export, run tmapi export {self._journal} --to "
                f"{shlex.join(hide_passwords(self._destinations))}"
                f"{' --history' if self._options.destinations.history else ''}"
            )
            return OK
        if not result.visits:
            print_message("nothing was exported: the journal has none of these listings yet")
            return OK
        endpoint = min(self._endpoints(), default=None)
        return run_export(self._export_options(endpoint), result.visits)

    def _verdict_line(self, summary: Summary) -> str:
        """Return one line that cannot be misread."""
        verdict = summary.judge()
        if verdict.kind == "incomplete":
            command = command_to_continue(self._arguments)
            return verdict.sentence({"incomplete": f"To continue, run: {command}"})
        notes: dict[Kind, str] = {"capped": self._capped_reason(), "shifted": SHIFTED_NOTE}
        return f"{verdict.sentence(notes)} All pages are in {self._journal}"

    def _capped_reason(self) -> str:
        if self._options.listings.max_pages is not None:
            return "There may be more pages than --max-pages allows."
        advice = self._options.split.advice(next(iter(self._listings)))
        return f"There are more rows than the API shows{advice}."
