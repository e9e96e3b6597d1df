"""Messages on a stream: each is preceded by its length."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import cast

import msgspec

from .messages import encode

_LENGTH = 4
_MAX_MESSAGE = 8 * 2**20
_CREDENTIALS = "3i"


class MessageStream(asyncio.Protocol):
    """One end of a connection between two processes of one user.

    Attributes:
        on_message: Called with each message, packed.
        on_lost: Called once when the connection has ended.

    Args:
        on_open: Called when the connection is open and the other end belongs to this user.
    """

    def __init__(self, on_open: Callable[[MessageStream], None] | None = None) -> None:
        self.on_message: Callable[[memoryview], None] = _ignore
        self.on_lost: Callable[[], None] = _ignore_end
        self._on_open = on_open
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, unless the other end belongs to another user."""
        # uvloop's is no subclass of asyncio.Transport, though it does the same.
        self._transport = cast("asyncio.Transport", transport)
        if not _is_own(transport.get_extra_info("socket")):
            self.cut()
        elif self._on_open is not None:
            self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Hand over each message that is complete."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _LENGTH:
                length = int.from_bytes(buffer[start : start + _LENGTH], "big")
                if length > _MAX_MESSAGE:
                    self.cut()
                    return
                end = start + _LENGTH + length
                if len(buffer) < end:
                    break
                self.on_message(memoryview(bytes(buffer[start + _LENGTH : end])))
                start = end
        except msgspec.MsgspecError:  # no process of this version
            self.cut()
            return
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection has ended."""
        del exc
        self._transport = None
        self.on_lost()

    @property
    def is_open(self) -> bool:
        """True while messages can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: object) -> None:
        """Send a message; does nothing if the connection has ended."""
        if self._transport is not None and not self._transport.is_closing():
            packed = encode(message)
            self._transport.write(len(packed).to_bytes(_LENGTH, "big") + packed)

    def close(self) -> None:
        """End the connection when all has been sent, and call nobody any more."""
        self.on_message, self.on_lost = _ignore, _ignore_end
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def close_in_child(self) -> None:
        """Close this process's copy of the socket after a fork."""
        transport, self._transport = self._transport, None
        if transport is not None:
            release_in_child(transport.get_extra_info("socket"))


def release_in_child(sock: socket.socket) -> None:
    """Give up a socket that was inherited by a fork, so that it ends with the parent.

    The number of the file stays taken: the object that has it closes it some time.
    """
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, sock.fileno())
        os.close(nothing)


def _is_own(sock: socket.socket) -> bool:
    """Return True if the other end belongs to this user, as far as the system tells."""
    if sys.platform == "win32" or not hasattr(socket, "SO_PEERCRED"):
        return True  # nobody else can enter the folder
    size = struct.calcsize(_CREDENTIALS)
    packed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, _ = struct.unpack(_CREDENTIALS, packed)
    return bool(uid == os.getuid())


def _ignore(message: memoryview) -> None:
    del message


def _ignore_end() -> None:
    pass
