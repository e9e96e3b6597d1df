"""Options that read listings which the API cuts short, and the messages about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.listings import USUAL_CEILING, Listing
from tmapi_async.cli.console import print_message
from tmapi_async.crawl.splitting import Expectation, Reconciliation, splittable_listing
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import InvalidRequestError

from .listing_sets import ListingSet

_PANEL = "Listings that the API cuts short"


class SplitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options about listings that the API cuts at its result ceiling.

    Attributes:
        split: Divide such a listing by price until every part fits.
        ceiling: Rows after which the API cuts a listing, or None for the usual number.
    """

    split: Annotated[
        bool,
        typer.Option(
            "--split/--no-split",
            help="Divide a listing that the API cuts short into parts that fit, and read all of"
            " them.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    ceiling: Annotated[
        int | None,
        typer.Option(
            "--ceiling",
            help="Number of rows after which the API cuts a listing short. Default:"
            f" {USUAL_CEILING:,}. Only with --split.",
            rich_help_panel=_PANEL,
            metavar="N",
            show_default=False,
        ),
    ] = None

    def check(self, *, max_pages: int | None) -> None:
        """Check the options before anything is sent.

        Args:
            max_pages: Value of `--max-pages`.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        if self.ceiling is not None and not self.split:
            raise InvalidRequestError("--ceiling works only together with --split: add --split")
        if self.ceiling is not None and self.ceiling < 1:
            raise InvalidRequestError(f"--ceiling must be at least 1, not {self.ceiling}")
        if self.split and max_pages is not None:
            raise InvalidRequestError("--split reads listings to their end: remove --max-pages")

    def sample_requests(self, listings: ListingSet) -> list[Listing]:
        """Return one listing for each endpoint and set of filters, as it is sent to the API.

        Raises:
            InvalidRequestError: `split` is on and one of them cannot be divided.
        """
        samples = listings.samples()
        return list(map(splittable_listing, samples)) if self.split else samples

    def split_setting(self, *, quiet: bool) -> Split | bool:
        """Return the client's `split` argument.

        Args:
            quiet: Print no expected costs.
        """
        if not self.split:
            return False
        return Split(
            ceiling=self.ceiling or USUAL_CEILING, on_expect=None if quiet else _print_expectation
        )

    def advice(self, listing: Listing) -> str:
        """Return how to read a listing past its ceiling, or "" if that is not possible."""
        try:
            splittable_listing(listing)
        except InvalidRequestError:
            return ""
        return "" if self.split else "; add --split to read the rest"


def print_endpoint_change(listings: Iterable[Listing]) -> None:
    """Tell the user if `--split` requests another endpoint than the one that was named."""
    if any(listing.endpoint == CATEGORY_ITEMS.name for listing in listings):
        print_message(
            "--split needs price filters and a total, which category/items does not have: using "
            "category/items/v2 instead"
        )


def _print_expectation(listing: Listing, expectation: Expectation) -> None:
    print_message(f"{listing} is past the ceiling: {expectation}")


def print_reconciliation(reconciliation: Reconciliation) -> None:
    """Print the result of a listing that was divided; nothing for one that fitted."""
    if reconciliation.divided or not reconciliation.complete:
        for line in str(reconciliation).splitlines():
            print_message(line)
