"""The options that go past the ceiling, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.listings import Listing
from tmapi_async.cli import console
from tmapi_async.crawl.outcomes import USUAL_CEILING
from tmapi_async.crawl.splitting import Expectation, Reconciliation, splittable_listing
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import InvalidRequestError

from .listing_options import ListingSet

_PANEL = "Past the ceiling"


class SplitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the commands that walk listings: how those that are cut short are divided."""

    split: Annotated[
        bool,
        typer.Option(
            "--split",
            help="Divide a listing that the API cuts short until every part of it fits.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    ceiling: Annotated[
        int | None,
        typer.Option(
            "--ceiling",
            help=f"Rows after which the API cuts a listing short ({USUAL_CEILING}).",
            rich_help_panel=_PANEL,
            metavar="N",
            show_default=False,
        ),
    ] = None

    def check(self, *, max_pages: int | None) -> None:
        """Refuse what makes no sense.

        Raises:
            InvalidRequestError: The message says which and why.
        """
        if self.ceiling is not None and not self.split:
            raise InvalidRequestError("--ceiling is for --split")
        if self.ceiling is not None and self.ceiling < 1:
            raise InvalidRequestError(f"--ceiling must be at least 1, not {self.ceiling}")
        if self.split and max_pages is not None:
            raise InvalidRequestError("--split walks all of a listing: leave out --max-pages")

    def checked(self, wanted: ListingSet) -> ListingSet:
        """The listings, none of which is such that it cannot be divided if that is asked.

        Raises:
            InvalidRequestError: One is; the message says why.
        """
        self.asked(wanted)
        return wanted

    def asked(self, wanted: ListingSet) -> list[Listing]:
        """Of each endpoint and its filters a listing as it is asked for in the end."""
        samples = wanted.samples()
        return list(map(splittable_listing, samples)) if self.split else samples

    def chosen(self, *, quiet: bool) -> Split | bool:
        """What the client is asked for."""
        if not self.split:
            return False
        return Split(
            ceiling=self.ceiling or USUAL_CEILING, on_expect=None if quiet else _tell_expected
        )

    def advice(self, listing: Listing) -> str:
        """What to do about a listing that the API has cut short; "" where nothing helps."""
        try:
            splittable_listing(listing)
        except InvalidRequestError:
            return ""
        return "" if self.split else "; --split divides such a listing"


def tell_handed_over(listings: Iterable[Listing]) -> None:
    """Say so where a listing is asked of another endpoint than was named."""
    if any(listing.endpoint == CATEGORY_ITEMS.name for listing in listings):
        console.tell(
            "category/items tells neither prices to filter by nor a total: with --split, "
            "category/items/v2 is asked in its place"
        )


def _tell_expected(listing: Listing, expected: Expectation) -> None:
    console.tell(f"{listing} is past the ceiling: {expected}")


def tell_account(account: Reconciliation) -> None:
    """Say what came of a listing that was divided; nothing of one that fitted."""
    if account.divided or not account.complete:
        for line in str(account).splitlines():
            console.tell(line)
