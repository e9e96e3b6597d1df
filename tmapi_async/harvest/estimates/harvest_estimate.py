"""Cost of a harvest, from the journal alone: nothing is sent and nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.listings import Listing
from tmapi_async.crawl.splitting import SplittableListings
from tmapi_async.crawl.splitting.driver import Split, read_split
from tmapi_async.errors import NoJournalError
from tmapi_async.errors.argument_checks import check_path
from tmapi_async.harvest.job_inputs import read_listings
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.records import Visit
from tmapi_async.journal.summaries.sizes import ListingSize
from tmapi_async.journal.views import StartInfo

from .estimate import Estimate, EstimateOptions, estimate_sizes
from .speed import overhead_of_starts, speed_of_starts


class JournalEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Estimate of a harvest, and what its journal says in addition.

    Attributes:
        estimate: Expected cost.
        unasked: Listings whose first page would tell how many rows they have. To request these
            pages, harvest the listings into the same journal with `first_pages=True`: a harvest
            within a quarter of an hour does not request them again.
        starts: Starts of the journal, oldest first.
    """

    estimate: Estimate
    unasked: list[Listing]
    starts: list[StartInfo]


def estimate_harvest(
    listings: Iterable[Listing],
    *,
    journal: str | Path,
    refresh: bool = False,
    older_than: float | None = None,
    max_pages: int | None = None,
    split: bool | Split = False,
) -> JournalEstimate:
    """Return the expected cost of a harvest. Sends nothing and writes nothing.

    Args:
        listings: Listings to walk.
        journal: The journal's file, which need not exist. The other options are those of
            [`Harvest`][tmapi_async.harvest.Harvest], too.
        refresh: Create a new run if all listings are finished.
        older_than: Age in seconds above which finished listings are walked again, or None.
        max_pages: Maximum number of pages per listing, or None.
        split: Divide listings that the API cuts short.

    Raises:
        JournalError: The journal cannot be read.
        InvalidRequestError: An argument makes no sense.
    """
    check_path("journal", journal)
    setting = read_split(split)
    listings = read_listings(listings)
    if setting is not None:
        listings = SplittableListings(listings)
    options = EstimateOptions(
        max_pages=max_pages, ceiling=None if setting is None else setting.ceiling
    )
    try:
        reader = JournalReader(journal)
    except NoJournalError:
        sizes = [ListingSize(Visit(0, 0, listing)) for listing in dict.fromkeys(listings)]
        estimate = estimate_sizes(sizes, lambda _: {}, options)
        return JournalEstimate(estimate=estimate, unasked=_unasked(sizes, options), starts=[])
    with reader:
        plan = reader.plan(
            listings,
            refresh=refresh,
            max_pages=max_pages,
            split=setting is not None,
            renew_before=None if older_than is None else time.time() - older_than,
        )
        starts, sizes = reader.starts(), reader.sizes(plan)
        options = msgspec.structs.replace(options, overhead=overhead_of_starts(starts))
        estimate = estimate_sizes(sizes, reader.ended_sizes, options, finished=len(plan.finished))
    speed = speed_of_starts(starts, time.time())
    # A new run asks anew: first pages of listings that failed would go to the run before it.
    unasked = [] if plan.new_run and plan.run else _unasked(sizes, options)
    return JournalEstimate(
        estimate=estimate.at_speed(speed.per_second if speed else None),
        unasked=unasked,
        starts=starts,
    )


def _unasked(sizes: Iterable[ListingSize], options: EstimateOptions) -> list[Listing]:
    """Return the listings of which no page is known, and whose pages tell a total.

    A listing that an earlier start began and got no page of is one of them.
    """
    if options.max_pages == 1:
        return []  # one page each: the total changes nothing
    return [
        size.visit.listing
        for size in sizes
        if not size.stored
        and size.total is None
        and size.earlier_pages is None
        and ENDPOINTS[size.visit.listing.endpoint].paging in ("both", "total_count")
    ]
