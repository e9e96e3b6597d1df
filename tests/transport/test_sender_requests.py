from __future__ import annotations

import asyncio
import gzip
import random
import re
import socket
import warnings
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from tests.support.making import row
from tests.support.sessions import (
    Server,
    head,
    make_gate,
    new_state,
    open_session,
    page,
    request,
    send_reply,
)
from tmapi_async import (
    ClosedError,
    ConnectionFailedError,
    DeadlineError,
    InsecureTransportWarning,
    Page,
    RedirectError,
    ReplyTooLargeError,
    RetryPolicy,
    TMAPIError,
)
from tmapi_async.transport import credentials

if TYPE_CHECKING:
    from tmapi_async.transport.session import Session

pytestmark = pytest.mark.usefixtures("transport")  # each test runs on both HTTP transports
ODD_TOKENS = ("plain-t0ken", "a+b/c=d&e%41?\"<'>\\z~!*()", "#&?=%00", "%25", "a;b,c:d@e[f]{g}|h^`$")
ONCE = RetryPolicy(base=0, max_attempts=1)


async def answer_pages(server: Server, request_head: str, writer: Any) -> None:
    """Answer every request with the page it asks for."""
    del server
    number = int(re.search(r"page=(\d+)", request_head)[1])  # type: ignore[index]
    await send_reply(writer, page(number))


async def outcome(session: Session, number: int = 1) -> Page | TMAPIError:
    """Return the page, or the error raised in its place."""
    try:
        return await session.fetch(request(number), new_state(session))
    except TMAPIError as error:
        return error


def headers_of(sent: str) -> dict[str, str]:
    """Return the header fields of a request, names in lower case; none may come twice."""
    lines = [line.split(": ", 1) for line in sent.split("\r\n")[1:] if line]
    names = [name.lower() for name, _ in lines]
    assert len(set(names)) == len(names)
    return {name.lower(): value for name, value in lines}


@pytest.mark.parametrize("token", ODD_TOKENS)
async def test_the_token_travels_in_the_query(token: str) -> None:
    """By default the token is the last query field, percent-encoded, and in no header."""
    async with (
        Server(answer_pages) as server,
        open_session(base_url=server.url, token=token) as session,
    ):
        for number in (1, 2):
            await outcome(session, number)
        for number, (sent, target) in enumerate(zip(server.heads, server.targets, strict=True), 1):
            path, query = target.split("?")
            assert path == "/1688/category/items"
            fields = query.split("&")
            assert fields[:2] == ["cat_id=5", f"page={number}"]
            name, value = fields[2].split("=")
            assert (name, unquote(value), len(fields)) == ("apiToken", token, 3)
            assert re.fullmatch(r"([A-Za-z0-9_.~-]|%[0-9A-F]{2})+", value)
            assert "apikey" not in headers_of(sent)


@pytest.mark.parametrize("token", ODD_TOKENS)
async def test_the_token_travels_in_the_header(token: str) -> None:
    """With header auth the token is in `apikey`, as it is, and not in the query."""
    async with (
        Server(answer_pages) as server,
        open_session(base_url=server.url, token=token, auth="header") as session,
    ):
        for number in (1, 2):
            await outcome(session, number)
        assert server.targets == [f"/1688/category/items?cat_id=5&page={n}" for n in (1, 2)]
        for sent in server.heads:
            assert headers_of(sent)["apikey"] == token


async def test_a_request_is_a_plain_get() -> None:
    """Each request has the same head: GET and five fields, and nothing else."""
    async with Server(answer_pages) as server, open_session(base_url=server.url) as session:
        for number in (1, 2, 3):
            await outcome(session, number)
        for sent in server.heads:
            assert sent.startswith("GET ")
            fields = headers_of(sent)
            assert fields["host"] == server.url.removeprefix("http://")
            assert fields["user-agent"].startswith("tmapi-async")
            assert fields["accept"] == "application/json"
            assert "gzip" in fields["accept-encoding"]
            assert fields["cache-control"] == "no-cache"
            names = {"host", "user-agent", "accept", "accept-encoding", "cache-control"}
            assert set(fields) == names


@pytest.mark.parametrize("prefix", ["", "/", "/gateway/v1", "/gateway/v1/", "/a%20b"])
async def test_a_prefix_goes_before_the_path(prefix: str) -> None:
    """The base URL's path is put before the endpoint's, with one slash between them."""
    async with (
        Server(answer_pages) as server,
        open_session(base_url=server.url + prefix) as session,
    ):
        assert isinstance(await outcome(session), Page)
        assert server.targets[0].startswith(f"{prefix.rstrip('/')}/1688/category/items?cat_id=5&")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    """A redirect is an error at once: the token is sent to nobody else, nor a second time."""

    async def redirect(server: Server, _: str, writer: Any) -> None:
        await send_reply(writer, b"{}", status, f"Location: {server.url}/elsewhere")

    async with Server(redirect) as server, open_session(base_url=server.url) as session:
        assert type(await outcome(session)) is RedirectError
        assert len(server.heads) == 1


