"""First attempts without a task: when they are sent, and what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.sessions import Server, make_gate, new_state, open_session, page, request
from tests.support.tracebacks import product_locals
from tmapi_async import Observer, Page, ServerError
from tmapi_async.transport.connections.page_connection import PageConnection
from tmapi_async.transport.request_state import CallOptions, CrawlCounts, RequestState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tmapi_async.transport.attempts.direct_exchange import DirectExchange
    from tmapi_async.transport.session import Session


class Api:
    """A server that answers each page as its script says, and keeps connections.

    Attributes:
        bodies: Bodies of the next replies; a page after them. None closes the connection.
        asked: Number of requests.
        may_answer: Set while replies are sent.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes | None] = []
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def behave(self, _: Server, head: str, writer: Any) -> None:
        """Answer one request."""
        self.asked += 1
        await self.may_answer.wait()
        body = self.bodies.pop(0) if self.bodies else page(int(re.findall(r"page=(\d+)", head)[0]))
        if body is None:
            writer.close()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[Api, Session]]:
    """Open a server and a session that has one idle connection, after page 1."""
    api = Api()
    async with (
        Server(api.behave) as server,
        open_session(base_url=server.url, **options) as session,
    ):
        await session.fetch(request(1), new_state(session))
        yield api, session


def begin(
    session: Session, state: RequestState, number: int = 2
) -> tuple[DirectExchange | None, asyncio.Future[DirectExchange]]:
    """Send a page request without a task; return the exchange and the future of its end."""
    assert session.direct is not None
    end: asyncio.Future[DirectExchange] = asyncio.get_running_loop().create_future()
    return session.direct.begin(request(number), state, end.set_result), end


async def test_a_page_is_sent_and_read_without_a_task() -> None:
    """Counts, slot and budget are those of an attempt of a task."""
    async with opened(gate=make_gate(budget=5)) as (api, session):
        state, tasks = new_state(session), len(asyncio.all_tasks())
        exchange, end = begin(session, state)
        assert exchange is not None
        assert (state.on_wire, state.sent, session.gate.in_use) == (True, True, 1)
        assert session.direct is not None
        outcome = session.direct.finish(await end)
        assert isinstance(outcome, Page)
        assert (outcome.number, outcome.attempts) == (2, 1)
        assert len(asyncio.all_tasks()) == tasks
        assert (state.on_wire, session.gate.in_use, session.gate.budget.left) == (False, 0, 3)
        assert (state.counts.requests, state.counts.codes) == (1, {"200": 1})
        assert api.asked == 2


async def test_a_failed_attempt_is_gone_on_with() -> None:
    """A task goes on after the failure, as if it had made the first attempt."""
    async with opened() as (api, session):
        api.bodies = [b'{"code": 500, "msg": "why"}', None]
        state, (exchange, end) = new_state(session), (None, None)
        exchange, end = begin(session, state)
        assert exchange is not None
        assert session.direct is not None
        outcome = session.direct.finish(await end)
        assert isinstance(outcome, ServerError)
        assert (outcome.page, session.gate.in_use) == (2, 0)
        # The traceback of an error that a caller keeps has the exchange, so it keeps no reply.
        assert (exchange.end, exchange.connection, exchange.transport) == (None, None, None)
        session.direct.abandon(exchange)  # nothing is left to give up
        assert session.gate.in_use == 0
        came = await session.direct.go_on(exchange)
        assert (came.number, came.attempts) == (2, 3)
        assert (state.counts.requests, state.counts.retries) == (3, 2)
        assert state.counts.codes == {"500": 1, "connection": 1, "200": 1}


@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyboardInterrupt()])
async def test_no_frame_of_a_request_that_cannot_be_written_holds_the_token(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error keeps its lines, but no local variable with the token; the attempt is given up."""
    token = "canary-5up3r53cr3t-t0k3n"  # noqa: S105 - a token for this test only

    def broken(*_: object) -> None:
        raise error

    async with opened(token=token) as (_, session):
        monkeypatch.setattr(PageConnection, "start", broken)
        state = new_state(session)
        with pytest.raises(type(error)) as caught:
            begin(session, state)
        assert not state.on_wire
    shown = product_locals(caught.value)
    assert "send_at_once" in [entry.frame.code.name for entry in caught.traceback]
    assert [name for name, text in shown.items() if token in text] == []


async def test_an_exchange_that_is_abandoned_keeps_its_slot_for_the_server() -> None:
    """Its connection is closed; nothing arrives any more; the budget stays charged."""
    async with opened(gate=make_gate(budget=5)) as (api, session):
        api.may_answer.clear()
        state = new_state(session)
        exchange, end = begin(session, state)
        assert exchange is not None
        assert session.direct is not None
        session.direct.abandon(exchange)
        api.may_answer.set()
        assert isinstance(await session.fetch(request(3), new_state(session)), Page)
        assert not end.done()
        assert (state.on_wire, session.gate.budget.left) == (False, 2)


async def test_the_time_limit_of_the_call_ends_an_exchange() -> None:
    """It ends as a time-out, once, and its connection is not used again."""
    async with opened() as (api, session):
        api.may_answer.clear()
        state = RequestState(session.epoch, CrawlCounts(), CallOptions(timeout=0.05))
        exchange, end = begin(session, state)
        assert exchange is not None
        assert session.direct is not None
        outcome = session.direct.finish(await end)
        assert getattr(outcome, "label", None) == "timeout"
        assert begin(session, new_state(session))[0] is None  # no connection is idle


@pytest.mark.parametrize(
    "reason", ["slot", "rate", "budget", "epoch", "log", "connection", "alert"]
)
async def test_what_is_not_usual_is_left_to_a_task(
    reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent, counted or charged then, and the idle connection stays."""
    options: dict[str, Any] = {
        "slot": {"gate": make_gate(1)},
        "rate": {"gate": make_gate(rate=1000)},
        "budget": {"gate": make_gate(budget=1)},
    }.get(reason, {})
    async with opened(**options) as (api, session):
        epoch = session.epoch - (reason == "epoch")
        state = RequestState(epoch, CrawlCounts())
        sent_at, exchanges = None, []
        if reason == "slot":
            sent_at = session.gate.enter_at_once(lambda: None)
        elif reason == "log":
            caplog.set_level(logging.DEBUG, "tmapi_async")
        elif reason == "connection":
            api.may_answer.clear()
            exchanges.append(begin(session, new_state(session))[0])
        elif reason == "alert":
            api.bodies = [None]
            await session.fetch(request(3), new_state(session))
            api.may_answer.clear()
            # A failed attempt puts the breaker on the alert until a reply comes.
            first, end = begin(session, new_state(session), 4)
            assert first is not None
            api.bodies = [None]
            api.may_answer.set()
            assert session.direct is not None
            session.direct.finish(await end)
        used, spent = session.gate.in_use, session.gate.budget.spent
        assert begin(session, state, 5)[0] is None
        assert (session.gate.in_use, session.gate.budget.spent) == (used, spent)
        assert (state.sent, state.counts.requests) == (False, 0)
        if sent_at is not None:
            session.gate.answered(sent_at)
            exchanges.append(begin(session, state, 5)[0])
        for exchange in exchanges:
            assert exchange is not None
            assert session.direct is not None
            session.direct.abandon(exchange)


async def test_an_observer_is_told_by_tasks() -> None:
    """With an observer nothing is sent without a task."""
    async with opened(observer=Observer()) as (_, session):
        assert session.direct is None
