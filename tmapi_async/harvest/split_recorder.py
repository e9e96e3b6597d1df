"""Record divided listings. Their parts are visits of the run, created when they are opened.

A division resumes from the journal: the planner reads the stored pages instead of requesting them,
and so derives the same parts again. A part whose first page only served to divide is recorded as
complete with this one page. The listing itself stays open until all its parts have ended.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.api.replies import Page
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.seam import Look
from tmapi_async.crawl.splitting import Observation, Reconciliation
from tmapi_async.crawl.splitting.driver import Split, SplitDriver
from tmapi_async.crawl.splitting.part_store import StoredPart
from tmapi_async.errors import InvalidRequestError
from tmapi_async.journal.records import EMPTY_TOTALS, STATE, State, Totals, Visit
from tmapi_async.journal.resume import decode_page, read_seam_history
from tmapi_async.journal.statements import add_part, begin_visit, forget_failures, store_division
from tmapi_async.journal.views import Division

from .open_visit import OpenVisit
from .recorder import Recorder

_PARTS = f"""
SELECT listing.identity, visit.id, {STATE} FROM part JOIN visit ON visit.id = part.visit
JOIN listing ON listing.id = visit.listing WHERE part.root = ?
"""  # noqa: S608 - a constant of this package
_LAST = "SELECT coalesce(max(id), 0) FROM visit"
_SAME = """
SELECT 1 FROM visit JOIN listing ON listing.id = visit.listing WHERE identity = ? AND run = ?
"""


class SplitRecorder(Recorder):
    """Recorder of a start that divides listings, and store of their parts.

    Args:
        *args: Arguments of `Recorder`.
        split: Settings of the division.
        **options: Options of `Recorder`.
    """

    def __init__(self, *args: Any, split: Split, **options: Any) -> None:
        super().__init__(*args, **options)
        self._driver = SplitDriver(split, on_listing_end=lambda _: None, store=self)
        self._divided: dict[Listing, _DividedListing] = {}
        self._last_visit = 0

    # -- sink of the crawl

    @property
    def ids_only(self) -> bool:
        """False: a listing is divided by the prices of its items."""
        return False

    def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """Yield the listings to walk, and the parts of divided listings."""
        return self._driver.tasks(super().tasks())

    def page(self, page: Page[Any]) -> None:
        """Store a page, and pass it on to the division."""
        super().page(page)
        self._driver.page(page)

    def looked(self, look: Look) -> None:
        """Record a look at a seam, and pass it on to the division."""
        super().looked(look)
        self._driver.looked(look)

    def ended(self, outcome: ListingOutcome) -> None:
        """Pass the outcome of a listing or a part on to the division."""
        self._driver.ended(outcome)

    def count_unreached(self) -> None:
        """End the division, and count the listings that this start did not reach."""
        self._driver.close()
        super().count_unreached()

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """Results of the listings that this start divided."""
        return tuple(self._driver.reconciliations)

    # -- store of parts

    def load_part(self, root: Listing, part: Listing) -> StoredPart:
        """Return the stored pages of a part, or of the divided listing itself."""
        if part == root:
            visit = self._open[root].visit
            parts = self._journal.read(lambda connection: _parts(connection, visit.id))
            self._divided[root] = _DividedListing(visit, parts)
            pages = self._observations(visit)
            return self._stored_part(visit, pages) if pages else StoredPart()
        listing = self._divided[root]
        stored_visit = listing.stored.get(part.identity)
        if stored_visit is None:
            return StoredPart()
        number, state = stored_visit
        visit = listing.visits[part] = Visit(number, listing.visit.run, part, begun=True)
        pages = self._observations(visit)
        listing.totals[part] = _totals(pages)
        self.tally.add(listing.totals[part])
        if not pages:
            return StoredPart()
        if not pages[-1].has_next and state in ("complete", "capped", "shifted"):
            return StoredPart(pages, state)
        return self._stored_part(visit, pages)

    def _stored_part(self, visit: Visit, pages: list[Observation]) -> StoredPart:
        """Return the pages of a part that was not walked to its end."""
        history = self._journal.read(lambda connection: read_seam_history(connection, visit.id))
        needs_look = history.shifted is None and history.needs_look(time.time())
        return StoredPart(pages, needs_look=needs_look, shifted=history.shifted)

    def begin_part(self, root: Listing, part: Listing) -> None:
        """Create the visit of a part if it has none, and record that the visit has begun."""
        if part == root:
            return
        listing = self._divided[root]
        visit = listing.visits.get(part)
        if visit is None:
            visit = listing.visits[part] = self._new_visit(listing, part)
        if part not in self._open:  # a part is opened twice: for its first page, and for the rest
            self._open[part] = OpenVisit(visit, listing.totals.get(part, EMPTY_TOTALS), part=True)
        self._apply(begin_visit(visit, time.time()), forget_failures(visit))

    def part_ended(self, root: Listing, outcome: ListingOutcome, *, walked: bool) -> None:
        """Record the outcome of a part. `reconciled` records the outcome of the listing itself."""
        entry = self._open.get(outcome.listing)
        if entry is None or outcome.listing == root:
            return
        self._divided[root].totals[outcome.listing] = entry.totals
        if not walked and outcome.ending == "capped":
            outcome = msgspec.structs.replace(outcome, ending="complete")
        super().ended(outcome)

    def reconciled(self, account: Reconciliation, outcome: ListingOutcome) -> None:
        """Record the result of a divided listing."""
        listing, entry = self._divided.pop(account.root, None), self._open.get(account.root)
        if listing is None or entry is None:
            return
        self.tally.unique_items += account.distinct - entry.unique_items
        entry.divided = account.divided
        entry.unique_items = entry.items if account.divided else account.distinct
        if outcome.ending != "stopped":
            self._apply(store_division(_division(listing.visit.id, account)))
        super().ended(msgspec.structs.replace(outcome, unique=entry.unique_items))

    def _new_visit(self, listing: _DividedListing, part: Listing) -> Visit:
        run = listing.visit.run
        if self._journal.read(
            lambda connection: connection.execute(_SAME, (part.identity, run)).fetchone()
        ):
            raise InvalidRequestError(
                f"{part} was requested itself, and is also a part of {listing.visit.listing}, "
                "which is divided: harvest one of the two into another journal"
            )
        if not self._last_visit:
            last = self._journal.read(lambda connection: connection.execute(_LAST).fetchone())
            self._last_visit = last[0]
        self._last_visit += 1
        visit = Visit(self._last_visit, run, part)
        self._apply(*add_part(visit, listing.visit.id))
        return visit

    def _observations(self, visit: Visit) -> list[Observation]:
        return [
            Observation.of(page, again=stored.again)
            for stored in self._journal.stored_pages(visit)
            if (page := decode_page(stored)) is not None
        ]


class _DividedListing:
    """A listing that is being divided.

    Attributes:
        visit: Visit of the listing.
        stored: Parts of earlier starts: identity -> number and state of the visit.
        visits: Visits of the parts.
        totals: Totals of the parts.
    """

    def __init__(self, visit: Visit, stored: dict[str, tuple[int, State]]) -> None:
        self.visit = visit
        self.stored = stored
        self.visits: dict[Listing, Visit] = {}
        self.totals: dict[Listing, Totals] = {}


def _parts(connection: sqlite3.Connection, root: int) -> dict[str, tuple[int, State]]:
    rows = connection.execute(_PARTS, (root,))
    return {identity: (visit, state) for identity, visit, state in rows}


def _totals(pages: list[Observation]) -> Totals:
    return Totals(
        pages=len(pages),
        items=sum(len(page.rows) for page in pages),
        unique_items=0,  # distinct items are counted for the whole listing only
        rejects=sum(page.rejects for page in pages),
        last_page=max((page.number for page in pages), default=0),
        total_count=pages[-1].total if pages else None,
    )


def _division(root: int, reconciliation: Reconciliation) -> Division:
    """Return a reconciliation as the record that the journal stores."""
    return Division(
        root=root,
        complete=reconciliation.complete,
        pages=reconciliation.requests,
        items=reconciliation.rows,
        unique_items=reconciliation.distinct,
        rejects=reconciliation.rejects,
        promised=reconciliation.promised,
        account=str(reconciliation),
    )
