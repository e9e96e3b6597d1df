"""The transport over aiohttp's connections: stray replies, and the parts of aiohttp it needs."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import re
import socket
import ssl
from typing import Any

import aiohttp
import pytest
import trustme

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
from tmapi_async import Page, RetryPolicy
from tmapi_async.errors import ClosedError, ConnectionFailedError
from tmapi_async.transport.connections.page_connection import PageConnection
from tmapi_async.transport.http_client_session import ClientSessionTransport
from tmapi_async.transport.http_connections import ConnectionTransport, missing_parts
from tmapi_async.transport.sender import choose_transport

NO_STRAY_CHECK = pytest.mark.xfail(
    reason="aiohttp's public interface does not show what an idle connection has received",
    strict=True,
)
STRAY_CASES = [
    pytest.param(ConnectionTransport, id="ConnectionTransport"),
    pytest.param(ClientSessionTransport, id="ClientSessionTransport", marks=NO_STRAY_CHECK),
]


def whole(number: int) -> bytes:
    """Return a reply, from head to end."""
    body = page(number)
    return head(len(body)) + body


@pytest.mark.parametrize("factory", STRAY_CASES)
async def test_an_unasked_reply_is_not_taken_for_the_next(factory: Any) -> None:
    """A reply that came over an idle connection is not used: the next page has another one."""
    sent = asyncio.Event()

    async def straying(_: Server, request_head: str, writer: Any) -> None:
        writer.write(whole(int(re.search(r"page=(\d+)", request_head)[1])))  # type: ignore[index]
        await writer.drain()
        await asyncio.sleep(0.02)  # else it comes with the reply, and aiohttp itself sees it
        writer.write(whole(99))
        sent.set()

    async with (
        Server(straying) as server,
        open_session(base_url=server.url, transport=factory) as made,
    ):
        for number in (1, 2, 3):
            sent.clear()
            result = await made.fetch(request(number), new_state(made))
            assert isinstance(result, Page)
            assert (result.echoed_page, result.attempts) == (number, 1)
            await sent.wait()
            await asyncio.sleep(0.02)
        assert len(server.heads) == 3


@pytest.mark.parametrize("owned", [True, False], ids=["own connector", "caller's connector"])
async def test_a_connection_that_brought_a_reply_to_another_request_is_given_up(
    owned: bool,
) -> None:
    """A mixed-up connection is closed: the next replies on it would be mixed up too."""
    used: list[int] = []

    async def one_behind(_: Server, request_head: str, writer: Any) -> None:
        """Answer every request of the first connection with the page of the one before it."""
        port = writer.get_extra_info("peername")[1]
        used.append(port)
        number = int(re.search(r"page=(\d+)", request_head)[1])  # type: ignore[index]
        await send_reply(writer, page(number - 1 if port == used[0] else number))

    async with (
        Server(one_behind) as server,
        aiohttp.TCPConnector() as connector,
        open_session(base_url=server.url, connector=None if owned else connector) as session,
    ):
        for number in (5, 6, 7):
            result = await session.fetch(request(number), new_state(session))
            assert (result.number, result.echoed_page) == (number, number)
    assert used.count(used[0]) == 1
    assert len(set(used)) == 2


class LateConnector(aiohttp.TCPConnector):
    """A connector whose connections are handed on after the server has spoken."""

    async def connect(self, *args: Any, **options: Any) -> Any:
        """Return a connection that has received something."""
        connection = await super().connect(*args, **options)
        protocol: Any = connection.protocol
        async with asyncio.timeout(20):
            while not protocol.should_close:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.001)
        return connection


async def test_a_server_that_speaks_first_is_not_called_without_end() -> None:
    """Every connection brings a reply before the request: the fetch fails after a few of them."""
    calls = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        writer.write(whole(99))

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    once = RetryPolicy(base=0, max_attempts=1)
    async with (
        LateConnector() as connector,
        open_session(base_url=url, policy=once, connector=connector) as session,
    ):
        with pytest.raises(ConnectionFailedError):
            await session.fetch(request(), new_state(session))
    assert 1 < len(calls) < 20
    for writer in calls:
        writer.close()
    server.close()
    await server.wait_closed()


def test_the_installed_aiohttp_has_every_part() -> None:
    """With the versions of aiohttp that the project allows, the fast transport is used."""
    assert missing_parts() == ()
    assert choose_transport() is ConnectionTransport
    assert {"limit", "socket_factory"} <= set(inspect.signature(aiohttp.TCPConnector).parameters)


async def test_a_prepared_request_shows_headers_and_proxy() -> None:
    """The head of every request is written from the headers and the proxy of a prepared one."""
    seen: list[aiohttp.ClientRequest] = []

    async def keep(prepared: aiohttp.ClientRequest, send: Any) -> aiohttp.ClientResponse:
        seen.append(prepared)
        return await send(prepared)

    async def answer(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, page())

    async with (
        Server(answer) as server,
        aiohttp.ClientSession(middlewares=(keep,)) as client,
        client.get(server.url),
    ):
        pass
    (prepared,) = seen
    assert prepared.headers["Host"] == server.url.removeprefix("http://")
    assert prepared.proxy is None


class MovedParser:
    """A parser whose parameters have changed."""

    def __init__(self, protocol: Any) -> None:
        """Take none of the parameters that are needed."""


MOVED = [
    ("aiohttp.connector.BaseConnector.connect", None, "BaseConnector.connect"),
    ("aiohttp.connector.Connection", None, "Connection.protocol"),
    ("aiohttp.http.HttpResponseParser", MovedParser, "HttpResponseParser"),
]


@pytest.mark.parametrize(("path", "replacement", "name"), MOVED, ids=[name for *_, name in MOVED])
async def test_a_changed_aiohttp_is_used_by_its_public_interface(
    path: str,
    replacement: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If a part of aiohttp is missing, the other transport is used, and one warning says so."""
    if replacement is None:
        monkeypatch.delattr(path)
    else:
        monkeypatch.setattr(path, replacement)
    assert name in missing_parts()
    with caplog.at_level(logging.WARNING, "tmapi_async"):
        assert {choose_transport() for _ in range(3)} == {ClientSessionTransport}
    (warning,) = [record.getMessage() for record in caplog.records]
    assert name in warning
    assert aiohttp.__version__ in warning


