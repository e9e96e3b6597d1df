"""Baselines of `pages()`: hand-written loops, and raw sockets as the floor.

Each baseline walks the same listings to their end, decodes every page with the structs of the
library, and returns its number of pages. No baseline retries, checks anything or limits anything
but the requests in flight.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tmapi_async.api.items import Item

PATH = "/1688/category/items"
TOKEN = "sandbox"  # noqa: S105 - the sandbox's


class PageData(msgspec.Struct, gc=False):
    """Part of a reply that a hand-written loop reads."""

    has_next_page: bool
    items: list[Item]


class PageReply(msgspec.Struct, gc=False):
    """A reply with the item structs of the library."""

    code: int
    data: PageData


DECODER = msgspec.json.Decoder(PageReply)


async def semaphore_loop(url: str, listings: int, width: int) -> int:
    """Walk with the usual code: a task for each listing, a semaphore, default aiohttp."""
    semaphore, pages = asyncio.Semaphore(width), 0

    async def walk(session: aiohttp.ClientSession, cat_id: int) -> None:
        nonlocal pages
        page, more = 1, True
        while more:
            params: dict[str, str | int] = {"apiToken": TOKEN, "cat_id": cat_id, "page": page}
            async with semaphore, session.get(url + PATH, params=params) as response:
                response.raise_for_status()
                body = await response.read()
            reply = DECODER.decode(body)
            more, page, pages = reply.data.has_next_page, page + 1, pages + 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(walk(session, n) for n in range(1, listings + 1)))
    return pages


async def worker_loop(url: str, listings: int, width: int) -> int:
    """Walk with leaner code: workers instead of a task per listing, the URL as one string."""
    pages = 0
    todo = iter(range(1, listings + 1))

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal pages
        for cat_id in todo:
            page, more = 1, True
            while more:
                where = f"{url}{PATH}?apiToken={TOKEN}&cat_id={cat_id}&page={page}"
                async with session.get(where) as response:
                    response.raise_for_status()
                    body = await response.read()
                reply = DECODER.decode(body)
                more, page, pages = reply.data.has_next_page, page + 1, pages + 1

    connector = aiohttp.TCPConnector(limit=width)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(width)))
    return pages


def raw_sockets(url: str, listings: int, width: int) -> int:
    """Walk with sockets and a selector, without event loop and HTTP library; decode all pages."""
    parts = urlsplit(url)
    pages, buffer = 0, memoryview(bytearray(65536))
    with selectors.DefaultSelector() as selector:
        todo = iter(range(1, listings + 1))
        for _ in range(min(width, listings)):
            walk = _RawWalk((parts.hostname or "", parts.port or 80), todo)
            selector.register(walk.socket, selectors.EVENT_READ, walk)
            walk.next_page()
        while selector.get_map():
            for key, _ in selector.select():
                walk = key.data
                if not walk.readable(buffer):
                    continue
                pages += 1
                if not walk.next_page():
                    selector.unregister(walk.socket)
                    walk.socket.close()
    return pages


class _RawWalk:
    """One connection that walks one listing after another."""

    def __init__(self, address: tuple[str, int], todo: Iterator[int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._todo = todo
        self._cat_id, self._page, self._more = 0, 0, False
        self._got = b""

    def next_page(self) -> bool:
        """Request the next page. Returns False when every listing is done."""
        if self._more:
            self._page += 1
        else:
            self._cat_id, self._page = next(self._todo, 0), 1
            if not self._cat_id:
                return False
        query = f"apiToken={TOKEN}&cat_id={self._cat_id}&page={self._page}"
        self.socket.send(f"GET {PATH}?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return True

    def readable(self, buffer: memoryview) -> bool:
        """Read available bytes and decode a complete page. Returns True after a complete page."""
        self._got += buffer[: self.socket.recv_into(buffer)]
        head, results, body = self._got.partition(b"\r\n\r\n")
        start = head.find(b"Content-Length: ") + 16
        if not results or len(body) < int(head[start : start + 8].split(b"\r")[0]):
            return False
        self._more = DECODER.decode(body).data.has_next_page
        self._got = b""
        return True
