"""A cache file beside an event loop: look-ups at once, writes in groups in a thread."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tmapi_async.api.listings import PageRequest
from tmapi_async.errors import InvalidRequestError

from .cache_database import CacheDatabase, CacheTroubleError
from .cache_opening import open_database
from .stores import StoredReply

_GATHER_SECONDS = 0.02
"""Seconds for which replies gather before they are written together."""

_GROUP = 256
_MAX_WAITING = 4096
_LOOK_SECONDS = 2.0
"""Seconds after which a look-up notices that the file was removed or replaced."""

_PAUSE_SECONDS = 10.0
"""Seconds until the next try after a trouble."""

log = logging.getLogger("tmapi_async")


class CacheFile:
    """Keeps replies in a file that several processes of this machine may share.

    Args:
        path: The file, as an absolute path. It is created if there is none.
        limit: Bytes of the file above which its oldest pages are deleted.
        clock: Returns monotonic seconds.

    Attributes:
        on_emptied: Called when the file was removed or replaced.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._limit = limit
        self.on_emptied: Callable[[], None] = lambda: None
        self._clock = clock
        self._origin = ""
        self._database: CacheDatabase | None = None
        self._damaged: CacheDatabase | None = None  # found to be damaged, and still open
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: dict[PageRequest, StoredReply] = {}  # not yet in the file
        self._job: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = self._next_write = self._next_opening = 0.0
        self._told: set[str] = set()

    async def open(self, origin: str) -> None:
        """Open the file.

        Raises:
            InvalidRequestError: The file belongs to another program; it was not changed.
        """
        self._origin = origin
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tmapi cache")
        await self._open(None)

    def find(self, request: PageRequest) -> StoredReply | None:
        """Return the latest reply of a page, or None."""
        now = self._clock()
        if now >= self._next_look:
            self._look(now)
        if self._waiting and (reply := self._waiting.get(request)) is not None:
            return reply
        if self._database is None:
            return None
        try:
            return self._database.find(request)
        except CacheTroubleError as error:
            self._meet_trouble("read", error)
            return None

    def keep(self, request: PageRequest, reply: StoredReply) -> None:
        """Keep a reply. It is written soon, and at the latest by `close`."""
        if self._database is None:
            self._look(self._clock())
        if self._database is None or not self._database.can_write:
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._tell("written fast enough", f"{_MAX_WAITING:,} pages wait")
            return
        self._waiting[request] = reply
        if self._timer is None and self._job is None:
            delay = max(_GATHER_SECONDS, self._next_write - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._begin_writing)

    async def close(self) -> None:
        """Write what is left to be written, and close the file."""
        if self._thread is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._job is not None:
            await asyncio.wait([self._job])
        if self._waiting:
            await self._write_all()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop_database())
        self._thread.shutdown(wait=False)
        self._thread = None

    def abandon(self) -> None:
        """Close the file after its event loop was closed."""
        thread, self._thread = self._thread, None
        self._timer = self._job = None
        self._waiting.clear()
        if thread is not None:
            thread.submit(self._drop_database())
            thread.shutdown(wait=False)

    def _drop_database(self) -> Callable[[], None]:
        """Use the open file no more; return a function that closes it, for the thread."""
        databases = [self._database, self._damaged]
        self._database = self._damaged = None

        def close() -> None:
            for database in databases:
                if database is not None:
                    database.close()

        return close

    # -- opening

    async def _open(self, damaged: tuple[int, int] | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            database, note = await loop.run_in_executor(
                self._thread, open_database, self._path, self._origin, self._limit, damaged
            )
        except CacheTroubleError as error:
            self._tell("opened", str(error))
            return
        self._database = database
        self._told.discard("opened")
        if note is not None:
            log.warning("the page cache %s is begun anew: %s", self._path, note)
        elif not database.can_write:
            self._tell("written", "it can only be read")

    async def _open_again(self) -> None:
        """Close the file, which was replaced or is damaged, and open the file of this name."""
        damaged = None if self._damaged is None else self._damaged.identity
        self.on_emptied()
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._drop_database())
            await self._open(damaged)
        except InvalidRequestError as error:
            self._tell("opened", str(error))
        finally:
            self._job = None

    def _look(self, now: float) -> None:
        """Open the file again if it was removed, replaced, or could not be used before."""
        self._next_look = now + _LOOK_SECONDS
        if self._thread is None or self._job is not None:
            return
        is_due = self._database is None and now >= self._next_opening
        if is_due or (self._database is not None and self._database.has_moved()):
            self._next_opening = now + _PAUSE_SECONDS
            self._job = asyncio.create_task(self._open_again(), name="tmapi_async cache")

    # -- writing

    def _begin_writing(self) -> None:
        self._timer = None
        if self._job is None and self._thread is not None:
            self._job = asyncio.create_task(self._write(), name="tmapi_async cache")

    async def _write(self) -> None:
        try:
            await self._write_all()
        finally:
            self._job = None

    async def _write_all(self) -> None:
        loop, database = asyncio.get_running_loop(), self._database
        while self._waiting and database is not None:
            group = list(itertools.islice(self._waiting.items(), _GROUP))
            try:
                await loop.run_in_executor(self._thread, database.write, group)
            except CacheTroubleError as error:
                self._waiting.clear()
                self._next_write = self._clock() + _PAUSE_SECONDS
                self._meet_trouble("written", error)
                return
            for request, reply in group:
                if self._waiting.get(request) is reply:
                    del self._waiting[request]
            self._told.discard("written")
        self._waiting.clear()

    # -- troubles

    def _meet_trouble(self, what: str, error: CacheTroubleError) -> None:
        if not error.damaged:
            self._tell(what, str(error))
        elif self._database is not None:  # no more look-ups; the next one opens a new file
            self._damaged, self._database = self._database, None
            self._next_look = self._next_opening = 0.0

    def _tell(self, what: str, reason: str) -> None:
        """Say once that the file cannot be used as it should be."""
        if what not in self._told:
            self._told.add(what)
            is_written = what.startswith("written")
            effect = "new pages are not kept" if is_written else "pages are requested"
            log.warning("the page cache %s cannot be %s (%s): %s", self._path, what, reason, effect)

    def __repr__(self) -> str:
        return f"<CacheFile {self._path}>"