async def test_no_cookie_is_taken() -> None:
    """A cookie set by a server is not sent back."""

    async def baking(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, page(1), "200 OK", "Set-Cookie: id=1; Path=/")

    async with Server(baking) as server, open_session(base_url=server.url) as session:
        for _ in range(3):
            await outcome(session)
        assert all("cookie" not in headers_of(sent) for sent in server.heads)


async def test_a_connection_is_used_again() -> None:
    """Pages one after another come over one connection."""
    ports = set()

    async def note(server: Server, request_head: str, writer: Any) -> None:
        ports.add(writer.get_extra_info("peername"))
        await answer_pages(server, request_head, writer)

    async with Server(note) as server, open_session(base_url=server.url) as session:
        for number in range(1, 11):
            await outcome(session, number)
        assert (len(server.heads), len(ports)) == (10, 1)


async def test_a_dropped_connection_is_one_attempt() -> None:
    """A kept connection that drops is not retried by aiohttp: one request is one attempt."""

    async def drop(server: Server, request_head: str, writer: Any) -> None:
        if len(server.heads) in (1, 3):
            await answer_pages(server, request_head, writer)
        else:
            writer.close()

    async with (
        Server(drop) as server,
        open_session(make_gate(1, budget=9), base_url=server.url) as session,
    ):
        first = new_state(session)
        assert isinstance(await session.fetch(request(1), first), Page)
        second = await session.fetch(request(2), first)
        assert (second.attempts, len(server.heads)) == (2, 3)
        assert (first.counts.requests, first.counts.retries) == (3, 1)
        assert first.counts.codes == {"200": 2, "connection": 1}
        assert session.gate.statistics().requests == 3


@pytest.mark.parametrize("auth", ["query", "header"])
async def test_every_page_is_the_one_asked_for(auth: str) -> None:
    """With many at once over connections that drop, stall and trickle, no reply is mixed up."""
    dice = random.Random(7)  # noqa: S311 - chance, not a secret

    async def behave(_: Server, request_head: str, writer: Any) -> None:
        fate = dice.random()
        number = int(re.search(r"page=(\d+)", request_head)[1])  # type: ignore[index]
        body = page(number, title="x" * dice.randrange(9000))
        if fate < 0.1:
            writer.close()
        elif fate < 0.2:
            writer.write(head(len(body)) + body[: len(body) // 2])
            writer.close()
        elif fate < 0.4:
            writer.write(head(len(body)))
            for start in range(0, len(body), 1000):
                writer.write(body[start : start + 1000])
                await asyncio.sleep(0)
        elif fate < 0.6:
            packed = gzip.compress(body, 1)
            await send_reply(writer, packed, "200 OK", "Content-Encoding: gzip")
        else:
            await send_reply(writer, body)

    gate = make_gate(16, budget=2000)
    async with (
        Server(behave) as server,
        open_session(gate, base_url=server.url, auth=auth) as session,
    ):
        pages = await asyncio.gather(
            *(session.fetch(request(number), new_state(session)) for number in range(1, 301))
        )
        for number, result in enumerate(pages, 1):
            assert result.items[0].item_id == row(number)["item_id"]
            assert (result.number, result.echoed_page) == (number, number)
        assert sum(result.attempts for result in pages) == len(server.heads)
        assert gate.statistics().requests == len(server.heads)
        assert gate.statistics().in_flight == 0


def packed(body: bytes, coding: str) -> bytes:
    """Return a body in a content coding."""
    return gzip.compress(body) if coding == "gzip" else zlib.compress(body)


@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("beyond", [0, 1])
async def test_the_size_of_a_body_is_bounded(coding: str, framing: str, beyond: int) -> None:
    """A body of exactly the limit is accepted, one byte more is not, for any coding and framing."""
    body = page(1, title="x" * 200_000)

    async def behave(_: Server, __: str, writer: Any) -> None:
        sent = body if coding == "identity" else packed(body, coding)
        more = () if coding == "identity" else (f"Content-Encoding: {coding}",)
        if framing == "length":
            await send_reply(writer, sent, "200 OK", *more)
        elif framing == "close":
            writer.write(head(None, "200 OK", "Connection: close", *more) + sent)
            writer.close()
        else:
            writer.write(head(None, "200 OK", "Transfer-Encoding: chunked", *more))
            for start in range(0, len(sent), 5000):
                piece = sent[start : start + 5000]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    limit = len(body) - beyond
    async with (
        Server(behave) as server,
        open_session(base_url=server.url, max_body=limit) as session,
    ):
        result = await outcome(session)
        if beyond:
            assert type(result) is ReplyTooLargeError
            assert str(limit) in str(result)
            assert len(server.heads) == 1
        else:
            assert isinstance(result, Page)
            assert result.body == body


async def test_a_bomb_is_not_unpacked() -> None:
    """Reading stops when a small compressed body exceeds the limit, and its slot is free."""
    bomb = gzip.compress(b"\0" * 2**26, 1)
    assert len(bomb) < 2**19

    async def behave(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, bomb, "200 OK", "Content-Encoding: gzip")

    async with (
        Server(behave) as server,
        open_session(base_url=server.url, max_body=2**16) as session,
    ):
        assert type(await outcome(session)) is ReplyTooLargeError
        assert session.gate.statistics().in_flight == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_the_compressed_size_of_a_body_is_bounded(framing: str) -> None:
    """A body of many compressed bytes is not accepted because it unpacks to few."""
    squeeze = zlib.compressobj(wbits=31)
    sent = squeeze.compress(page())
    for _ in range(40_000):
        sent += squeeze.compress(b" ") + squeeze.flush(zlib.Z_FULL_FLUSH)
    sent += squeeze.flush()

    async def behave(_: Server, __: str, writer: Any) -> None:
        more = ("200 OK", "Content-Encoding: gzip")
        if framing == "length":
            await send_reply(writer, sent, *more)
        else:
            writer.write(head(None, *more, "Transfer-Encoding: chunked"))
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent))

    limit = 2**17
    assert len(zlib.decompress(sent, wbits=31)) < limit < len(sent)
    async with (
        Server(behave) as server,
        open_session(base_url=server.url, max_body=limit) as session,
    ):
        assert type(await outcome(session)) is ReplyTooLargeError
        assert len(server.heads) == 1