async def test_a_session_falls_back_when_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the parts of the fast transport, pages come all the same."""

    async def answer(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, page())

    # aiohttp itself does not use this property, so its own session goes on working.
    monkeypatch.delattr("aiohttp.connector.Connection.transport")
    async with Server(answer) as server, open_session(base_url=server.url) as session:
        assert isinstance(await session.fetch(request(), new_state(session)), Page)
    assert "Connection.transport" in caplog.text


@pytest.mark.parametrize("stray", [whole(99), None], ids=["unasked reply", "end"])
async def test_what_the_loop_has_not_read_yet_is_not_the_answer(stray: bytes | None) -> None:
    """Bytes that are in the socket before the request is written cost no attempt."""
    writers: list[Any] = []

    async def answer(_: Server, request_head: str, writer: Any) -> None:
        writers.append(writer)
        await send_reply(writer, page(int(re.search(r"page=(\d+)", request_head)[1])))  # type: ignore[index]

    async with (
        Server(answer) as server,
        open_session(base_url=server.url, transport=ConnectionTransport) as made,
    ):
        for number in (1, 2, 3):
            result = await made.fetch(request(number), new_state(made))
            assert (result.echoed_page, result.attempts) == (number, 1)
            # Without a turn of the loop: the client cannot have seen it.
            sock = writers[-1].get_extra_info("socket")
            if stray is None:
                sock.shutdown(socket.SHUT_WR)
            else:
                os.write(sock.fileno(), stray)
        assert len(server.heads) == 3


@pytest.mark.parametrize("stray", [whole(99), None], ids=["unasked reply", "end"])
async def test_what_the_loop_has_not_read_yet_over_tls_is_not_the_answer(
    stray: bytes | None,
) -> None:
    """Unread bytes of TLS cost no attempt either, once a reply has come."""
    authority, writers = trustme.CA(), list[Any]()
    trusted = ssl.create_default_context()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    authority.configure_trust(trusted)

    async def answer(_: Server, request_head: str, writer: Any) -> None:
        writers.append(writer)
        await send_reply(writer, page(int(re.search(r"page=(\d+)", request_head)[1])))  # type: ignore[index]

    async with (
        Server(answer, served) as server,
        aiohttp.TCPConnector(ssl=trusted) as connector,
        open_session(
            base_url=server.url, transport=ConnectionTransport, connector=connector
        ) as made,
    ):
        for number in (1, 2, 3):
            result = await made.fetch(request(number), new_state(made))
            assert (result.echoed_page, result.attempts) == (number, 1)
            # Without a turn of the loop: the client cannot have seen it.
            if stray is None:
                writers[-1].close()
            else:
                writers[-1].write(stray)
    assert len(server.heads) == 3


@pytest.mark.parametrize("factory", [ConnectionTransport, ClientSessionTransport])
async def test_a_closed_connector_cancels_nobody(factory: Any) -> None:
    """Who waits for a connection of a connector that is closed gets an error, and pays nothing."""
    asked = asyncio.Event()

    async def hang(_: Server, __: str, ___: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    gate = make_gate(2)
    connector = aiohttp.TCPConnector(limit=1)
    async with (
        Server(hang) as server,
        open_session(gate, base_url=server.url, connector=connector, transport=factory) as made,
    ):
        tasks = [asyncio.ensure_future(made.fetch(request(n), new_state(made))) for n in (1, 2)]
        await asked.wait()
        await connector.close()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [ClosedError, ClosedError]
        assert (gate.in_use, gate.budget.spent) == (0, 1)


def page_connections() -> list[PageConnection]:
    """Return the connections that something still refers to."""
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, PageConnection)]


async def test_connections_that_ended_are_forgotten() -> None:
    """Over a caller's connector, a server that ends each connection costs no memory a page."""

    async def answer(_: Server, request_head: str, writer: Any) -> None:
        body = page(int(re.search(r"page=(\d+)", request_head)[1]))  # type: ignore[index]
        writer.write(head(len(body), "200 OK", "Connection: close") + body)

    async with (
        Server(answer) as server,
        aiohttp.TCPConnector() as connector,
        open_session(
            base_url=server.url, transport=ConnectionTransport, connector=connector
        ) as made,
    ):
        known = set(map(id, page_connections()))  # of tests before this one
        for number in range(1, 6):
            assert isinstance(await made.fetch(request(number), new_state(made)), Page)
        await asyncio.sleep(0)
        assert len([one for one in page_connections() if id(one) not in known]) <= 1


