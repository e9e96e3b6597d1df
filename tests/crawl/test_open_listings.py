"""The listings of a crawl: totals, endings, and the errors that are kept."""

from __future__ import annotations

from tmapi_async import GuardPolicy, ListingOutcome, ServerError
from tmapi_async.api.listings import USUAL_CEILING, Listing, category_items
from tmapi_async.crawl.open_listings import OpenListing, OpenListings
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.crawl.sink import CrawlSink

A, B = category_items(1), category_items(2)


class Outcomes(CrawlSink):
    """Keeps outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[ListingOutcome] = []

    def ended(self, outcome: ListingOutcome) -> None:
        """Keep an outcome."""
        self.outcomes.append(outcome)


def opened(*tasks: ListingTask) -> tuple[OpenListings, Outcomes, list[OpenListing]]:
    """Begin listings."""
    sink = Outcomes()
    listings = OpenListings(GuardPolicy(), sink)
    return listings, sink, [listings.begin(task) for task in tasks]


def failed_on(page: int, listing: Listing = A) -> ServerError:
    """Return the error of a page."""
    error = ServerError("broken", code=500)
    error.locate(listing.endpoint, listing.identity, page, 3)
    return error


def test_a_listing_that_ends_at_the_usual_ceiling_is_capped():
    """The site's search stops there: the listing may have more rows than it shows."""
    listings, sink, entries = opened(
        ListingTask(listing=A, stored_ids=[1], stored_rows=USUAL_CEILING),
        ListingTask(listing=B, stored_ids=[1], stored_rows=USUAL_CEILING - 1),
    )
    for entry in entries:
        listings.end(entry, "complete")
    assert [outcome.ending for outcome in sink.outcomes] == ["capped", "complete"]
    assert (listings.counts.capped, listings.counts.complete, len(listings)) == (1, 1, 0)


def test_the_error_of_the_earliest_page_fails_a_listing():
    """Later pages often fail only because of the first error."""
    listings, sink, (entry,) = opened(ListingTask(listing=A))
    for page in (7, 3, 5):
        listings.fail(entry, failed_on(page))
    listings.end(entry, "failed")
    assert sink.outcomes[0].error is not None
    assert sink.outcomes[0].error.page == listings.failures[0].page == 3


def test_progress_names_the_first_missing_page_of_open_listings():
    """Stored pages are skipped, and no more than ten listings are named."""
    stored = {1: True, 2: True, 4: True}
    tasks = [ListingTask(listing=category_items(n), stored_pages=stored) for n in range(1, 13)]
    listings, _, _ = opened(*tasks)
    progress = listings.progress(more=True)
    assert progress.open[0] == f"{A} from page 3"
    assert (len(progress.open), progress.open_count, progress.more) == (10, 12, True)


def test_parts_count_for_the_listing_that_was_split():
    """A part is no listing of its own in the totals."""
    listings, sink, (entry,) = opened(ListingTask(listing=A, part=True))
    listings.end(entry, "complete")
    assert (listings.counts.listings, listings.counts.complete, len(sink.outcomes)) == (0, 0, 1)


def test_stop_ends_every_open_listing():
    """Every listing gets an outcome, whatever ends the crawl."""
    listings, sink, _ = opened(ListingTask(listing=A), ListingTask(listing=B))
    listings.stop()
    assert [outcome.ending for outcome in sink.outcomes] == ["stopped", "stopped"]
    assert listings.counts.stopped == 2
