"""Checks of what a caller hands to a harvest. Nothing is sent before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tmapi_async.api.listings import Listing, check_listing
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import (
    Lookahead,
    check_above_zero,
    check_whole,
    read_lookahead,
)
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.argument_checks import check_path, check_type
from tmapi_async.errors.shown_value import show_value
from tmapi_async.harvest.cluster.token_source import TokenSource


def check_options(
    *,
    journal: str | Path,
    refresh: bool,
    older_than: float | None,
    max_pages: int | None,
    first_pages: bool,
    split: bool,
    lookahead: Lookahead | None,
    most_rejects: float,
    guard: GuardPolicy | None,
    host: str | None,
    tokens: TokenSource | None,
) -> None:
    """Check the options of a harvest; `Harvest` describes them.

    Raises:
        InvalidRequestError: An option has a wrong type or value.
    """
    check_path("journal", journal)
    check_type("refresh", refresh, bool, "True or False", optional=False)
    if older_than is not None:
        check_above_zero("older_than", older_than)
        if refresh:
            raise InvalidRequestError("older_than and refresh exclude each other: remove one")
    check_type("first_pages", first_pages, bool, "True or False", optional=False)
    if first_pages and (max_pages is not None or split):
        raise InvalidRequestError(
            "first_pages requests one page of each listing: remove max_pages and split"
        )
    check_type("guard", guard, GuardPolicy, "a GuardPolicy")
    check_type("host", host, str, "the name of a host")
    check_type("tokens", tokens, TokenSource, "a TokenSource")
    if max_pages is not None:
        check_whole("max_pages", max_pages)
    if lookahead is not None:
        read_lookahead(lookahead)
    is_number = isinstance(most_rejects, int | float) and not isinstance(most_rejects, bool)
    if not is_number or not 0 <= most_rejects <= 1:
        raise InvalidRequestError(
            f"most_rejects must be a share from 0 to 1, not {show_value(most_rejects)}"
        )


def read_clients(api: TMAPI | Sequence[TMAPI]) -> list[TMAPI]:
    """Return the clients of a harvest.

    Raises:
        InvalidRequestError: The value is neither a client nor a sequence of clients.
    """
    clients = list(api) if isinstance(api, Sequence) else [api]
    for client in clients:
        check_type("api", client, TMAPI, "a TMAPI or a list of them", optional=False)
    return clients


def read_listings(listings: Iterable[Listing]) -> Iterable[Listing]:
    """Return the listings of a harvest. Those of an iterator are checked when they are read.

    Raises:
        InvalidRequestError: The value is no iterable, or it contains something else.
    """
    if isinstance(listings, str | bytes | Listing) or not isinstance(listings, Iterable):
        raise InvalidRequestError(
            f"listings must be a list of listings, not {show_value(listings)}: make one with "
            "category_items(1031910) or describe(...), from tmapi_async"
        )
    checked = _CheckedListings(listings)
    if isinstance(listings, list | tuple | set | frozenset | dict):
        for _ in checked:
            pass
    return checked


class _CheckedListings:
    """Listings that are checked each time they are read.

    Attributes:
        distinct: True if they can be read again and again, and contain each listing once.
    """

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = listings
        self.distinct = bool(getattr(listings, "distinct", False))

    def __iter__(self) -> Iterator[Listing]:
        return map(check_listing, self._listings)
