"""Keeps listings that are divided: their parts are visits of the run, made when they are opened.

The journal is what a division is resumed from: the planner is shown the pages held, in place of
asking for them, and comes to the same parts again. A part that has only served to divide is noted
as complete with its one page, and the listing itself stays open until all its parts have ended.
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
from tmapi_async.crawl.splitting import Observation, Reconciliation
from tmapi_async.crawl.splitting.driver import Split, SplitDriver
from tmapi_async.crawl.splitting.part_store import StoredPart
from tmapi_async.errors import InvalidRequestError
from tmapi_async.journal.records import EMPTY_TOTALS, State, Totals, Visit
from tmapi_async.journal.resume import decode_page
from tmapi_async.journal.statements import add_part, begin_visit, forget_failures, store_division
from tmapi_async.journal.views import Division

from .recorder import OpenVisit, Recorder

_PARTS = """
SELECT listing.identity, visit.id, visit.state FROM part JOIN visit ON visit.id = part.visit
JOIN listing ON listing.id = visit.listing WHERE part.root = ?
"""
_LAST = "SELECT coalesce(max(id), 0) FROM visit"
_SAME = """
SELECT 1 FROM visit JOIN listing ON listing.id = visit.listing WHERE identity = ? AND run = ?
"""


class SplitRecorder(Recorder):
    """A keeper that lets listings be divided; see `Recorder` for the rest.

    Args:
        split: How.

    Attributes:
        splitter: Decides.
    """

    def __init__(self, *args: Any, split: Split, **options: Any) -> None:
        super().__init__(*args, **options)
        self.splitter = SplitDriver(split, on_listing_end=lambda _: None, store=self)
        self._families: dict[Listing, _DividedListing] = {}
        self._last_visit = 0

    # -- hooks of the crawl

    def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """The listings to walk, and the parts of those that are divided."""
        return self.splitter.tasks(super().tasks())

    def page(self, page: Page[Any]) -> None:
        """Keep a page, and let the division see it."""
        super().page(page)
        self.splitter.page(page)

    def ended(self, outcome: ListingOutcome) -> None:
        """Let the division see how a part ended."""
        self.splitter.ended(outcome)

    def count_unreached(self) -> None:
        """Note what was left undone."""
        self.splitter.close()
        super().count_unreached()

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """What came of the listings that this start divided."""
        return tuple(self.splitter.reconciliations)

    # -- stored parts

    def load_part(self, root: Listing, part: Listing) -> StoredPart:
        """What the journal holds of a part."""
        if part == root:
            visit, state = self._open[root].visit, "open"
            known = self._journal.read(lambda reading: _parts(reading, visit.id))
            self._families[root] = _DividedListing(visit, known)
            return StoredPart(self._sights(visit))
        family = self._families[root]
        known_as = family.known.get(part.identity)
        if known_as is None:
            return StoredPart()
        number, state = known_as
        visit = family.visits[part] = Visit(number, family.visit.run, part, begun=True)
        sights = self._sights(visit)
        family.totals[part] = _totals(sights)
        self.tally.add(family.totals[part])
        if sights and not sights[-1].has_next and state in {"complete", "capped"}:
            return StoredPart(sights, "capped" if state == "capped" else "complete")
        return StoredPart(sights)

    def begin_part(self, root: Listing, part: Listing) -> None:
        """Make the visit of a part, if there is none, and note that it is being walked."""
        if part == root:
            return
        family = self._families[root]
        visit = family.visits.get(part)
        if visit is None:
            visit = family.visits[part] = self._new_visit(family, part)
        if part not in self._open:  # it is, between its first page and the rest of it
            self._open[part] = OpenVisit(visit, family.totals.get(part, EMPTY_TOTALS), part=True)
        self._note(begin_visit(visit, time.time()), forget_failures(visit))

    def part_ended(self, root: Listing, outcome: ListingOutcome, *, walked: bool) -> None:
        """Note how a part ended; how the listing itself did is told last."""
        entry = self._open.get(outcome.listing)
        if entry is None or outcome.listing == root:
            return
        self._families[root].totals[outcome.listing] = entry.totals
        if not walked and outcome.ending == "capped":
            outcome = msgspec.structs.replace(outcome, ending="complete")
        super().ended(outcome)

    def reconciled(self, account: Reconciliation, outcome: ListingOutcome) -> None:
        """Note what came of a listing, its parts included."""
        family, entry = self._families.pop(account.root, None), self._open.get(account.root)
        if family is None or entry is None:
            return
        self.tally.unique_items += account.distinct - entry.unique
        entry.unique = entry.items if account.divided else account.distinct
        if outcome.ending != "stopped":
            self._note(store_division(_division(family.visit.id, account)))
        super().ended(msgspec.structs.replace(outcome, unique=entry.unique))

    def _new_visit(self, family: _DividedListing, part: Listing) -> Visit:
        run = family.visit.run
        if self._journal.read(
            lambda reading: reading.execute(_SAME, (part.identity, run)).fetchone()
        ):
            raise InvalidRequestError(
                f"{part} is asked for by itself and is a part of {family.visit.listing}, which is "
                "divided: harvest one of the two into a journal of its own"
            )
        if not self._last_visit:
            last = self._journal.read(lambda reading: reading.execute(_LAST).fetchone())
            self._last_visit = last[0]
        self._last_visit += 1
        visit = Visit(self._last_visit, run, part)
        self._note(*add_part(visit, family.visit.id))
        return visit

    def _sights(self, visit: Visit) -> list[Observation]:
        pages = map(decode_page, self._journal.stored_pages(visit))
        return [Observation.of(page) for page in pages if page is not None]


class _DividedListing:
    """A listing that is being divided.

    Attributes:
        visit: Its visit.
        known: Its parts that were in the journal before: identity -> number of the visit, state.
        visits: The visits of its parts.
        totals: What they hold.
    """

    def __init__(self, visit: Visit, known: dict[str, tuple[int, State]]) -> None:
        self.visit = visit
        self.known = known
        self.visits: dict[Listing, Visit] = {}
        self.totals: dict[Listing, Totals] = {}


def _parts(reading: sqlite3.Connection, root: int) -> dict[str, tuple[int, State]]:
    return {identity: (visit, state) for identity, visit, state in reading.execute(_PARTS, (root,))}


def _totals(sights: list[Observation]) -> Totals:
    return Totals(
        pages=len(sights),
        items=sum(len(sight.rows) for sight in sights),
        unique_items=0,  # of the whole listing alone they are counted
        rejects=sum(sight.rejects for sight in sights),
        last_page=max((sight.number for sight in sights), default=0),
        total_count=sights[-1].total if sights else None,
    )


def _division(root: int, reconciliation: Reconciliation) -> Division:
    """Return a reconciliation as the journal keeps it."""
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
