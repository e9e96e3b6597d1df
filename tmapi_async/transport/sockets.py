"""Sockets that read in blocks of about the size of a page."""

from __future__ import annotations

import socket
from typing import Any

MAX_READ = 2**16
"""Maximum number of bytes per read; a page has about 13 KB."""


class PageSocket(socket.socket):
    """A socket that never reads more than 64 KiB at a time.

    asyncio asks for 256 KiB each time. The allocator takes a block of that size from the system
    and returns most of it afterwards. This causes several page faults for each reply, and took a
    seventh of the client's time per page. Loops that do not call `recv` (uvloop, Windows) are
    unaffected.
    """

    __slots__ = ()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read the available bytes, at most 64 KiB."""
        return super().recv(min(bufsize, MAX_READ), flags)


def make_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket for an address from `getaddrinfo`. Passed to aiohttp as `socket_factory`."""
    family, kind, protocol, *_ = address
    return PageSocket(family, kind, protocol)
