"""Sessions for the tests, with mocked replies in virtual time or with a scripted server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

from tests.support.making import dumped, row
from tmapi_async import RetryPolicy
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.rate import RateLimiter
from tmapi_async.transport.request_state import CrawlCounts, RequestState
from tmapi_async.transport.session import Session

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

BASE = "http://127.0.0.1:9"
AT_ONCE = RetryPolicy(base=0)


def request(number: int = 1) -> PageRequest:
    """Return the request for a page of a category."""
    return PageRequest(category_items(5), number)


def page(number: int = 1, **fields: Any) -> bytes:
    """Return the body of a page with one row, whose ID is derived from the page number."""
    data = {"page": number, "has_next_page": True, "items": [row(number, **fields)]}
    return dumped({"code": 200, "msg": "success", "data": data})


def make_gate(
    width: int = 4, *, budget: int | None = None, rate: float | None = None, **parts: Any
) -> Gate:
    """Return a gate with the clock of the running loop."""
    return Gate(
        parts.pop("controller", None) or LearningController(width),
        budget=Budget(budget),
        rate_limiter=None if rate is None else RateLimiter(rate),
        clock=asyncio.get_running_loop().time,
    )


@contextlib.asynccontextmanager
async def open_session(gate: Gate | None = None, **options: Any) -> AsyncIterator[Session]:
    """Open a session, by default with retries at once."""
    session = Session(
        options.pop("token", "t0ken"),
        gate=gate or make_gate(),
        base_url=options.pop("base_url", BASE),
        auth=options.pop("auth", "query"),
        timeout=options.pop("timeout", 60.0),
        max_body=options.pop("max_body", 2**20),
        policy=options.pop("policy", AT_ONCE),
        **options,
    )
    await session.open()
    try:
        yield session
    finally:
        await session.close()


def new_state(session: Session) -> RequestState:
    """Return the request state of a walk that begins now."""
    return RequestState(session.epoch, CrawlCounts())


Answer = bytes | tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


class Script:
    """Mocked replies in the order of a list, the last one repeated. Records the URLs requested.

    An answer is a body, or status and body, or status, body and headers; an exception is raised;
    a number makes the answer after it come so many seconds later.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []
        self.times: list[float] = []

    async def answer(self, url: Any, **kwargs: Any) -> Any:
        """Answer one request, as aioresponses' callback."""
        from aioresponses import CallbackResult  # noqa: PLC0415 - shimmed when tests are collected

        assert kwargs["allow_redirects"] is False
        self.urls.append(str(url))
        self.times.append(asyncio.get_running_loop().time())
        answer, delay = self.next(), 0.0
        while isinstance(answer, int | float):
            answer, delay = self.next(), delay + answer
        await asyncio.sleep(delay)
        if isinstance(answer, BaseException):
            raise answer
        status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
        return CallbackResult(status=status, body=body, headers=headers)

    def next(self) -> Any:
        """Return the next answer as status, body and headers."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return (*answer, {}) if isinstance(answer, tuple) and len(answer) == 2 else answer


def failure(code: int, status: int = 200, msg: str = "why", **headers: str) -> tuple[Any, ...]:
    """Return an answer with a code of the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, dumped({"code": code, "msg": msg}), named


class Server:
    """A server on a socket that passes each request's head to a function.

    Args:
        behave: Called with the server, the head and the writer.
        tls: Context of a server that speaks TLS.
    """

    def __init__(
        self,
        behave: Callable[[Server, str, Any], Awaitable[None]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.behave = behave
        self._tls = tls
        self.heads: list[str] = []
        self.url = ""
        self._serving: set[asyncio.Task[Any] | None] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        # Cancelled when the test is over; asyncio's streams would complain of a cancelled task.
        with contextlib.suppress(
            asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
        ):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                await self.behave(self, head, writer)
        writer.close()

    @property
    def targets(self) -> list[str]:
        """Targets of the requests, in the order in which they came."""
        return [head.split(" ", 2)[1] for head in self.heads]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        tasks = [task for task in self._serving if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await self._server.wait_closed()


def head(length: int | None, status: str = "200 OK", *more: str) -> bytes:
    """Return the head of a reply."""
    lines = [f"HTTP/1.1 {status}", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


async def send_reply(
    writer: asyncio.StreamWriter, body: bytes, status: str = "200 OK", *more: str
) -> None:
    """Send a whole reply."""
    writer.write(head(len(body), status, *more) + body)
    await writer.drain()