async def test_connections_of_an_age_that_was_lost_are_not_used_again() -> None:
    """A server that drops idle connections without a word costs one attempt (psf/requests#3808)."""
    loop, used = asyncio.get_running_loop(), dict[Any, float]()

    async def forget(_: Server, request_head: str, writer: Any) -> None:
        idle = loop.time() - used.get(writer, loop.time())
        if idle > 0.03:
            writer.transport.abort()
            return
        await send_reply(writer, page(int(re.search(r"page=(\d+)", request_head)[1])))  # type: ignore[index]
        used[writer] = loop.time()

    async with (
        Server(forget) as server,
        open_session(base_url=server.url, transport=ConnectionTransport) as made,
    ):
        attempts = 0
        for number in range(1, 7):
            attempts += (await made.fetch(request(number), new_state(made))).attempts
            await asyncio.sleep(0.06)
    assert attempts == 7


async def test_a_gateways_refusal_closes_the_idle_connections() -> None:
    """A gateway that counts connections refuses all of them, until the idle ones are closed."""
    connections: list[Any] = []
    open_now: set[Any] = set()

    async def count(_: Server, request_head: str, writer: Any) -> None:
        if writer not in connections:
            connections.append(writer)
        open_now.add(writer)
        open_now.difference_update([one for one in open_now if one.transport.is_closing()])
        await asyncio.sleep(0.01)
        if len(open_now) > 2:
            await send_reply(writer, b"<html>busy</html>", "503 Service Unavailable")
            return
        await send_reply(writer, page(int(re.search(r"page=(\d+)", request_head)[1])))  # type: ignore[index]

    async with (
        Server(count) as server,
        open_session(make_gate(4), base_url=server.url, transport=ConnectionTransport) as made,
    ):
        pages = await asyncio.gather(
            *(made.fetch(request(number), new_state(made)) for number in range(1, 5))
        )
        assert [one.echoed_page for one in pages] == [1, 2, 3, 4]
        assert len(connections) > 4
