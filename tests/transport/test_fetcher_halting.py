from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.mocked import outcome, scripted
from tests.support.sessions import failure, make_gate, new_state, page, request
from tests.support.virtual_time import run, settle, virtual_loop
from tmapi_async import AuthenticationError, BalanceError, Page, RetryPolicy, TMAPIError
from tmapi_async.transport.request_state import StoppedError

HALTING = (failure(439, 439), failure(439), (200, b'{"message": "Insufficient API balance"}'))
REFUSED = (failure(4011, 401), (401, b""), failure(403))


@pytest.mark.parametrize("answer", [*HALTING, *REFUSED])
def test_after_a_halt_nothing_more_is_sent(answer: Any) -> None:
    """After 439 or 401 no attempt starts: not those at the gate, nor those in a back-off."""

    async def main() -> None:
        answers = (failure(500), 1, page(2), 2, answer, 3, page(4), page(9))
        slow = RetryPolicy(base=1000, cap=1000)
        async with scripted(*answers, gate=make_gate(4), policy=slow) as (session, script):
            shared = new_state(session)
            tasks = [
                asyncio.ensure_future(outcome(session, number, shared)) for number in range(1, 13)
            ]
            await asyncio.sleep(2.5)
            urls = len(script.urls)
            outcomes = await asyncio.gather(*tasks)
            assert len(script.urls) == urls
            kinds = {type(one) for one in outcomes}
            assert kinds == {Page, BalanceError if answer in HALTING else AuthenticationError}
            errors = [one for one in outcomes if isinstance(one, TMAPIError)]
            assert len(set(map(id, errors))) == len(errors)
            assert all(error.halts for error in errors)
            assert session.gate.statistics().in_flight == 0

    run(main())


def test_what_is_on_the_wire_at_a_halt_is_taken() -> None:
    """A reply that was paid for is a page, even if another one says that the balance is spent."""

    async def main() -> None:
        async with scripted(5, failure(439), 9, page(2), gate=make_gate(2)) as (session, script):
            shared = new_state(session)
            halted, paid = await asyncio.gather(
                outcome(session, 1, shared), outcome(session, 2, shared)
            )
            assert (type(halted), type(paid)) == (BalanceError, Page)
            assert len(script.urls) == 2

    run(main())


def test_a_walk_begun_after_a_halt_tries_again() -> None:
    """A halt ends the work begun before it; work begun later sends requests again."""

    async def main() -> None:
        async with scripted(failure(439), page(2)) as (session, script):
            before = new_state(session)
            assert type(await outcome(session, 1, before)) is BalanceError
            assert type(await outcome(session, 2, before)) is BalanceError
            assert len(script.urls) == 1
            assert isinstance(await outcome(session, 2), Page)
            assert type(await outcome(session, 3, before)) is BalanceError

    run(main())


@pytest.mark.parametrize("where", ["at the gate", "in a back-off", "on the wire"])
def test_a_walk_that_stops_starts_no_attempt(where: str) -> None:
    """Stopped anywhere, a page request sends nothing more; an attempt on the wire is awaited."""

    async def main() -> None:
        answers = {"on the wire": (5, failure(500)), "in a back-off": (failure(500),)}
        async with scripted(
            *answers.get(where, (page(1),)),
            gate=make_gate(1),
            policy=RetryPolicy(base=100, cap=100),
        ) as (session, script):
            sent_at = await session.gate.enter(int) if where == "at the gate" else None
            shared = new_state(session)
            task = asyncio.ensure_future(session.fetch(request(), shared))
            await settle(10)
            urls = len(script.urls)
            assert urls == (where != "at the gate")
            shared.stopping = True
            if sent_at is not None:
                session.gate.answered(sent_at)
            with pytest.raises(StoppedError):
                await task
            # The back-off of an attempt that failed after the stop is not waited for.
            assert where == "in a back-off" or virtual_loop().now <= 1005.1
            assert len(script.urls) == urls
            assert session.gate.statistics().in_flight == 0

    run(main())


@pytest.mark.parametrize("where", ["at the gate", "in a back-off", "on the wire"])
def test_a_cancelled_fetch_leaves_its_slot_in_order(where: str) -> None:
    """Cancelled anywhere, a page request keeps only the slot of an attempt on the wire."""

    async def main() -> None:
        answers = {"on the wire": 5, "in a back-off": failure(500), "at the gate": page(1)}
        async with scripted(
            answers[where], page(1), gate=make_gate(1), policy=RetryPolicy(base=100, cap=100)
        ) as (session, script):
            sent_at = await session.gate.enter(int) if where == "at the gate" else None
            shared = new_state(session)
            task = asyncio.ensure_future(session.fetch(request(), shared))
            await settle(10)
            task.cancel()
            await settle(10)
            assert task.cancelled()
            assert (shared.on_wire, shared.counts.resting) == (False, 0)
            if sent_at is not None:
                session.gate.answered(sent_at)
            snapshot = session.gate.statistics()
            ghosts = 1 if where == "on the wire" else 0
            assert (snapshot.in_flight, snapshot.ghosts, snapshot.waiting) == (ghosts, ghosts, 0)
            assert snapshot.requests - (sent_at is not None) == len(script.urls)

    run(main())
