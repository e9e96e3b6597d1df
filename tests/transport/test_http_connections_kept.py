"""Connections that the fast transport keeps between pages: how many, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any, Self

import pytest

from tests.support.sessions import (
    head,
    make_gate,
    new_state,
    open_session,
    page,
    request,
)
from tmapi_async import Page
from tmapi_async.transport.session import Session


class CountingServer:
    """A server that answers every request, counts its connections and notes their ends.

    Args:
        stray: Bytes sent behind each reply.
    """

    def __init__(self, stray: bytes = b"") -> None:
        self._stray = stray
        self.connections = 0
        self.open_now = 0
        self.targets: list[str] = []
        self.none_is_open = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.none_is_open.clear()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                sent = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.targets.append(sent.split(" ", 2)[1])
                body = page(int(re.search(r"page=(\d+)", sent)[1]))  # type: ignore[index]
                writer.write(head(len(body)) + body + self._stray)
        self.open_now -= 1
        if not self.open_now:
            self.none_is_open.set()
        writer.close()


async def fetch(session: Session, *numbers: int) -> list[Any]:
    """Fetch pages at the same time."""
    tasks = (session.fetch(request(number), new_state(session)) for number in numbers)
    return await asyncio.gather(*tasks)


async def test_there_are_no_more_connections_than_slots() -> None:
    """However many pages are fetched, each slot needs one connection."""
    async with (
        CountingServer() as server,
        open_session(make_gate(3), base_url=server.url) as session,
    ):
        pages = await fetch(session, *range(1, 41))
        assert [(one.number, one.echoed_page) for one in pages] == [(n, n) for n in range(1, 41)]
        assert server.connections == 3


async def test_a_connection_that_nobody_needs_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was idle for long is closed without another request; then there is none."""
    monkeypatch.setattr("tmapi_async.transport.http_connections.KEEP_SECONDS", 0.05)
    async with (
        CountingServer() as server,
        open_session(make_gate(3), base_url=server.url) as session,
    ):
        await fetch(session, 1, 2, 3)
        async with asyncio.timeout(20):
            await server.none_is_open.wait()
        assert isinstance((await fetch(session, 4))[0], Page)
        assert server.connections == 4
        assert len(server.targets) == 4


async def test_a_session_closes_the_connections_that_it_keeps() -> None:
    """When a session is closed, its idle connections are closed too."""
    async with CountingServer() as server:
        async with open_session(make_gate(3), base_url=server.url) as session:
            await fetch(session, 1, 2, 3)
        async with asyncio.timeout(20):
            await server.none_is_open.wait()


async def test_what_follows_a_reply_is_not_the_next_reply() -> None:
    """The beginning of an unasked reply spoils its connection; the next page has another one."""
    async with CountingServer(b"HTTP/1.1 200 OK\r\nContent-") as server:
        async with open_session(base_url=server.url) as session:
            for number in (1, 2, 3):
                (result,) = await fetch(session, number)
                assert (result.echoed_page, result.attempts) == (number, 1)
        assert server.connections == 3
        async with asyncio.timeout(20):
            await server.none_is_open.wait()
