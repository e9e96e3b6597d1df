"""A Redis or Valkey server as a cache for several hosts. Needs the extra `redis`.

A server that is away costs one short wait, and then none for some seconds: pages are requested, and
the log says so once. No message shows the password of the server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import redis.asyncio
import zstandard
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tmapi_async.api.listings import PageRequest
from tmapi_async.errors import InvalidRequestError
from tmapi_async.journal.compression import Dictionary, decompress

from .stores import StoredReply

TIMEOUT = 0.5
"""Seconds for one look-up, the connection included."""

_PAUSE_SECONDS = 5.0
"""Seconds without look-ups after the server has failed."""

_SHORTEST_LIFE = 7 * 86_400
_LONGEST_LIFE = 90 * 86_400
_GROUP = 64
_MAX_WAITING = 4096
_PREFIX = "tmapi-async:page:1"
_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}
_FAILURES = (RedisError, OSError, TimeoutError)

log = logging.getLogger("tmapi_async")


class _Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value in the server. The key is repeated: a reply to another request is recognised."""

    key: str
    fetched_at: float
    frame: bytes


class RedisPages:
    """Keeps replies in a Redis or Valkey server, each for some days.

    The server limits the bytes of all entries (`maxmemory`).

    Args:
        url: Address of the server; it may contain a user and a password.
        life: Seconds for which an entry is needed; it is kept for at least a week.
        clock: Returns monotonic seconds.

    Attributes:
        on_emptied: Never called: the server does not tell that it was emptied.

    Raises:
        InvalidRequestError: The address cannot be read; the message does not repeat it.
    """

    def __init__(
        self, url: str, life: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url, self._name, self._secrets = _read_url(url)
        self._life = int(min(max(life, _SHORTEST_LIFE), _LONGEST_LIFE))
        self._clock = clock
        self._origin = ""
        self._server: Any = None
        self._compress = Dictionary().compressor()
        self._decompressor = zstandard.ZstdDecompressor()
        self._decode = msgspec.msgpack.Decoder(_Entry).decode
        self._waiting: list[tuple[str, StoredReply]] = []
        self._writing: asyncio.Task[None] | None = None
        self._away_until = 0.0
        self._has_told = False
        self.on_emptied: Callable[[], None] = lambda: None

    async def open(self, origin: str) -> None:
        """Prepare for look-ups. Nothing is sent yet."""
        self._origin = origin
        # Without retries: the page is requested from the API instead.
        self._server = redis.asyncio.Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )

    async def fetch(self, request: PageRequest) -> StoredReply | None:
        """Return the latest reply of a page, or None."""
        if self._server is None or self._clock() < self._away_until:
            return None
        key = self._key(request)
        try:
            async with asyncio.timeout(TIMEOUT):
                value = await self._server.get(key)
        except _FAILURES as error:
            self._is_away(error)
            return None
        self._is_here()
        return None if value is None else self._read(key, value)

    def keep(self, request: PageRequest, reply: StoredReply) -> None:
        """Keep a reply. It is written soon, and at the latest by `close`."""
        if self._server is None or self._clock() < self._away_until:
            return
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append((self._key(request), reply))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="tmapi_async cache")

    async def close(self) -> None:
        """Write what is left to be written, and close the connections."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        server, self._server = self._server, None
        if server is not None:
            try:
                async with asyncio.timeout(TIMEOUT):
                    await server.aclose()
            except _FAILURES as error:
                log.debug("the connections to %s were not closed: %s", self._name, type(error))

    def abandon(self) -> None:
        """Forget the connections, which went with their event loop."""
        self._server = self._writing = None
        self._waiting.clear()

    def _key(self, request: PageRequest) -> str:
        return f"{_PREFIX}:{self._origin}:{request.listing.identity}#{request.number}"

    def _read(self, key: str, value: bytes) -> StoredReply | None:
        try:
            entry = self._decode(value)
            if entry.key != key:
                return None
            return StoredReply(entry.fetched_at, decompress(self._decompressor, entry.frame))
        except (msgspec.MsgspecError, zstandard.ZstdError):
            return None  # damaged, or not ours: the page is requested, and the entry replaced

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
                async with asyncio.timeout(2 * TIMEOUT):
                    await self._set(group)
                self._is_here()
        except _FAILURES as error:
            self._waiting.clear()
            self._is_away(error)
        finally:
            self._writing = None

    async def _set(self, group: list[tuple[str, StoredReply]]) -> None:
        pipeline = self._server.pipeline(transaction=False)
        for key, reply in group:
            entry = _Entry(key, reply.fetched_at, self._compress(reply.body))
            pipeline.set(key, msgspec.msgpack.encode(entry), ex=self._life)
        await pipeline.execute()

    def _is_here(self) -> None:
        if self._has_told:
            self._has_told = False
            log.warning("the page cache %s answers again", self._name)

    def _is_away(self, error: Exception) -> None:
        """Say once that the server cannot be used, and leave it alone for some seconds."""
        self._away_until = self._clock() + _PAUSE_SECONDS
        if self._has_told:
            return
        self._has_told = True
        reason = " ".join(str(error).split()) or "it did not answer in time"
        for secret in self._secrets:
            reason = reason.replace(secret, "[password]")
        log.warning(
            "the page cache %s cannot be used (%s): pages are requested", self._name, reason
        )

    def __repr__(self) -> str:
        return f"<RedisPages {self._name}>"


def _read_url(url: str) -> tuple[str, str, list[str]]:
    """Return the address for redis-py, the address without user and password, and the secrets."""
    scheme, _, rest = url.partition("://")
    try:
        address = f"{_SCHEMES[scheme.lower()]}://{rest}"
        parts = urlsplit(address)
        port, password = parts.port, parts.password
        # Reads all of the address, options included; connects to nothing.
        options = redis.asyncio.ConnectionPool.from_url(address).connection_kwargs
    except (ValueError, KeyError, TypeError, RedisError):
        raise InvalidRequestError(
            "the address of the cache cannot be read: write it like redis://HOST:PORT/DATABASE, "
            "with special characters of the password percent-encoded (@ as %40, / as %2F)"
        ) from None
    if "@" in (parts.path + parts.query):
        raise InvalidRequestError(
            "the address of the cache has an @ in a place where none is allowed, which usually "
            "belongs to the password: write it as %40"
        )
    host = parts.hostname or "localhost"
    name = f"{scheme.lower()}://{host}{f':{port}' if port else ''}/{options.get('db', 0)}"
    secrets = {text for text in (password, options.get("password")) if text}
    return address, name, sorted(map(str, secrets), key=len, reverse=True)
