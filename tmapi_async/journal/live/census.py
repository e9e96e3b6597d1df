"""Listings of a run, counted again and again: only the blocks of visits that can have changed.

A journal may hold a million visits, so a count that reads all of them would take a share of the
machine from the harvest. Visits are counted in blocks, and a block is counted again if a listing in
it is being read, if a page of it was committed, or if its turn comes. A block without unfinished
listings is not read again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.tables.typed_queries import Query
from tmapi_async.journal.views import StartInfo

from . import live_queries as queries

BLOCK = 512
"""Visits of a block."""

TURNS = 4
"""Blocks with unfinished listings that each update counts again, in turn."""

_MOST_NEW_PAGES = 4096


class LiveListing(msgspec.Struct):
    """A listing that has not ended, or has failed.

    Attributes:
        identity: Name of the listing.
        pages: Stored pages, those of its parts included.
        items: Items on these pages.
        rejects: Rows that could not be decoded.
        reason: Kind of the error that failed the listing, or "".
        began_at: Time when it was begun, in milliseconds since 1970; 0 if it was not.
        start: Number of the latest start that had stored a page of it when it was found, or 0.
        grows: True if a page of it was committed since it was found.
    """

    identity: str
    pages: int = 0
    items: int = 0
    rejects: int = 0
    reason: str = ""
    began_at: int = 0
    start: int = 0
    grows: bool = False

    def is_read_by(self, start: StartInfo) -> bool:
        """Return True if a start has begun the listing or has stored a page of it."""
        begun = self.began_at >= round(start.started_at * 1000)
        return self.grows or begun or self.start == start.id


class Census:
    """Counts of a run's listings. The journal is passed in, and is not kept.

    Args:
        run: Number of the run.

    Attributes:
        open: Number of each visit that was begun and has not ended, with its listing.
        last_page: Number (`seq`) of the last page that was counted.
    """

    def __init__(self, run: int) -> None:
        self.run = run
        self.open: dict[int, LiveListing] = {}
        self.last_page = -1
        self._sums: Counter[str] = Counter()
        self._sizes: Counter[int] = Counter()
        self._blocks: dict[int, tuple[Counter[str], Counter[int]]] = {}
        self._last_visit = 0
        self._turn = 0
        self._touched: set[int] = set()

    def update(self, connection: sqlite3.Connection) -> None:
        """Count what has changed, in read transactions of a millisecond or two each."""
        if self.last_page < 0:
            self.last_page = queries.LAST_PAGE.fetch(connection)[0][0]
        known, ((last,),) = self._last_visit, queries.LAST_VISIT.fetch(connection)
        self._last_visit = max(known, last)
        blocks = {*range(known // BLOCK, self._last_visit // BLOCK + 1)} if last > known else set()
        blocks |= {visit // BLOCK for visit in self.open}
        # A listing often ends a moment after its last page: look once more.
        touched, self._touched = self._touched, self._add_pages(connection)
        blocks |= touched | self._touched | self._next_turns()
        for block in sorted(blocks):
            with _snapshot(connection):
                self._count(connection, block)

    def _add_pages(self, connection: sqlite3.Connection) -> set[int]:
        """Add the pages that were committed since; return the blocks of their listings."""
        touched: set[int] = set()
        while True:
            new = queries.NEW_PAGES.fetch(connection, self.last_page, _MOST_NEW_PAGES)
            for visit, pages, items, rejects, seq in new:
                self.last_page = max(self.last_page, seq)
                touched.add(visit // BLOCK)
                if (listing := self.open.get(visit)) is not None:
                    listing.pages += pages
                    listing.items += items
                    listing.rejects += rejects
                    listing.grows = True
            if sum(row[1] for row in new) < _MOST_NEW_PAGES:
                return touched

    def _next_turns(self) -> set[int]:
        """Return the next blocks with unfinished listings, in turn."""
        unfinished = self._blocks_with("waiting", "begun")
        later = [block for block in unfinished if block > self._turn]
        turns = (later + unfinished)[:TURNS]
        self._turn = turns[-1] if turns else 0
        return set(turns)

    def _count(self, connection: sqlite3.Connection, block: int) -> None:
        """Count the listings of a block and replace its earlier counts."""
        sums: Counter[str] = Counter()
        sizes: Counter[int] = Counter()
        for (
            state,
            begun,
            pages,
            number,
            items,
            unique,
            rejects,
            earlier,
            known,
        ) in queries.COUNTS.fetch(connection, *self._bounds(block)):
            if state == "open":
                sums["begun" if begun else "waiting"] += number
                sums["earlier"] += earlier
                sums["known"] += known
                continue
            sums[state] += number
            sizes[pages] += number
            sums["pages"] += number * pages
            sums["items"] += items
            sums["unique_items"] += unique
            sums["rejects"] += rejects
        old_sums, old_sizes = self._blocks.pop(block, (Counter(), Counter()))
        self._sums.subtract(old_sums)
        self._sizes.subtract(old_sizes)
        self._sums.update(sums)
        self._sizes.update(sizes)
        if sums:
            self._blocks[block] = sums, sizes
        if sums["begun"] or old_sums["begun"]:
            self._find_open(connection, block)

    def _find_open(self, connection: sqlite3.Connection, block: int) -> None:
        """Find the listings of a block that were begun and have not ended."""
        begun = queries.BEGUN.fetch(connection, *self._bounds(block))
        open_visits = {visit for visit, *_ in begun}
        for visit in [*self.open]:
            if visit // BLOCK == block and visit not in open_visits:
                del self.open[visit]
        for visit, identity, began_at in begun:
            if visit not in self.open:
                stored = queries.STORED.fetch(connection, self.last_page, visit, visit)
                pages, items, rejects, start = stored[0]
                self.open[visit] = LiveListing(
                    identity, pages, items, rejects, began_at=began_at, start=start
                )

    def _bounds(self, block: int) -> tuple[int, int, int]:
        return block * BLOCK, (block + 1) * BLOCK, self.run

    def _blocks_with(self, *states: str) -> list[int]:
        return sorted(
            block
            for block, (sums, _) in self._blocks.items()
            if any(sums[state] for state in states)
        )

    @property
    def waiting(self) -> int:
        """Number of listings that were not begun."""
        return self._sums["waiting"]

    @property
    def ended_sizes(self) -> Counter[int]:
        """Size in pages -> number of listings of that size that have ended."""
        return +self._sizes

    @property
    def expected(self) -> int | None:
        """Pages that are left by the sizes of an earlier run; None if some of them are unknown."""
        sums = self._sums
        if sums["known"] != sums["waiting"] + sums["begun"]:
            return None
        return max(0, sums["earlier"] - sum(listing.pages for listing in self.open.values()))

    def tally(self) -> RunTally:
        """Return the totals of all listings. Empty and contradicted ones are not counted apart."""
        sums, opened = self._sums, self.open.values()
        ended = sum(sums[state] for state in ("complete", "capped", "shifted", "failed"))
        return RunTally(
            listings=ended + sums["waiting"] + len(opened),
            complete=sums["complete"],
            capped=sums["capped"],
            shifted=sums["shifted"],
            failed=sums["failed"],
            pages=sums["pages"] + sum(listing.pages for listing in opened),
            items=sums["items"] + sum(listing.items for listing in opened),
            unique_items=sums["unique_items"],
            rejects=sums["rejects"] + sum(listing.rejects for listing in opened),
        )

    def first_waiting(self, connection: sqlite3.Connection, limit: int) -> list[LiveListing]:
        """Return the first listings that were not begun."""
        rows = self._first(connection, queries.WAITING, "waiting", limit)
        return [LiveListing(identity) for _, identity in rows]

    def first_failed(self, connection: sqlite3.Connection, limit: int) -> list[LiveListing]:
        """Return the first listings that have failed."""
        rows = self._first(connection, queries.FAILED, "failed", limit)
        return [
            LiveListing(identity, pages, items, rejects, reason=kind or "")
            for _, identity, pages, items, rejects, kind in rows
        ]

    def _first(
        self, connection: sqlite3.Connection, query: Query, state: str, limit: int
    ) -> list[Any]:
        rows: list[Any] = []
        for block in self._blocks_with(state):
            if len(rows) >= limit:
                break
            rows += query.fetch(connection, *self._bounds(block), limit - len(rows))
        return rows


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all queries of the block see one moment: a listing that ends meanwhile counts once."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
