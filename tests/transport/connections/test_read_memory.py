"""Heads that are known: replies after them are as if each head were parsed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import head
from tmapi_async.api.replies import Reply
from tmapi_async.transport.connections.read_memory import ReadMemory
from tmapi_async.transport.connections.reply_reader import ReplyReader
from tmapi_async.transport.http import BodyTooLargeError

NO_LOOP: Any = object()  # nothing is waited for
MAX_BODY = 2000


class Connections:
    """Readers that share a memory, and a reader without one that reads the same.

    Args:
        readers: Number of readers that share the memory.
    """

    def __init__(self, readers: int = 1) -> None:
        self.memory = ReadMemory(4096)
        self.readers = [ReplyReader(NO_LOOP, MAX_BODY, memory=self.memory) for _ in range(readers)]
        self.careful = [ReplyReader(NO_LOOP, MAX_BODY) for _ in range(readers)]

    def read(self, data: bytes, number: int = 0) -> Reply | None:
        """Let a reader read bytes out of the shared memory."""
        self.memory.view[: len(data)] = data
        return self.readers[number].feed_memory(len(data))

    def reads_alike(self, data: bytes, number: int) -> bool:
        """Return True if both kinds of readers understand the same."""
        return outcome(self.read, self.readers[number], data, number) == outcome(
            self.careful[number].feed, self.careful[number], data
        )


def outcome(feed: Any, reader: ReplyReader, data: bytes, *args: int) -> object:
    """Return a reply in parts, or the class of the failure."""
    try:
        reply = feed(data, *args)
    except Exception as error:  # noqa: BLE001 - whatever the parser raises
        return type(error)
    if reply is None:
        return None, reader.is_reusable
    fields = sorted((k.lower(), v) for k, v in reply.headers.items() if k != "Content-Length")
    return reply.status, reply.body, fields, reader.is_reusable


def known(connections: Connections) -> Reply:
    """Let the first reader learn a head; return a reply after it."""
    for _ in range(2):
        reply = connections.read(head(100, "200 OK", "Date: now") + bytes(100))
    assert reply is not None
    return reply


FIELDS = st.lists(
    st.sampled_from(
        [
            "Date: now", "Date: then", "Age: 3", "Connection: close", "Content-Length: 7",
            "Access-Control-Expose-Headers: Content-Length", "Transfer-Encoding: chunked",
            "Content-Encoding: gzip", "X-Content-Length: 5", "Upgrade: h2c",
        ]
    ),
    max_size=2,
)  # fmt: skip
LENGTHS = st.sampled_from(["5", "05", " 5 ", "9", "10", "99", "100", "0", "2000", "2001", "5\t"])
REPLIES = st.tuples(
    st.sampled_from(["200 OK", "200 Fine", "404 Not Found", "204 No Content", "304 Not Modified"]),
    FIELDS,
    st.sampled_from(["Content-Length:", "content-length: ", "CONTENT-LENGTH:"]),
    LENGTHS,
    FIELDS,
    st.sampled_from([0, 0, 0, 0, -1, 1, 30]),
)


@given(st.lists(st.tuples(REPLIES, st.integers(0, 1)), min_size=1, max_size=6))
def test_heads_that_are_known_are_read_as_if_they_were_parsed(replies: list[Any]) -> None:
    """Whatever replies come before, a reader understands the same as one that parses each head."""
    connections = Connections(2)
    for (status, before, name, length, after, more), number in replies:
        lines = [f"HTTP/1.1 {status}", *before, f"{name}{length}", *after, "", ""]
        body = bytes(max(0, int(length) + more))
        data = "\r\n".join(lines).encode() + body
        assert connections.reads_alike(data, number)


def test_a_head_is_parsed_once() -> None:
    """Of replies with the same head, bodies of any length, only the first one is parsed."""
    connections = Connections(2)
    first = known(connections)
    assert dict(first.headers) == {"Date": "now"}
    for length in (100, 101, 999, 600):
        reply = connections.read(head(length, "200 OK", "Date: now") + b"x" * length, 1)
        assert reply is not None
        assert (reply.status, reply.body) == (200, b"x" * length)
        assert reply.headers is first.headers


@pytest.mark.parametrize("length", [7, 1000])
def test_a_length_of_another_size_is_read(length: int) -> None:
    """A length of fewer or more digits makes another head, which is parsed and known then."""
    connections = Connections()
    first = known(connections)
    replies = [
        connections.read(head(length, "200 OK", "Date: now") + b"x" * length) for _ in range(2)
    ]
    assert [reply and reply.body for reply in replies] == [b"x" * length] * 2
    assert replies[0] is not None
    assert replies[1] is not None
    assert replies[0].headers is not first.headers
    assert dict(replies[1].headers) == {"Date": "now"}


def test_a_body_that_is_too_long_is_refused_after_a_known_head() -> None:
    """The limit holds whether the head is parsed or not."""
    connections = Connections()
    assert connections.read(head(MAX_BODY, "200 OK") + bytes(MAX_BODY)) is not None
    with pytest.raises(BodyTooLargeError):
        connections.read(head(MAX_BODY + 1, "200 OK") + bytes(MAX_BODY + 1))


def test_a_reply_in_pieces_is_read_after_a_known_head() -> None:
    """A known head whose body is not complete is parsed, and its other pieces are waited for."""
    connections = Connections(2)
    known(connections)
    data = head(100, "200 OK", "Date: now") + b"x" * 100
    assert connections.read(data[:-40]) is None
    assert connections.read(head(100, "200 OK", "Date: now") + bytes(100), 1) is not None
    reply = connections.read(data[-40:])
    assert reply is not None
    assert reply.body == b"x" * 100


def test_a_server_that_numbers_its_replies_is_left_alone_until_heads_come_again() -> None:
    """Heads that come once are looked at no longer; when they repeat, they are soon known."""
    connections = Connections()
    known_ends = set()
    for number in range(320):
        connections.read(head(5, "200 OK", f"X-Request-ID: {number}") + bytes(5))
        known_ends.add(connections.memory.head_end)
    assert len(known_ends) < 320 / 8
    replies = [connections.read(head(5, "200 OK", "Date: now") + bytes(5)) for _ in range(40)]
    assert len({id(reply.headers) for reply in replies[20:] if reply is not None}) == 1
