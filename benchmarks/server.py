"""A server with almost no processor time per page: pages rendered beforehand, no framework.

    python -m benchmarks.server [--pages 20] [--core 0] [--sandbox OPTIONS]

Every category has the same pages of 20 items, rendered once from the sandbox's catalogue. The
server reads only the page number of a request. With `--sandbox` it runs the real sandbox instead.
Prints its URL as the first line and ends when its standard input is closed, so that it never
outlives the benchmark that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from email.utils import formatdate
from typing import cast

from tmapi_async.sandbox import Catalogue, Config, Listing
from tmapi_async.sandbox.responses.pages import PageBuilder
from tmapi_async.sandbox.server.process import serve as serve_sandbox

from .common import pin, runner

PATH = "/1688/category/items"
PAGE_SIZE = 20


def bodies(pages: int) -> list[bytes]:
    """Return the pages of a category in order; the last one has no next page."""
    sizes = {1: pages * PAGE_SIZE}
    config = Config(categories=sizes, page_size=PAGE_SIZE)
    made = PageBuilder(config, Catalogue(config.seed, sizes, page_size=PAGE_SIZE))
    listing = Listing(PATH, (("cat_id", "1"),))
    # One more: an empty page, for those who ask past the end.
    return [made.body(listing, number) for number in range(1, pages + 2)]


def reply(body: bytes) -> bytes:
    """Return a complete reply, headers included, as of now."""
    head = (
        f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.BufferedProtocol):
    """Answer requests without bodies, pipelined or not, from ready replies."""

    def __init__(self, replies: list[bytes]) -> None:
        self._replies = replies
        # asyncio's own 256 KiB for each read would cost more than all the rest.
        self._buffer = bytearray(16384)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's is no subclass of asyncio.Transport, though it does the same.
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        del sizehint
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer every request that is complete."""
        self._filled += nbytes
        got = self._buffer[: self._filled]
        *requests, rest = got.split(b"\r\n\r\n")
        for request in requests:
            self._answer(request)
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def _answer(self, request: bytearray) -> None:
        assert self._transport is not None
        start = request.index(b"page=") + 5
        end = start
        while 48 <= request[end] <= 57:
            end += 1
        number = min(int(request[start:end]), len(self._replies))
        self._transport.write(self._replies[number - 1])


async def serve(pages: int) -> None:
    """Serve on a free port of the loopback interface until standard input is closed."""
    made = bodies(pages)
    replies: list[bytes] = []
    loop = asyncio.get_running_loop()

    def renew() -> None:
        """Tell the time in all replies, as every server with a clock must (RFC 9110, 6.6.1)."""
        replies[:] = [reply(body) for body in made]
        loop.call_later(1, renew)

    renew()
    server = await loop.create_server(lambda: Connection(replies), "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    await over.wait()


def sandbox_config(text: str) -> Config:
    """Decode the options of a sandbox from JSON, whose keys are always text."""
    options = json.loads(text)
    if isinstance(options.get("categories"), dict):
        options["categories"] = {int(key): size for key, size in options["categories"].items()}
    return Config(**options)


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=20, help="pages of each category")
    parser.add_argument("--core", type=int, default=None, help="processor to run on")
    parser.add_argument("--sandbox", type=sandbox_config, help="options of a sandbox, as JSON")
    options = parser.parse_args()
    pin(options.core)
    with runner(uvloop=True) as run:
        if options.sandbox is None:
            run.run(serve(options.pages))
        else:
            run.run(
                serve_sandbox(
                    options.sandbox,
                    lambda sandbox: print(sandbox.url, flush=True),
                    exit_with_parent=True,
                )
            )


if __name__ == "__main__":
    main()