@pytest.mark.parametrize(
    "sent",
    [
        head(500) + b'{"code": 200, ',
        head(None, "200 OK", "Transfer-Encoding: chunked") + b"ff\r\nhalf",
        head(20, "200 OK", "Content-Encoding: gzip") + b"this is no gzip at all, sorry",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"no http at all\r\n\r\n",
        b"",
        b"HTTP/1.1 200",
    ],
)
async def test_a_broken_reply_is_a_failed_connection(sent: bytes) -> None:
    """A reply that is cut, or is not HTTP, is a failed connection; its text is not shown."""

    async def behave(_: Server, __: str, writer: Any) -> None:
        writer.write(sent)
        writer.close()

    async with Server(behave) as server, open_session(base_url=server.url, policy=ONCE) as session:
        error = await outcome(session)
        assert isinstance(error, ConnectionFailedError)
        assert error.message.startswith(server.url.removeprefix("http://"))
        assert ("not valid HTTP" in error.message) == (b"no http" in sent or b"Length: x" in sent)
        assert error.__context__ is error.__cause__ is None
        assert session.gate.statistics().in_flight == 0


async def test_a_body_that_never_ends_meets_the_deadline() -> None:
    """The deadline counts until the body is read, not only until its head is there."""

    async def behave(_: Server, __: str, writer: Any) -> None:
        writer.write(head(500) + b"{")
        await writer.drain()
        await asyncio.sleep(30)

    async with (
        Server(behave) as server,
        open_session(base_url=server.url, timeout=0.05, policy=ONCE) as session,
    ):
        error = await outcome(session)
        assert type(error) is DeadlineError
        assert "0.05 s" in str(error)


class Home(AbstractResolver):
    """Resolves every host to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[Any]:
        """Return an address of this machine."""
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": family or socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self) -> None:
        """Close nothing."""


async def test_plain_http_elsewhere_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session over plain http to another host warns when it is opened, the first time."""
    monkeypatch.setattr(credentials, "warned_hosts", set())
    async with Server(answer_pages) as server:
        port = server.url.rsplit(":", 1)[1]
        for opening in range(2):
            connector = aiohttp.TCPConnector(resolver=Home())
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                async with open_session(
                    base_url=f"http://api.test:{port}", connector=connector
                ) as made:
                    assert isinstance(await outcome(made), Page)
            assert [w.category for w in caught] == [InsecureTransportWarning][opening:]
            assert not connector.closed
            await connector.close()
        assert headers_of(server.heads[0])["host"] == f"api.test:{port}"


async def test_a_closed_session_sends_nothing() -> None:
    """Before it is opened, and after it was closed, a session refuses, and nothing is counted."""
    async with Server(answer_pages) as server:
        async with open_session(base_url=server.url) as session:
            await outcome(session)
        for _ in range(2):
            assert type(await outcome(session)) is ClosedError
        await session.open()
        assert isinstance(await outcome(session, 2), Page)
        await session.close()
        assert len(server.heads) == 2
        assert session.gate.statistics().requests == 2
