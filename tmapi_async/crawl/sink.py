"""The port through which a crawl hands over its results."""

from __future__ import annotations

from collections.abc import Sequence

from tmapi_async.api.items import Item
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.errors import TMAPIError

from .outcomes import ListingOutcome
from .seam import Look


class CrawlSink:
    """Base of the receivers of one crawl's pages, failures and endings.

    The crawler calls every method in the event loop, between two awaits; a method must not block.
    The pages of a listing come before its outcome. A subclass overrides the methods that it needs:
    those of this class ignore the event.

    Attributes:
        held_pages: Number of pages received that keep their slots of the gate for now. A request
            would only wait for such a slot, so none is begun until the sink has given it back.
    """

    held_pages: int = 0

    @property
    def resumable(self) -> bool:
        """True if another crawl continues what this one leaves: it must not take unproven pages."""
        return False

    @property
    def ids_only(self) -> bool:
        """True if the sink reads no more of the items than their IDs: pages then cost less."""
        return False

    @property
    def pending(self) -> int:
        """Number of pages received and not yet finished with; they slow the crawl down."""
        return 0

    def wake_taker(self) -> None:
        """Wake a caller that waits for a page: it takes what has come, by `Crawler.take_reply`."""

    def has_room(self, width: int, in_flight: int) -> bool:
        """Return True if one more page may be requested.

        Args:
            width: Number of slots that the gate has now.
            in_flight: Number of page requests on their way.
        """
        # A kill costs at most these pages: one width on the wire, and one that is not durable.
        return self.pending + in_flight < 2 * width

    def page(self, page: Page) -> None:
        """Take a page as soon as it is there, in any order.

        Late pages of a listing that has ended come too: they were paid for.
        """

    def ordered_page(self, page: Page, new_items: Sequence[Item]) -> None:
        """Take the next page of its listing, in page order.

        Args:
            page: The page; `page` has received it before.
            new_items: Its items that are new to the listing.
        """

    def looked(self, look: Look) -> None:
        """Take the result of requesting a stored page once more, before any other page."""

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Take a page request that failed for good.

        A request that was look-ahead may be sent again later, or turn out not to be needed.
        """

    def ended(self, outcome: ListingOutcome) -> None:
        """Take the outcome of a listing."""
