"""Decode rejects again with the current models, and store the rows that can be read now."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.journal.compression import Decoder
from tmapi_async.journal.lock import WriteLock
from tmapi_async.journal.records import PAGE_CODE, page_number
from tmapi_async.journal.schema import connect, connect_unchecked, finish, transaction
from tmapi_async.journal.sqlite_errors import require_rows
from tmapi_async.journal.stored_pages import read_listing
from tmapi_async.journal.tables.damaged_values import translated

_PAGES = """
SELECT seq, visit, number, endpoint, params, dictionary, body
FROM page JOIN visit ON visit.id = page.visit JOIN listing ON listing.id = visit.listing
WHERE page.rejects > 0 AND seq > ? ORDER BY seq LIMIT 64
"""
_BODIES = "SELECT number, dictionary, body FROM page WHERE visit = ?"
_MEND_PAGE = "UPDATE page SET items = ?, rejects = ? WHERE seq = ?"
_DROP = "DELETE FROM reject WHERE seq = ?"
_KEEP = "INSERT INTO reject VALUES (?, ?, ?, ?)"
_MEND_VISIT = """
UPDATE visit SET items = ?, unique_items = ?, rejects = ? WHERE id = ? AND state != 'open'
"""


class RedecodeSummary(msgspec.Struct):
    """Result of a replay.

    Attributes:
        pages: Pages that had rejects.
        rejects: Rejects on these pages before the replay.
        mended: Rejects that are items now.
    """

    pages: int = 0
    rejects: int = 0
    mended: int = 0

    @property
    def left(self) -> int:
        """Number of rejects that still cannot be decoded."""
        return self.rejects - self.mended


def replay(path: str | Path) -> RedecodeSummary:
    """Decode every page with rejects again. No request is sent.

    The bodies stay as they are. Items, rejects and the reasons of rejects are updated.

    Args:
        path: The journal's file.

    Returns:
        Number of rejects before, and of those that are items now.

    Raises:
        JournalError: The journal cannot be used, or another process writes to it.
    """
    path = Path(path).expanduser().resolve()
    connect_unchecked(path).close()  # raises if there is no journal; writing would create one
    lock = WriteLock(path)
    lock.acquire()
    try:
        with translated(path):
            connection = connect(path, writing=True)
            try:
                return _Redecoder(connection, path).run()
            finally:
                finish(connection)
    finally:
        lock.release()


class _Redecoder:
    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._bodies = Decoder(connection, path)
        self._now = datetime.now(UTC)
        self._result = RedecodeSummary()

    def run(self) -> RedecodeSummary:
        visits: dict[int, Listing] = {}
        after = 0
        while rows := self._connection.execute(_PAGES, (after,)).fetchall():
            after = rows[-1][0]
            with transaction(self._connection):
                for seq, visit, number, endpoint, params, *body in rows:
                    listing = read_listing(endpoint, params)
                    page = self._decode(listing, number, *body)
                    if page is not None and self._update(seq, page):
                        visits[visit] = listing
        for visit, listing in visits.items():
            self._recount(visit, listing)
        return self._result

    def _decode(
        self, listing: Listing, number: int, dictionary: int | None, frame: bytes
    ) -> Page | None:
        body = self._bodies.decode(dictionary, frame)
        page = read_reply(
            Reply(PAGE_CODE, {}, body), PageRequest(listing, page_number(number)), now=self._now
        )
        return page if isinstance(page, Page) else None

    def _update(self, seq: int, page: Page) -> bool:
        """Store the new figures of a page. Return True if it has fewer rejects than before."""
        count = "SELECT count(*) FROM reject WHERE seq = ?"
        before = self._connection.execute(count, (seq,)).fetchone()[0]
        self._result.pages += 1
        self._result.rejects += before
        if len(page.rejects) >= before:
            return False
        self._result.mended += before - len(page.rejects)
        execute = self._connection.execute
        require_rows(execute(_MEND_PAGE, (len(page.items), len(page.rejects), seq)))
        execute(_DROP, (seq,))
        for reject in page.rejects:
            row = (seq, reject.position, reject.reason, reject.raw)
            require_rows(execute(_KEEP, row))
        return True

    def _recount(self, visit: int, listing: Listing) -> None:
        """Sum up a visit again: only all its pages together tell the distinct items."""
        item_ids: set[int] = set()
        items = rejects = 0
        for number, *body in self._connection.execute(_BODIES, (visit,)).fetchall():
            page = self._decode(listing, number, *body)
            if page is not None:
                item_ids.update(item.row_id for item in page.items)
                items += len(page.items)
                rejects += len(page.rejects)
        with transaction(self._connection):
            self._connection.execute(_MEND_VISIT, (items, len(item_ids), rejects, visit))
