"""State of one listing while it is divided. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tmapi_async.api.listings import Listing, endpoint_of
from tmapi_async.crawl.open_listings import unreadable_rows
from tmapi_async.crawl.outcomes import Ending, ListingOutcome, ListingTask
from tmapi_async.crawl.seam import find_seam
from tmapi_async.errors import TMAPIError

from .part_store import StoredPart
from .planner import SplitPlanner
from .queries import Observation, SplitQuery
from .reconciliation import Reconciliation


class ActiveSplit:
    """A listing that is being divided.

    Attributes:
        stored: Parts that were loaded from the store.
        first_pages: First page of each part.
        probing: Parts opened for their first page alone.
        open: Parts that are opened or wait for it, `probing` included.
        paused: Pages of each part whose walk pauses, with their `has_next_page`.
        shifted: Reason why the pages before a pause leave rows unseen, for each such part.
        queries: Queries of the planner, not carried out yet.
        busy: True while the queries are carried out.
        announced: True once the first expectation has been reported.
        second_walks: Second walks of the last settled expectation reported; -1 before the first.
    """

    def __init__(self, root: Listing, ceiling: int) -> None:
        self.root = root
        self.planner = SplitPlanner(root, flags=endpoint_of(root).flags, ceiling=ceiling)
        self.stored: dict[Listing, StoredPart] = {}
        self.first_pages: dict[Listing, Observation] = {}
        self.probing: set[Listing] = set()
        self.open: set[Listing] = set()
        self.paused: dict[Listing, dict[int, bool]] = {}
        self.shifted: dict[Listing, str] = {}
        self.errors: list[TMAPIError] = []
        self.queries: deque[SplitQuery] = deque()
        self.busy = False
        self.announced = False
        self.second_walks = -1
        self.stopped = False

    def walk_task(
        self, listing: Listing, stored: StoredPart, pages: Sequence[Observation]
    ) -> ListingTask:
        """Return the task that walks a part to its end, or to its pause.

        Args:
            listing: The part.
            stored: Its pages from an earlier process, or its first page.
            pages: Pages of `stored` that are stored under their number.
        """
        paused_pages = self.paused.pop(listing, None)
        stored_pages = paused_pages or {page.number: page.has_next for page in pages}
        limit = self.planner.page_limit(listing)
        if limit is not None:
            self.paused[listing] = stored_pages
        seam = None
        if stored.needs_look and paused_pages is None:
            rows = {page.number: [item for item, _ in page.rows] for page in pages}
            seam = find_seam(stored_pages, rows)
        return ListingTask(
            listing=listing,
            max_pages=limit,
            stored_pages=dict(stored_pages),
            stored_ids=self.planner.ids(listing),
            seam=seam,
            shifted=self.shifted.get(listing, stored.shifted),
            part=True,
        )

    def outcome(self, reconciliation: Reconciliation) -> ListingOutcome:
        """Return the outcome of the listing."""
        ending: Ending = "complete"
        if not reconciliation.complete:
            ending = "shifted" if reconciliation.shifted else "capped"
            ending = "failed" if reconciliation.failed else ending
        if reconciliation.unreadable and not self.errors:
            error = unreadable_rows(reconciliation.rejects, reconciliation.reason)
            error.locate(self.root.endpoint, self.root.identity, 1, 1)
            self.errors.append(error)
        return ListingOutcome(
            listing=self.root,
            ending="stopped" if self.stopped else ending,
            pages=reconciliation.requests,
            items=reconciliation.rows,
            unique=reconciliation.distinct,
            duplicates=reconciliation.rows - reconciliation.distinct,
            rejects=reconciliation.rejects,
            error=self.errors[0] if self.errors else None,
        )
