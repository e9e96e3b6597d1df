from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gates import FixedController, balance, make_gate, no_check
from tests.support.virtual_time import run, settle
from tmapi_async import BudgetSpentError
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.rate import RateLimiter

SCHEDULES = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "enter", "cancel", "answered", "refused", "lost", "cut"])
        | st.sampled_from(["wait", "widen", "narrow"]),
        st.integers(0, 9),
    ),
    max_size=50,
)


class Traffic:
    """One random run of attempts through a gate."""

    def __init__(self, gate: Gate, controller: FixedController) -> None:
        self.gate, self.controller = gate, controller
        self.tasks: list[asyncio.Task[None]] = []
        self.sent: list[float] = []

    async def enter(self) -> None:
        """Pass the gate, if the budget allows."""
        self.sent.append(await self.gate.enter(no_check))

    async def do(self, what: str, value: int) -> None:
        """Do one thing."""
        if what == "enter":
            self.tasks.append(asyncio.ensure_future(self.enter()))
        elif what == "cancel":
            open_ = [task for task in self.tasks if not task.done()]
            if open_:
                open_[value % len(open_)].cancel()
        elif what == "wait":
            await asyncio.sleep(value)
        elif what in ("widen", "narrow"):
            self.controller.open = value % 5 + 1
        elif self.sent:
            self.end(what, self.sent.pop(value % len(self.sent)))
        await settle(value % 3)

    def end(self, what: str, sent_at: float) -> None:
        """End an attempt in one of the possible ways."""
        if what == "answered":
            self.gate.answered(sent_at)
        elif what == "refused":
            self.gate.refused(sent_at, None)
        else:
            self.gate.abandoned(sent_at, served=what == "lost")


class Lax(FixedController):
    """A controller that accepts more attempts at the server than a reduced width."""

    def sent(self, now: float, in_flight: int) -> None:
        """Record one attempt more at the server."""
        self.calls.append(("sent", now, in_flight))
        assert in_flight >= 1


@settings(max_examples=200)
@given(SCHEDULES, st.booleans(), st.none() | st.integers(1, 8))
def test_random_traffic_leaves_the_gate_in_balance(
    ops: list[tuple[str, int]],
    slow: bool,
    maximum: int | None,
) -> None:
    """Attempts come, end and are cancelled at random; in the end no slot is held or waited for."""

    async def main() -> None:
        controller = Lax(2)
        gate = make_gate(
            controller, rate_limiter=RateLimiter(0.5) if slow else None, budget=Budget(maximum)
        )
        traffic = Traffic(gate, controller)
        for what, value in ops:
            await traffic.do(what, value)
        while not all(task.done() for task in traffic.tasks):
            while traffic.sent:
                traffic.end("answered", traffic.sent.pop())
            await asyncio.sleep(1)
        while traffic.sent:
            traffic.end("answered", traffic.sent.pop())
        gate.close()
        sent = sum(calls[0] == "sent" for calls in controller.calls)
        ended = len(controller.calls) - sent
        assert balance(gate) == (0, 0, 0, sent)
        assert (gate.at_server, ended) == (0, sent)
        assert maximum is None or sent <= maximum
        failures = [task for task in traffic.tasks if not task.cancelled() and task.exception()]
        assert all(isinstance(task.exception(), BudgetSpentError) for task in failures)
        assert not failures or sent == maximum

    run(main())
