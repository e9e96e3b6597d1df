"""Memory that connections read into, with the head that replies there usually have. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not at run time: a version of aiohttp without it must still import this module
    from aiohttp.http import RawResponseMessage

_LENGTH = b"\ncontent-length:"
_NO_HEAD = 2**62  # longer than anything that is read

_PATIENCE = 16
"""Heads, each of which came once, after which a server is taken for one that numbers its replies.
From then on only one head of so many is looked at: that costs nearly nothing."""


class ReadMemory:
    """Memory that the connections of one loop share, because what was read is used up at once.

    A server sends the same head with each reply, but for the length of the body and, once a second,
    the date. A head that differs from a parsed one in no more than the length says the same, so it
    need not be parsed.

    Args:
        size: Number of bytes.

    Attributes:
        bytes: The memory.
        view: The memory, to be read into.
        head_size: Size of the known head in bytes; higher than `size` while none is known.
        head_start: The known head up to the length of the body.
        head_end: The known head from there on.
        status: HTTP status in the known head.
        headers: Header fields of the known head, without the length of the body.
        came_again: True once a reply had the known head; set by the reader.
    """

    __slots__ = (
        "_single", "bytes", "came_again", "head_end", "head_size", "head_start", "headers",
        "status", "view",
    )  # fmt: skip

    def __init__(self, size: int) -> None:
        self.bytes = bytearray(size)
        self.view = memoryview(self.bytes)
        self.head_size = _NO_HEAD
        self.head_start = self.head_end = b""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.came_again = False
        self._single = 0  # heads in a row that came once

    def know(self, head: bytes, message: RawResponseMessage) -> None:
        """Know the head of a reply with a body of known length, in place of any other head.

        Args:
            head: All of the head.
            message: The head, parsed.
        """
        self._single = 0 if self.came_again else self._single + 1
        self.came_again = False
        if self._single > _PATIENCE and self._single % _PATIENCE:
            return
        lower, length = head.lower(), message.headers["Content-Length"].encode()
        before, name, after = lower.partition(_LENGTH)
        digits = after.lstrip(b" \t")
        # Otherwise the head has a form of which nothing is known.
        if _LENGTH in after or not digits.startswith(length) or length.startswith(b"0"):
            return
        start = len(before) + len(name) + len(after) - len(digits)
        self.head_start, self.head_end = head[:start], head[start + len(length) :]
        self.head_size, self.status = len(head), message.code
        headers = message.headers.copy()
        del headers["Content-Length"]
        self.headers = headers

    def __repr__(self) -> str:
        known = "a head is known" if self.head_size < _NO_HEAD else "no head is known"
        return f"<ReadMemory: {len(self.bytes)} bytes, {known}>"
