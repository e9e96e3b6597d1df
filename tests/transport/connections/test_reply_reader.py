"""Replies read from bytes in any pieces: framing, limits, and what follows a reply."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import head, page
from tmapi_async.api.replies import Reply
from tmapi_async.transport.connections.reply_reader import ReplyReader
from tmapi_async.transport.http import BodyTooLargeError

BODY = page(3, title="\u8fde\u8863\u88d9" * 300)
NO_LOOP: Any = object()  # nothing is waited for


def chunked(body: bytes, size: int) -> bytes:
    """Return a body in chunks of a size."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


ENCODINGS = {"": lambda body: body, "gzip": gzip.compress, "deflate": zlib.compress}


def whole(encoding: str, chunk: int, *more: str) -> bytes:
    """Return a reply with `BODY`, from head to end; without chunks if `chunk` is 0."""
    body = ENCODINGS[encoding](BODY)
    fields = [f"Content-Encoding: {encoding}"] if encoding else []
    if not chunk:
        return head(len(body), "200 OK", *fields, *more) + body
    return head(None, "200 OK", "Transfer-Encoding: chunked", *fields, *more) + chunked(body, chunk)


def new_reader(max_body: int = 2**20) -> ReplyReader:
    """Return a reader that has read nothing."""
    return ReplyReader(NO_LOOP, max_body)


def feed(reader: ReplyReader, data: bytes, cuts: list[int]) -> list[Reply]:
    """Read bytes that come in pieces, and return the replies."""
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    return [reply for piece in pieces if (reply := reader.feed(piece)) is not None]


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(ENCODINGS)), st.sampled_from([0, 1, 50, 10**6])),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.integers(0, 2**16), max_size=6),
)
def test_replies_are_the_same_however_they_are_cut(
    kinds: list[tuple[str, int]], cuts: list[int]
) -> None:
    """One reply after another is read whole, in any pieces, chunks and encodings."""
    reader = new_reader()
    for encoding, chunk in kinds:
        (reply,) = feed(reader, whole(encoding, chunk), cuts)
        assert (reply.status, reply.body) == (200, BODY)
        assert reader.is_reusable


ODD_HEADS = [
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello",
    b"HTTP/1.1 200 OK\nContent-Length: 9\n\n\n\r\nhello!",
    b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length:    5   \r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000000005\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: \xd9\xa5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \r\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhello",
    b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n",
]


def outcome(reader: ReplyReader, data: bytes) -> object:
    """Return the reply in parts, or the class of the failure."""
    try:
        reply = reader.feed(data)
    except Exception as error:  # noqa: BLE001 - whatever the parser raises
        return type(error)
    return reply and (reply.status, reply.body, reader.is_reusable)


@pytest.mark.parametrize("data", ODD_HEADS, ids=range(len(ODD_HEADS)))
def test_odd_heads_are_read_as_the_parser_reads_them(data: bytes) -> None:
    """A body that the parser is spared is as long as the parser would have it."""
    parsing = new_reader()
    assert parsing.feed(whole("", 10**6)) is not None  # in chunks: the parser reads all from now on
    assert outcome(new_reader(), data) == outcome(parsing, data)


