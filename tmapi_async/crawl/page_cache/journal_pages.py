"""A journal as a cache: its pages are read, and nothing is written to it.

The journal may be finished, or be written by a harvest at the same time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tmapi_async.api.listings import PageRequest
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.journal.compression import Decoder
from tmapi_async.journal.schema import connect

from .stores import StoredReply

_READ_MILLISECONDS = 10
_FIND = """
SELECT page.fetched_at, page.dictionary, page.body
FROM listing JOIN visit ON visit.listing = listing.id
    JOIN page ON page.visit = visit.id AND page.number = ? JOIN start ON start.id = page.start
WHERE listing.identity = ? AND start.host = ? ORDER BY page.fetched_at DESC LIMIT 1
"""

log = logging.getLogger("tmapi_async")


class JournalPages:
    """Finds the latest reply of each page in a journal.

    Args:
        path: The journal's file, as an absolute path.

    Attributes:
        on_emptied: Never called: a journal loses no pages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._host = ""
        self._connection: sqlite3.Connection | None = None
        self._decoder: Decoder | None = None
        self._has_told = False
        self.on_emptied: Callable[[], None] = lambda: None

    async def open(self, origin: str) -> None:
        """Open the journal.

        Raises:
            InvalidRequestError: The journal cannot be read; the message says why.
        """
        # A journal knows the host of a start, and not the prefix of its paths.
        self._host = origin.partition("/")[0]
        try:
            connection = await asyncio.to_thread(connect, self._path, writing=False)
        except JournalError as error:
            raise InvalidRequestError(f"the journal cannot be used as a cache: {error}") from None
        # A look-up is on the thread of the event loop: it waits for hardly any lock.
        connection.execute(f"PRAGMA busy_timeout = {_READ_MILLISECONDS}")
        self._connection = connection
        self._decoder = Decoder(connection, self._path)

    def find(self, request: PageRequest) -> StoredReply | None:
        """Return the latest reply of a page, or None."""
        if self._connection is None or self._decoder is None:
            return None
        key = (request.number, request.listing.identity, self._host)
        try:
            row = self._connection.execute(_FIND, key).fetchone()
            if row is None:
                return None
            fetched_at, dictionary, frame = row
            return StoredReply(fetched_at / 1000, self._decoder.decode(dictionary, frame))
        except sqlite3.Error as error:
            if not self._has_told:
                self._has_told = True
                log.warning(
                    "the journal %s cannot be read as a cache (%s): pages are requested",
                    self._path,
                    error,
                )
            return None
        except (JournalError, TypeError):
            return None  # this page is damaged: it is requested

    def keep(self, request: PageRequest, reply: StoredReply) -> None:
        """Keep nothing: only a harvest writes to a journal."""

    async def close(self) -> None:
        """Close the journal."""
        self.abandon()

    def abandon(self) -> None:
        """Close the journal."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __repr__(self) -> str:
        return f"<JournalPages {self._path}>"
