"""Read the replies of one connection, one after another, with aiohttp's parser. No I/O.

The parser hands a body to a stream that a task reads while it comes. Here the whole body is
collected first, so that a task is woken once for each reply.

A body of known length, neither compressed nor in chunks, needs no parser: only its head is parsed.
The first reply of a connection that is not of this kind ends that: from then on the parser reads
all of it. A head that was parsed before, but for the length, is not parsed again (`ReadMemory`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import http

from tmapi_async.api.replies import Reply
from tmapi_async.transport.http import MAX_HEAD_LINE, BodyTooLargeError

from .read_memory import ReadMemory

if TYPE_CHECKING:  # not at run time: a version of aiohttp without it must still import this module
    from aiohttp.http import RawResponseMessage
    from aiohttp.streams import StreamReader

_SWITCHED = 101  # to another protocol
_INTERIM = frozenset({*range(100, 200)} - {_SWITCHED})
_SPECIAL = frozenset((*range(100, 200), 204, 304))
"""Statuses of replies that have no body, whatever the head says."""

_MOST_DIGITS = 18  # of a length
_CUT_OFF = "the connection ended before the reply"
_USUAL_HEAD = 2**11
"""Bytes in which the head of a reply ends; the parser reads replies with a longer one."""

_PIECE = 2**18
"""Bytes that the parser decompresses before it pauses."""


class ReplyReader:
    """Reads replies, one after another.

    The parser and its streams call `pause_reading` and `resume_reading`, as those of a protocol.

    Args:
        loop: Event loop of the connection.
        max_body: Longest body accepted, in bytes, compressed and decompressed.
        connection: Connection that brings the replies; a part of each reply.
        memory: Memory that `feed_memory` reads, shared with other readers.

    Attributes:
        is_reusable: False once another request must not be sent on the connection: the server said
            so, or sent more than one reply.
    """

    __slots__ = (
        "_connection", "_heads", "_is_paused", "_loop", "_max_body", "_memory", "_message",
        "_missing", "_parser", "_payload", "_pieces", "_size", "_was_paused", "is_reusable",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        max_body: int,
        connection: object = None,
        memory: ReadMemory | None = None,
    ) -> None:
        self._loop = loop
        self._max_body = max_body
        self._connection = connection
        self._memory = memory or ReadMemory(0)
        self._message: RawResponseMessage | None = None
        self._pieces: list[bytes] = []
        self.is_reusable = True
        # Of heads alone; None once there was a reply that needs the parser for its body, too.
        self._heads: Any = self._new_parser(with_body=False)
        self._missing = 0  # bytes of a body of known length
        self._parser: Any = None
        self._payload: StreamReader | None = None
        self._size = 0
        self._is_paused = self._was_paused = False

    def feed_memory(self, nbytes: int) -> Reply | None:
        """Read the first bytes of the memory, as `feed` does.

        Args:
            nbytes: Number of bytes.
        """
        memory = self._memory
        size = memory.head_size
        length = nbytes - size
        if 0 < length <= self._max_body and not self._missing and self._heads is not None:
            # The head of a whole reply must be this one to be known.
            head = b"%b%d%b" % (memory.head_start, length, memory.head_end)
            if len(head) == size and memory.bytes.startswith(head):
                memory.came_again = True
                body = bytes(memory.view[size:nbytes])
                return Reply(memory.status, memory.headers, body, self._connection)
        return self.feed(memory.view[:nbytes])

    def feed(self, data: bytes | memoryview) -> Reply | None:
        """Read bytes of the connection; none of them is used after the call.

        Returns:
            The reply, if it is complete; else None.

        Raises:
            BodyTooLargeError: The body is longer than the limit.
            aiohttp.ClientPayloadError: The body cannot be decompressed.
            Exception: The bytes are not HTTP that aiohttp's parser understands.
        """
        if self._missing:
            return self._add(data)
        if self._heads is not None:
            start = bytes(data[:_USUAL_HEAD])
            end = start.find(b"\n\r\n") + 3
            if self._reads_head(start[:end]):
                if self._missing != len(data) - end:
                    return self._add(data[end:])
                # All of the reply has come at once, as usual.
                message, self._message, self._missing = self._message, None, 0
                assert message is not None  # noqa: S101 - for mypy
                return Reply(message.code, message.headers, bytes(data[end:]), self._connection)
            self._heads, self._parser = None, self._new_parser()
        return self._parse(bytes(data))

    def feed_eof(self) -> Reply | None:
        """Read the end of the connection.

        Returns:
            The reply, if it lasts until the connection ends; None if it has not begun.

        Raises:
            aiohttp.ClientPayloadError: The reply has begun, and is not complete.
        """
        self.is_reusable = False
        if self._missing:
            raise aiohttp.ClientPayloadError(_CUT_OFF)
        if self._heads is not None:
            return None
        try:
            self._parser.feed_eof()
        except Exception as error:
            if self._payload is None:
                return None
            raise aiohttp.ClientPayloadError(_CUT_OFF) from error
        if self._payload is None:
            return None
        return self._reply(self._payload.read_nowait())

    def pause_reading(self) -> None:
        """Stop the parser: what it has read so far is much, and is counted first."""
        self._is_paused = self._was_paused = True
        self._parser.pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do nothing: the parser is resumed after each pause."""

    def _new_parser(self, *, with_body: bool = True) -> Any:
        return http.HttpResponseParser(
            self,  # type: ignore[arg-type]
            self._loop,
            _PIECE,
            payload_exception=aiohttp.ClientPayloadError,
            response_with_body=with_body,
            read_until_eof=True,
            max_line_size=MAX_HEAD_LINE,
            max_field_size=MAX_HEAD_LINE,
        )

    # -- bodies of known length

    def _reads_head(self, head: bytes) -> bool:
        """Return True if the head is that of a reply whose body needs no parser."""
        # The head must be all that the parser sees. It also takes a bare line feed for a line end,
        # and a bare carriage return.
        if not head or b"\n\n" in head or head.count(b"\r") != head.count(b"\r\n"):
            return False
        try:
            messages, upgraded, _ = self._heads.feed_data(head)
        except Exception:  # noqa: BLE001 - the other parser says what is wrong
            return False
        if len(messages) != 1 or upgraded:
            return False
        message = messages[0][0]
        length = message.headers.get("Content-Length", "")
        if message.chunked or message.compression is not None or message.code in _SPECIAL:
            return False
        size = int(length) if length.isdecimal() and len(length) <= _MOST_DIGITS else 0
        if not size:
            return False
        if size > self._max_body:
            raise BodyTooLargeError
        if message.should_close:
            self.is_reusable = False
        else:
            self._memory.know(head, message)
        self._message, self._missing = message, size
        return True

    def _add(self, data: bytes | memoryview) -> Reply | None:
        missing = self._missing - len(data)
        if missing > 0:
            self._missing = missing
            self._pieces.append(bytes(data))
            return None
        if missing < 0:
            self.is_reusable = False  # more than the reply has come
            data = data[:missing]
        self._missing = 0
        return self._reply(bytes(data))

    # -- other bodies

    def _parse(self, data: bytes) -> Reply | None:
        messages, upgraded, _ = self._parser.feed_data(data)
        self._note(messages, upgraded)
        payload = self._payload
        if payload is None:
            return None
        if self._was_paused:
            self._read_on()
        if not payload.is_eof():
            self._collect()
            return None
        if self.is_reusable and self._has_begun():
            self.is_reusable = False
        self._parser = self._new_parser()
        return self._reply(payload.read_nowait())

    def _has_begun(self) -> bool:
        """Return True if the parser has begun to read a reply that nobody asked for."""
        try:
            return self._parser.feed_eof() is not None
        except Exception:  # noqa: BLE001 - a cut-off head may be anything
            return True

    def _note(self, messages: Any, upgraded: bool) -> None:
        for message, payload in messages:
            if self._message is not None:
                self.is_reusable = False  # a second reply
            elif message.code not in _INTERIM:
                self._message, self._payload = message, payload
                if message.should_close or upgraded or message.code == _SWITCHED:
                    self.is_reusable = False

    def _read_on(self) -> None:
        """Let the parser read what it has kept back, piece by piece."""
        # It may keep something back without saying so after it was paused once: ask it each time.
        self._is_paused = True
        while self._is_paused:
            self._is_paused = False
            self._collect()
            messages, upgraded, _ = self._parser.feed_data(b"")
            self._note(messages, upgraded)

    def _collect(self) -> None:
        """Take what has come of the body."""
        message, payload = self._message, self._payload
        assert message is not None and payload is not None  # noqa: PT018, S101 - for mypy
        if not self._pieces:
            # First, so that nothing of a body that is too long is read in vain.
            length = message.headers.get("Content-Length", "")
            if length.isdecimal() and float(length) > self._max_body:
                raise BodyTooLargeError
        piece = payload.read_nowait()
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._max_body or payload.total_raw_bytes > self._max_body:
            raise BodyTooLargeError

    def _reply(self, piece: bytes) -> Reply:
        message, payload, body = self._message, self._payload, piece
        assert message is not None  # noqa: S101 - for mypy
        if self._pieces:
            body = b"".join([*self._pieces, piece])
            self._pieces, self._size, self._was_paused = [], 0, False
        self._message = self._payload = None
        if payload is not None:
            size = len(body) if message.compression is None else payload.total_raw_bytes
            if max(size, len(body)) > self._max_body:
                raise BodyTooLargeError
        return Reply(message.code, message.headers, body, self._connection)

    def __repr__(self) -> str:
        return f"<ReplyReader: {'between replies' if self._message is None else 'reading'}>"


def reads_replies() -> bool:
    """Return True if the parser of the installed aiohttp can be used as it is here."""
    no_loop: Any = object()  # nothing is waited for
    try:
        reader = ReplyReader(no_loop, 10)
        replies = [reader.feed(data) for data in _TRIALS]
    except Exception:  # noqa: BLE001 - whatever a changed parser raises
        return False
    bodies = [(reply.status, reply.body) for reply in replies if reply is not None]
    return bodies == [(200, b"{}")] * len(_TRIALS) and reader.is_reusable


_TRIALS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
)