@pytest.mark.parametrize("stray", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le", whole("", 0)])
@pytest.mark.parametrize(
    "reply",
    [whole("", 0), whole("", 50), whole("gzip", 0), head(0), head(5, "204 No Content")],
    ids=["plain", "chunks", "gzip", "empty", "204"],
)
def test_bytes_behind_a_reply_spoil_the_connection(reply: bytes, stray: bytes) -> None:
    """A reply that nobody asked for, or its beginning, is noticed with the reply before it."""
    reader, usual = new_reader(), new_reader()
    assert usual.feed(reply) is not None
    assert usual.is_reusable
    assert reader.feed(reply + stray) is not None
    assert not reader.is_reusable


@pytest.mark.parametrize(
    "reply",
    [
        whole("", 0, "Connection: close"),
        whole("", 0).replace(b"HTTP/1.1", b"HTTP/1.0"),
        head(None, "101 Switching Protocols", "Upgrade: x", "Connection: upgrade"),
    ],
    ids=["close", "1.0", "upgrade"],
)
def test_a_connection_that_ends_with_its_reply_is_not_used_again(reply: bytes) -> None:
    """What the server says about the connection is heeded."""
    reader = new_reader()
    assert len(feed(reader, reply, [])) == 1
    assert not reader.is_reusable


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_body_ends_with_its_head(status: str) -> None:
    """A length in the head of such a reply is not the length of a body that follows."""
    reader = new_reader()
    for _ in range(2):
        (reply,) = feed(reader, head(5, status), [])
        assert (reply.status, reply.body) == (int(status[:3]), b"")


def test_a_reply_without_length_lasts_until_the_end() -> None:
    """The end of the connection ends the body."""
    reader = new_reader()
    assert feed(reader, head(None) + BODY, [500]) == []
    reply = reader.feed_eof()
    assert reply is not None
    assert reply.body == BODY
    assert not reader.is_reusable


@pytest.mark.parametrize(("encoding", "chunk"), [("", 0), ("", 50), ("gzip", 0), ("gzip", 50)])
def test_a_reply_that_is_cut_off_is_none(encoding: str, chunk: int) -> None:
    """The end before the end of a reply fails; before its head there is no reply."""
    data = whole(encoding, chunk)
    for length in (len(data) - 1, data.index(b"\r\n\r\n") + 8):
        reader = new_reader()
        assert reader.feed(data[:length]) is None
        with pytest.raises(aiohttp.ClientPayloadError):
            reader.feed_eof()
    reader = new_reader()
    assert reader.feed(data[:12]) is None
    assert reader.feed_eof() is None


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("chunk", [0, 50])
def test_a_body_is_as_long_as_the_limit_and_no_longer(encoding: str, chunk: int) -> None:
    """The limit holds for the decompressed body, by one byte."""
    data = whole(encoding, chunk)
    assert new_reader(len(BODY)).feed(data) is not None
    for cuts in ([], [len(data) - 2]):
        with pytest.raises(BodyTooLargeError):
            feed(new_reader(len(BODY) - 1), data, cuts)


def test_a_compressed_body_is_not_longer_than_its_content_may_be() -> None:
    """The limit holds for the compressed body, too, even if nothing is in it."""
    body = gzip.compress(b"") * 60
    chunks = head(None, "200 OK", "Content-Encoding: gzip", "Transfer-Encoding: chunked")
    with pytest.raises(BodyTooLargeError):
        new_reader(1000).feed(chunks + chunked(body, 100))


def test_a_small_reply_that_grows_without_end_costs_no_memory() -> None:
    """A body that decompresses to 64 MiB is given up at the limit, piece by piece."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(2**20)
    body = b"".join(bomb.compress(zeros) for _ in range(64)) + bomb.flush()
    reader = new_reader(2**22)
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            reader.feed(head(len(body), "200 OK", "Content-Encoding: gzip") + body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**23 + 2**22


def test_a_long_compressed_body_is_read_to_its_end() -> None:
    """A body of many times the parser's piece comes whole, in one feed and in several."""
    long = b'{"code": 200, "x": "' + b"0123456789" * 200_000 + b'"}'
    body = gzip.compress(long)
    for framing in (
        head(len(body), "200 OK", "Content-Encoding: gzip") + body,
        head(None, "200 OK", "Content-Encoding: gzip", "Transfer-Encoding: chunked")
        + chunked(body, 1),
        head(None, "200 OK", "Transfer-Encoding: chunked") + chunked(long[:60_000], 1),
    ):
        for cuts in ([], [300, 1000, 1500]):
            (reply,) = feed(new_reader(2**22), framing, cuts)
            assert reply.body in (long, long[:60_000])


def test_a_body_that_cannot_be_decompressed_fails() -> None:
    """Damage in a compressed body is a failure of the reply, not of the parser."""
    with pytest.raises(aiohttp.ClientPayloadError):
        new_reader().feed(head(9, "200 OK", "Content-Encoding: gzip") + b"not gzip!")
