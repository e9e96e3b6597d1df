"""Clients that walk a sandbox with a concurrency limit: this library and hand-written ones.

The hand-written clients know every page number beforehand, which no real client does: they never
wait for a page to learn that there is a next one. They repeat a refused request at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any, Protocol

import aiohttp
from aiolimiter import AsyncLimiter

from tmapi_async import TMAPI, RetryPolicy

from .baselines import DECODER, PATH, TOKEN

Trace = dict[str, Any]
"""`sent` and `done`: clock times of each page's successful attempt; `refused`, `requests`,
`wasted`: counts; `seconds`: from the first attempt until all is done."""


async def ours(
    url: str, sizes: dict[int, int], *, concurrency: int | str, lookahead: int | str = "auto"
) -> Trace:
    """Walk with the library, which knows only the listings."""
    sent, done = [], []
    start, offset = time.monotonic(), time.time() - time.monotonic()
    # A refused page rests between attempts; with no back-off it waits at the gate alone.
    options: dict[str, Any] = {"lookahead": lookahead, "concurrency": concurrency}
    async with TMAPI(TOKEN, base_url=url, retry=RetryPolicy(base=0), **options) as api:
        walk = api.category_items(list(sizes))
        async with aclosing(walk.pages()) as pages:
            async for page in pages:
                done.append(page.fetched_at.timestamp() - offset)
                sent.append(done[-1] - page.latency)
        seconds = time.monotonic() - start
        seen = walk.statistics()
    assert seen.pages == sum(sizes.values()), seen
    return {
        "sent": sent,
        "done": done,
        "refused": seen.codes.get("503", 0),
        "requests": seen.requests,
        "wasted": seen.wasted,
        "seconds": seconds,
    }


class Limiter(Protocol):
    """Interface of the limiters of a hand-written loop."""

    async def enter(self) -> None:
        """Wait until a request may be sent."""
        ...

    def leave(self, sent: float, *, refused: bool) -> None:
        """Record the answer to a request."""
        ...


class FixedWidth:
    """`asyncio.Semaphore`: a fixed number in flight, whatever the server answers."""

    def __init__(self, size: int) -> None:
        self._semaphore = asyncio.Semaphore(size)

    async def enter(self) -> None:
        """Wait for a place."""
        await self._semaphore.acquire()

    def leave(self, sent: float, *, refused: bool) -> None:
        """Free the place."""
        del sent, refused
        self._semaphore.release()


class AiolimiterRate:
    """`aiolimiter`: a fixed rate, however many are in flight, in bursts of at most 50 ms."""

    def __init__(self, rate: float) -> None:
        # A bucket of one would be as fast as the loop's timers, which is too slow for C = 64.
        size = max(1.0, rate / 20)
        self._limiter = AsyncLimiter(size, size / rate)

    async def enter(self) -> None:
        """Wait for the next turn."""
        await self._limiter.acquire()

    def leave(self, sent: float, *, refused: bool) -> None:
        """Ignore the answer."""
        del sent, refused


class Aimd:
    """Additive increase, multiplicative decrease: one more per round trip, half once a window."""

    def __init__(self, start: int = 4) -> None:
        self._width = float(start)
        self._in_flight = 0
        self._cut_at = 0.0
        self._slow_start = True
        self._waiting: list[asyncio.Future[None]] = []

    async def enter(self) -> None:
        """Wait until fewer are in flight than the width."""
        while self._in_flight >= int(self._width):
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self._in_flight += 1

    def leave(self, sent: float, *, refused: bool) -> None:
        """Widen or halve, then admit waiting requests that fit."""
        self._in_flight -= 1
        if not refused:
            self._width += 1 if self._slow_start else 1 / self._width
        else:
            self._slow_start = False
            if sent > self._cut_at:
                self._cut_at = time.monotonic()
                self._width = max(1.0, self._width / 2)
        free = max(0, int(self._width) - self._in_flight)
        for future in self._waiting[:free]:
            future.set_result(None)
        del self._waiting[:free]


async def by_hand(url: str, sizes: dict[int, int], limiter: Limiter, workers: int) -> Trace:
    """Walk pages that are all known beforehand, with one worker per request in flight."""
    sent_at, done_at, counts = [], [], {"refused": 0, "requests": 0}
    todo = _interleaved(sizes)

    async def work(session: aiohttp.ClientSession) -> None:
        for cat_id, page in todo:
            where = f"{url}{PATH}?apiToken={TOKEN}&cat_id={cat_id}&page={page}"
            while True:
                await limiter.enter()
                sent = time.monotonic()
                async with session.get(where) as response:
                    body = await response.read()
                done, refused = time.monotonic(), response.status == 503
                limiter.leave(sent, refused=refused)
                counts["requests"] += 1
                counts["refused"] += refused
                if not refused:
                    break
            assert DECODER.decode(body).code == 200
            sent_at.append(sent)
            done_at.append(done)

    start = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(workers)))
    seconds = time.monotonic() - start
    return {"sent": sent_at, "done": done_at, "wasted": 0, "seconds": seconds, **counts}


def _interleaved(sizes: dict[int, int]) -> Iterable[tuple[int, int]]:
    for page in range(1, max(sizes.values()) + 1):
        for cat_id, pages in sizes.items():
            if page <= pages:
                yield cat_id, page


Client = Callable[[str, dict[int, int], int, float], Any]
"""Function of URL, sizes in pages, limit and mean latency of the server. Returns a trace."""

CLIENTS: dict[str, Client] = {
    "auto": lambda url, sizes, _limit, _mean: ours(url, sizes, concurrency="auto"),
    "concurrency=C": lambda url, sizes, limit, _: ours(url, sizes, concurrency=limit),
    "semaphore C": lambda url, sizes, limit, _: by_hand(url, sizes, FixedWidth(limit), limit),
    "semaphore 2C": lambda url, sizes, limit, _: by_hand(
        url, sizes, FixedWidth(2 * limit), 2 * limit
    ),
    "rate 90 %": lambda url, sizes, limit, mean: by_hand(
        url, sizes, AiolimiterRate(0.9 * limit / mean), 8 * limit
    ),
    "AIMD": lambda url, sizes, limit, _: by_hand(url, sizes, Aimd(), 4 * limit),
}
"""The clients of the first table."""


def _with_lookahead(setting: int | str) -> Client:
    return lambda url, sizes, limit, _: ours(url, sizes, concurrency=limit, lookahead=setting)


LOOKAHEADS = {
    f"look-ahead {setting}": _with_lookahead(setting) for setting in ("off", "auto", 8, 16)
}
"""The library with the limit known, by look-ahead setting."""
