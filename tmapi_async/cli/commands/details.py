"""`tmapi details`: more about each product that the listings of a journal show."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tmapi_async.api.endpoints import ITEM_ENDPOINTS
from tmapi_async.api.listings import parse_id
from tmapi_async.cli.completion.completed_values import complete_words
from tmapi_async.cli.console import print_json, print_message, print_refusal
from tmapi_async.cli.costs.details_cost import DetailsCost
from tmapi_async.cli.endings.notification import (
    NotifyOption,
    notification,
    run_and_notify,
)
from tmapi_async.cli.exit_codes import OK, USAGE
from tmapi_async.cli.options.cluster_options import ClusterOptions
from tmapi_async.cli.options.connection_options import SeveralAccountsOptions
from tmapi_async.cli.options.cost_options import CostOptions
from tmapi_async.cli.options.listing_options import ListingOptions
from tmapi_async.cli.options.listing_sets import ListingGroup, ListingSet
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import (
    CategoriesOption,
    DestinationOptions,
    JournalArgument,
    OutputOptions,
)
from tmapi_async.cli.options.renewal_options import OlderThanOption, RenewalOptions
from tmapi_async.cli.options.settings_in_force import with_settings
from tmapi_async.cli.options.split_options import SplitOptions
from tmapi_async.cli.signals import Interrupts
from tmapi_async.cli.summary import Summary
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.harvest import JournalReader
from tmapi_async.harvest.item_selection import ItemSelection, SelectedItems, select_items
from tmapi_async.journal.schema import check_access, provide_temporary_folder

from .harvest import HarvestCommand, HarvestOptions

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("endpoint", "cat", "top", "older_than", "dry_run", "to")
EXAMPLES = (
    "tmapi details shop.journal --dry-run",
    "tmapi details shop.journal --top 2",
    "tmapi details shop.journal --cat 1031910 --top 2 --older-than 7d",
)

_PANEL = "What to fetch"


class DetailsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi details`.

    Attributes:
        journal: Journal with the listings, which gets the details.
        endpoint: Short name of the endpoint to ask about each product.
        cat: Only products in listings of these categories; None for all.
        min_sales: Only products with so many pieces sold, or None.
        top: Only so many products, the best sellers, or None.
        older_than: Age above which details are fetched again, as typed.
        language: Language of the texts, or None for Chinese.
        province: Province to ship to, and so on, for the endpoint of shipping.
        total_quantity: Number of pieces to ship, or None.
        total_weight: Weight to ship, in kg, or None.
        sort: Sort order of the ratings, or None.
        max_pages: Maximum number of pages of ratings of a product, or None.
        dry_run: Print the cost and fetch nothing.
        destinations: Destinations that get the details at the end.
        connection: Account, server and limits.
        cluster: Processes that send the requests.
        notify: Command to run at the end, or None.
        output: Progress and summary.
    """

    journal: JournalArgument
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="NAME",
            help=f"Kind of detail: {', '.join(ITEM_ENDPOINTS)}.",
            rich_help_panel=_PANEL,
            autocompletion=complete_words(*ITEM_ENDPOINTS),
        ),
    ] = "item-detail"
    cat: CategoriesOption = None
    min_sales: Annotated[
        int | None,
        typer.Option(
            "--min-sales",
            metavar="N",
            help="Only products of which at least N pieces were sold.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="Only the N products of which the most pieces were sold.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    older_than: OlderThanOption = None
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="NAME",
            help="Language of the texts, such as en. Default: Chinese.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    province: Annotated[
        str | None,
        typer.Option(
            "--province",
            metavar="NAME",
            help="Province in China to ship to. Required for item-shipping.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    total_quantity: Annotated[
        int | None,
        typer.Option(
            "--total-quantity",
            metavar="N",
            help="Number of pieces to ship (item-shipping).",
            rich_help_panel=_PANEL,
        ),
    ] = None
    total_weight: Annotated[
        str | None,
        typer.Option(
            "--total-weight",
            metavar="KG",
            help="Weight to ship, in kg (item-shipping).",
            rich_help_panel=_PANEL,
        ),
    ] = None
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="NAME",
            help="Order of the ratings: default, latest (item-ratings).",
            rich_help_panel=_PANEL,
        ),
    ] = None
    max_pages: Annotated[
        int | None,
        typer.Option(
            "--max-pages",
            metavar="N",
            help="Maximum number of pages per product, of 10 ratings each (item-ratings).",
            rich_help_panel=_PANEL,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the number of requests that are needed, and send nothing.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    destinations: DestinationOptions
    connection: SeveralAccountsOptions
    cluster: ClusterOptions
    notify: NotifyOption = None
    output: OutputOptions

    def check(self) -> None:
        """Check the options before the journal is read.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        if self.endpoint not in ITEM_ENDPOINTS:
            similar = difflib.get_close_matches(self.endpoint, ITEM_ENDPOINTS, 1)
            hint = f" (did you mean {similar[0]}?)" if similar else ""
            raise InvalidRequestError(
                f"{show_value(self.endpoint)} is not an endpoint of one product{hint}: use one of "
                f"{', '.join(ITEM_ENDPOINTS)}"
            )
        for name, number in (("--min-sales", self.min_sales), ("--top", self.top)):
            if number is not None and number < 1:
                raise InvalidRequestError(f"{name} must be at least 1, not {number}")
        if self.max_pages is not None and not ITEM_ENDPOINTS[self.endpoint].paged:
            raise InvalidRequestError(
                f"{self.endpoint} has no pages: remove --max-pages, or use --endpoint item-ratings"
            )
        self.harvest_options().check(sending=not self.dry_run)
        self.listings([1])  # refuses parameters that the endpoint does not have, or lacks

    @property
    def selection(self) -> ItemSelection:
        """Rules that the products must meet."""
        cats = frozenset(parse_id(cat) for cat in self.cat or ())
        return ItemSelection(cats=cats, min_sales=self.min_sales, top=self.top)

    def listings(self, ids: Sequence[int]) -> ListingSet:
        """Return the listings of products: one request each, or one for each page of ratings."""
        endpoint = ITEM_ENDPOINTS[self.endpoint]
        params = self._listing_options().filter_params(endpoint)
        return ListingSet([ListingGroup(endpoint, params, {"item_id": ids})])

    def _listing_options(self) -> ListingOptions:
        return ListingOptions(
            endpoint=self.endpoint,
            language=self.language,
            province=self.province,
            total_quantity=self.total_quantity,
            total_weight=self.total_weight,
            sort=self.sort,
            max_pages=self.max_pages,
        )

    def harvest_options(self) -> HarvestOptions:
        """Return the options of the harvest that fetches the details."""
        return HarvestOptions(
            listings=self._listing_options(),
            journal=self.journal,
            destinations=self.destinations,
            renewal=RenewalOptions(older_than=self.older_than),
            split=SplitOptions(),
            cost=CostOptions(),
            connection=self.connection,
            cluster=self.cluster,
            notify=self.notify,
            output=self.output,
        )


@app.command("details")
@takes_struct
def details(context: typer.Context, options: DetailsOptions) -> None:
    """Fetch the details of the products that a journal's listings show.

    The details go into the same journal, best sellers first.
    One product is one request; for ratings, one for each page.
    Run the same command again to continue, and to try again what failed.
    """
    options.output.set_up_logging()
    options = with_settings(context, options, "details")
    options.output.set_up_logging()  # again, since a settings file may have changed it
    options.check()
    raise typer.Exit(run_details(options, sys.argv[1:]))


def run_details(options: DetailsOptions, arguments: list[str]) -> int:
    """Fetch the details and return the exit code.

    Args:
        options: Options, already checked.
        arguments: The command line, to be shown again.

    Raises:
        InvalidRequestError: The journal has no such products; nothing was sent.
    """
    return _DetailsCommand(options, arguments).run()


class _DetailsCommand:
    """One run of the command."""

    def __init__(self, options: DetailsOptions, arguments: list[str]) -> None:
        self._options = options
        self._arguments = arguments
        self._summary = Summary(listings=0)

    def run(self) -> int:
        options = self._options
        command = None
        if not options.dry_run:
            token = options.cluster.worker_token
            command = notification(options.notify, options.connection, token)
        return run_and_notify(self._run, command, lambda: self._summary)

    def _run(self) -> int:
        options = self._options
        provide_temporary_folder(Path(options.journal).expanduser().resolve().parent)
        try:
            with Interrupts(), JournalReader(options.journal) as reader:
                if not options.dry_run:
                    check_access(reader.path, writing=True)  # before the journal is read
                items = select_items(reader, options.selection)
                listings = options.listings(items.ids) if len(items.ids) else None
                cost = _cost(reader, options, items, listings)
        except JournalError as error:
            print_refusal(str(error))
            return USAGE
        if not options.output.quiet:
            paged = ITEM_ENDPOINTS[options.endpoint].paged and options.max_pages != 1
            for line in cost.lines(options.connection.max_requests, paged=paged):
                print_message(line)
        if options.dry_run:
            if not options.output.quiet:
                print_message("nothing was sent (--dry-run)")
            summary = msgspec.json.encode(cost).decode()
        elif listings is None:
            summary = self._summary.json()
        else:
            return self._fetch(listings)
        if options.output.json:
            print_json(summary)
        return OK

    def _fetch(self, listings: ListingSet) -> int:
        # The command of --notify is run once, by this class.
        options = msgspec.structs.replace(self._options.harvest_options(), notify=None)
        harvest = HarvestCommand(options, listings, self._arguments)
        try:
            return harvest.run()
        finally:
            self._summary = harvest.summary


def _cost(
    reader: JournalReader,
    options: DetailsOptions,
    items: SelectedItems,
    listings: ListingSet | None,
) -> DetailsCost:
    age = options.harvest_options().renewal.max_age
    renew_before = None if age is None else time.time() - age
    plan = reader.plan(listings or (), renew_before=renew_before, max_pages=options.max_pages)
    return DetailsCost(
        found=items.found,
        selected=len(items.ids),
        stored=len(plan.finished) + plan.renewed,
        renewed=plan.renewed,
        failed=sum(visit.state == "failed" for visit in plan.unfinished.known) + plan.failed_again,
        requests=len(plan.unfinished),
        unfinished=items.unfinished,
    )
