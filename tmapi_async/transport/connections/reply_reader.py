"""Read the replies of one connection, one after another, with aiohttp's parser. No I/O.

The parser hands a body to a stream that a task reads while it comes. Here the whole body is
collected first, so that a task is woken once for each reply.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import http

from tmapi_async.api.replies import Reply
from tmapi_async.transport.http import MAX_HEAD_LINE, BodyTooLargeError

if TYPE_CHECKING:  # not at run time: a version of aiohttp without it must still import this module
    from aiohttp.http import RawResponseMessage
    from aiohttp.streams import StreamReader

_SWITCHED = 101  # to another protocol
_INTERIM = frozenset({*range(100, 200)} - {_SWITCHED})
_PIECE = 2**18
"""Bytes that the parser decompresses before it pauses."""


class ReplyReader:
    """Reads replies, one after another.

    The parser and its streams call `pause_reading` and `resume_reading`, as those of a protocol.

    Args:
        loop: Event loop of the connection.
        max_body: Longest body accepted, in bytes, compressed and decompressed.
        connection: Connection that brings the replies; a part of each reply.

    Attributes:
        is_reusable: False once another request must not be sent on the connection: the server said
            so, or sent more than one reply.
        is_begun: True while the head of a reply has come, and the rest has not.
    """

    __slots__ = (
        "_connection", "_is_paused", "_loop", "_max_body", "_message", "_parser", "_payload",
        "_pieces", "_size", "_was_paused", "is_reusable",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_body: int, connection: object = None
    ) -> None:
        self._loop = loop
        self._max_body = max_body
        self._connection = connection
        self._message: RawResponseMessage | None = None
        self._payload: StreamReader | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_paused = self._was_paused = False
        self.is_reusable = True
        self._parser = self._new_parser()

    @property
    def is_begun(self) -> bool:
        """True while the head of a reply has come, and the rest has not."""
        return self._payload is not None

    def feed(self, data: bytes) -> Reply | None:
        """Read bytes of the connection.

        Returns:
            The reply, if it is complete; else None.

        Raises:
            BodyTooLargeError: The body is longer than the limit.
            aiohttp.ClientPayloadError: The body cannot be decompressed.
            Exception: The bytes are not HTTP that aiohttp's parser understands.
        """
        messages, upgraded, _ = self._parser.feed_data(data)
        if messages:
            self._note(messages, upgraded)
        payload = self._payload
        if payload is None:
            return None
        if self._was_paused:
            self._read_on()
        if not payload.is_eof():
            self._collect()
            return None
        piece = payload.read_nowait()
        self._check_end(data, piece)
        return self._reply(piece)

    def feed_eof(self) -> Reply | None:
        """Read the end of the connection.

        Returns:
            The reply, if it lasts until the connection ends; None if it has not begun.

        Raises:
            aiohttp.ClientPayloadError: The reply has begun, and is not complete.
        """
        self.is_reusable = False
        try:
            self._parser.feed_eof()
        except Exception as error:
            if self._payload is None:
                return None
            raise aiohttp.ClientPayloadError("the reply ended before its end") from error
        if self._payload is None:
            return None
        return self._reply(self._payload.read_nowait())

    def pause_reading(self) -> None:
        """Stop the parser: what it has read so far is much, and is counted first."""
        self._is_paused = self._was_paused = True
        self._parser.pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do nothing: the parser is resumed after each pause."""

    def _new_parser(self) -> Any:
        return http.HttpResponseParser(
            self,  # type: ignore[arg-type]
            self._loop,
            _PIECE,
            payload_exception=aiohttp.ClientPayloadError,
            response_with_body=True,
            read_until_eof=True,
            max_line_size=MAX_HEAD_LINE,
            max_field_size=MAX_HEAD_LINE,
        )

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

    def _check_end(self, data: bytes, piece: bytes) -> None:
        """Notice bytes behind the reply, and make a new parser unless the old one is done."""
        message = self._message
        assert message is not None  # noqa: S101 - for mypy
        if piece and message.compression is None and not message.chunked:
            if data.endswith(piece):
                return
            self.is_reusable = False
        # The parser may have begun to read a reply that nobody asked for.
        self._parser = self._new_parser()

    def _reply(self, piece: bytes) -> Reply:
        message, body = self._message, piece
        assert message is not None  # noqa: S101 - for mypy
        if self._pieces:
            body = b"".join([*self._pieces, piece])
            self._pieces, self._size, self._was_paused = [], 0, False
        self._message = self._payload = None
        if len(body) > self._max_body:
            raise BodyTooLargeError
        return Reply(message.code, message.headers, body, self._connection)

    def __repr__(self) -> str:
        return f"<ReplyReader: {'reading' if self.is_begun else 'between replies'}>"


def reads_replies() -> bool:
    """Return True if the parser of the installed aiohttp can be used as it is here."""
    no_loop: Any = object()  # nothing is waited for
    try:
        reader = ReplyReader(no_loop, 10)
        reply = reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    except Exception:  # noqa: BLE001 - whatever a changed parser raises
        return False
    return reply is not None and (reply.status, reply.body) == (200, b"{}") and reader.is_reusable
