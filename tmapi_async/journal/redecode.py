"""Decodes rejects again, with today's models, and keeps what can be read now."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply

from .compression import Decoder
from .lock import WriteLock
from .schema import connect, finish, transaction, translated

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

_PARAMS = msgspec.json.Decoder(tuple[tuple[str, str], ...])


class RedecodeSummary(msgspec.Struct):
    """What a replay came to.

    Attributes:
        pages: Pages that held rejects.
        rejects: Rejects on them.
        mended: How many of those are items now.
    """

    pages: int = 0
    rejects: int = 0
    mended: int = 0

    @property
    def left(self) -> int:
        """Rejects that still cannot be decoded."""
        return self.rejects - self.mended


def replay(path: str | Path) -> RedecodeSummary:
    """Decode every page that holds rejects again; nothing is sent.

    The bodies stay as they are; items, rejects and their reasons are noted anew.

    Args:
        path: The journal's file.

    Returns:
        How many rejects there were, and how many are items now.

    Raises:
        JournalError: The journal cannot be used, or another process writes to it.
    """
    path = Path(path).expanduser().resolve()
    connect(path, writing=False).close()  # never make a journal here
    lock = WriteLock(path)
    lock.acquire()
    try:
        with translated(path):
            connection = connect(path, writing=True)
            try:
                return _Replay(connection, path).run()
            finally:
                finish(connection)
    finally:
        lock.release()


class _Replay:
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
                    listing = Listing(endpoint, _PARAMS.decode(params))
                    page = self._decode(listing, number, *body)
                    if page is not None and self._note(seq, page):
                        visits[visit] = listing
        for visit, listing in visits.items():
            self._recount(visit, listing)
        return self._result

    def _decode(
        self, listing: Listing, number: int, dictionary: int | None, frame: bytes
    ) -> Page | None:
        body = self._bodies.decode(dictionary, frame)
        page = read_reply(Reply(200, {}, body), PageRequest(listing, number), now=self._now)
        return page if isinstance(page, Page) else None

    def _note(self, seq: int, page: Page) -> bool:
        """Note what a page holds now; True if that is more than it was."""
        count = "SELECT count(*) FROM reject WHERE seq = ?"
        before = self._connection.execute(count, (seq,)).fetchone()[0]
        self._result.pages += 1
        self._result.rejects += before
        if len(page.rejects) >= before:
            return False
        self._result.mended += before - len(page.rejects)
        execute = self._connection.execute
        execute(_MEND_PAGE, (len(page.items), len(page.rejects), seq))
        execute(_DROP, (seq,))
        for reject in page.rejects:
            execute(_KEEP, (seq, reject.position, reject.reason, reject.raw))
        return True

    def _recount(self, visit: int, listing: Listing) -> None:
        """Sum a listing up again: its distinct items are known from all its pages alone."""
        seen: set[int] = set()
        items = rejects = 0
        for number, *body in self._connection.execute(_BODIES, (visit,)).fetchall():
            page = self._decode(listing, number, *body)
            if page is not None:
                seen.update(item.item_id for item in page.items)
                items += len(page.items)
                rejects += len(page.rejects)
        with transaction(self._connection):
            self._connection.execute(_MEND_VISIT, (items, len(seen), rejects, visit))
