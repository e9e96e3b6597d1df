"""A server with a limit: it works on so many requests at a time, and refuses one more with a 503.

    python -m benchmarks.limited_server [--limit 16] [--latency 0.06] [--pages 20]

The pages are those of `benchmarks.server`. It tells processes apart by the first part of the path,
goes on working on a request whose connection has broken, as the API does, and returns all that it
has seen under `/seen`. Ends when its standard input is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import re
import sys
import time
from collections import Counter, defaultdict
from typing import Any, cast

from .common import SERVER_CORE, pin, runner
from .server import bodies, reply

REQUEST = re.compile(
    rb"GET /(\w+)/\S*?cat_id=(\d+)\S*?page=(\d+)|GET /(\w+)/\S*?page=(\d+)\S*?cat_id=(\d+)"
)
REFUSAL = b'{"code": 503, "msg": "concurrency limit exceeded"}'
STEP = 0.05
"""Seconds between two samples."""


@dataclasses.dataclass
class Use:
    """Use of the server by a process.

    Attributes:
        first: Time of its first request.
        last: Time of its last request or reply.
        at_work: Requests at work now.
        busy: Seconds of work on all its requests.
    """

    first: float = 0.0
    last: float = 0.0
    at_work: int = 0
    busy: float = 0.0

    def change(self, now: float, by: int) -> None:
        """Count a request that begins (1) or ends (-1)."""
        self.first = self.first or now
        self.busy += self.at_work * (now - self.last)
        self.last = now
        self.at_work += by


class Seen:
    """Everything that the server has seen.

    Args:
        limit: Requests that are worked on at a time.
        latency: Mean seconds of work for a request.
        replies: Ready replies, by page number less one.
    """

    def __init__(self, limit: int, latency: float, replies: list[bytes]) -> None:
        self.limit, self.latency, self.replies = limit, latency, replies
        self.refusal = (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(REFUSAL)}\r\n\r\n".encode()
            + REFUSAL
        )
        self.at_work: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.pages: dict[str, Counter[str]] = defaultdict(Counter)
        self.peak = self.arrivals_peak = 0
        self.samples: list[dict[str, Any]] = []
        self.uses: dict[str, Use] = defaultdict(Use)
        self.random = random.Random(1)  # noqa: S311 - a benchmark must be repeatable

    async def sample(self) -> None:
        """Record who has how many slots, until cancelled."""
        while True:
            counts = {"t": time.monotonic(), "at_work": dict(self.at_work)}
            self.samples.append(
                counts | {"answered": dict(self.answered), "refused": dict(self.refused)}
            )
            await asyncio.sleep(STEP)

    def change(self, process: str, by: int) -> None:
        """Count a request of a process that begins (1) or ends (-1) at the server."""
        self.uses[process].change(time.monotonic(), by)
        self.at_work[process] += by

    def report(self) -> bytes:
        """Return everything as JSON."""
        content = {
            "answered": self.answered,
            "refused": self.refused,
            "peak": self.peak,
            "arrivals_peak": self.arrivals_peak,
            "uses": {name: dataclasses.asdict(use) for name, use in self.uses.items()},
            "pages": self.pages,
            "samples": self.samples,
        }
        return json.dumps(content).encode()


class LimitedConnection(asyncio.Protocol):
    """Answer requests one after another, each after its time of work."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Begin to work on each request that is complete."""
        *requests, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for request in requests:
            self._begin(request)

    def _begin(self, request: bytes) -> None:
        seen = self._seen
        if b"/seen" in request.split(b"\r\n", 1)[0]:
            self._write(reply(seen.report()))
            return
        found = REQUEST.search(request)
        assert found is not None, request
        parts = [part.decode() for part in found.groups() if part is not None]
        process, *numbers = parts
        category, page = numbers if found[1] else reversed(numbers)
        total = seen.at_work.total()
        seen.arrivals_peak = max(seen.arrivals_peak, total + 1)
        if total >= seen.limit:
            seen.refused[process] += 1
            self._write(seen.refusal)
            return
        seen.change(process, 1)
        seen.peak = max(seen.peak, total + 1)
        seen.pages[f"{category}:{page}"][process] += 1
        seconds = seen.latency * seen.random.uniform(0.7, 1.3)
        asyncio.get_running_loop().call_later(seconds, self._end, process, int(page))

    def _end(self, process: str, page: int) -> None:
        seen = self._seen
        seen.change(process, -1)
        seen.answered[process] += 1
        self._write(seen.replies[min(page, len(seen.replies)) - 1])

    def _write(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)


async def serve(seen: Seen) -> None:
    """Serve on a free port of the loopback interface until standard input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: LimitedConnection(seen), "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    sampling = asyncio.create_task(seen.sample())
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    await over.wait()
    sampling.cancel()


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--latency", type=float, default=0.06)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--core", type=int, default=SERVER_CORE)
    options = parser.parse_args()
    pin(options.core)
    seen = Seen(options.limit, options.latency, [reply(body) for body in bodies(options.pages)])
    with runner(uvloop=True) as run:
        run.run(serve(seen))


if __name__ == "__main__":
    main()
