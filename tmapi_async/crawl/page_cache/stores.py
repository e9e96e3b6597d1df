"""Interfaces of the places that keep replies, and the reply that they keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from tmapi_async.api.listings import PageRequest


class StoredReply(msgspec.Struct, frozen=True, gc=False):
    """The reply that brought a page.

    Attributes:
        fetched_at: Time at which the body had been read, seconds since 1970, UTC.
        body: Body of the reply.
    """

    fetched_at: float
    body: bytes


class ReplyStore(Protocol):
    """Keeps the latest reply of each page.

    No method but `open` raises an error: a store that fails keeps nothing, says so once in the log,
    and pages are requested.

    Attributes:
        on_emptied: Called when the store lost its replies: the pages of the memory go, too.
    """

    on_emptied: Callable[[], None]

    async def open(self, origin: str) -> None:
        """Prepare for look-ups.

        Args:
            origin: Host of the API, with the prefix of its paths. Replies of others are not seen.

        Raises:
            InvalidRequestError: The store belongs to another program.
        """
        ...

    def keep(self, request: PageRequest, reply: StoredReply) -> None:
        """Keep a reply. It is written soon, and at the latest by `close`."""
        ...

    async def close(self) -> None:
        """Write what is left to be written, and close the store."""
        ...

    def abandon(self) -> None:
        """Close the store after its event loop was closed."""
        ...


class NearStore(ReplyStore, Protocol):
    """A store on this machine, which answers at once."""

    def find(self, request: PageRequest) -> StoredReply | None:
        """Return the latest reply of a page, or None."""
        ...


class FarStore(ReplyStore, Protocol):
    """A store behind a network."""

    async def fetch(self, request: PageRequest) -> StoredReply | None:
        """Return the latest reply of a page, or None."""
        ...
