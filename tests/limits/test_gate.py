from __future__ import annotations

import asyncio

import pytest

from tests.support.gates import (
    NO_STATISTICS,
    FixedController,
    balance,
    enter_tasks,
    make_gate,
    no_check,
)
from tests.support.virtual_time import run, settle, virtual_loop
from tmapi_async.errors import BudgetSpentError
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.rate import RateLimiter


class Order:
    """Records the order in which the parts of a gate are passed."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        order = self

        class RecordingBudget(Budget):
            def reserve(self) -> None:
                order.passed.append("budget")
                super().reserve()

        class RecordingRateLimiter(RateLimiter):
            async def wait(self) -> None:
                order.passed.append("rate asked")
                await super().wait()
                order.passed.append("rate")

        class RecordingController(FixedController):
            def width(self, now: float) -> int:
                order.passed.append("slot asked")
                return super().width(now)

            def sent(self, now: float, in_flight: int) -> None:
                order.passed.append("sent")
                super().sent(now, in_flight)

        self.gate = make_gate(
            RecordingController(1),
            rate_limiter=RecordingRateLimiter(0.1),
            budget=RecordingBudget(10),
        )

    def no_check(self) -> None:
        """Record the caller's check."""
        self.passed.append("wanted")


def test_slot_then_rate_then_budget() -> None:
    """An attempt passes slot, rate limiter, the caller's check and budget, in this order."""

    async def main() -> None:
        order = Order()
        for _ in range(2):
            order.passed.clear()
            sent_at = await order.gate.enter(order.no_check)
            assert order.passed == ["slot asked", "rate asked", "rate", "wanted", "budget", "sent"]
            order.gate.answered(sent_at)
        assert virtual_loop().now == 1010.0

    run(main())


def test_an_attempt_without_slot_does_not_ask_for_the_rate() -> None:
    """The rate limiter is not asked before there is a slot, nor the budget before it."""

    async def main() -> None:
        order = Order()
        gate = order.gate
        sent_at = await gate.enter(order.no_check)
        order.passed.clear()
        second, third = enter_tasks(gate, 2)
        await settle()
        assert set(order.passed) == {"slot asked"}
        gate.answered(sent_at)
        order.passed.clear()
        await settle()
        assert order.passed == ["rate asked"]
        assert balance(gate) == (1, 0, 1, 1)
        await second
        assert virtual_loop().now == 1010.0
        gate.answered(1010.0)
        await third
        assert virtual_loop().now == 1020.0

    run(main())


@pytest.mark.parametrize("rate_limited", [False, True], ids=["slot", "rate"])
def test_cancelled_at_any_wait_everything_is_given_back(*, rate_limited: bool) -> None:
    """An attempt cancelled any number of turns after it got slot or rate leaves no trace."""

    async def main(turns: int) -> bool:
        controller, loop = FixedController(1), virtual_loop()
        gate = make_gate(
            controller, rate_limiter=RateLimiter(0.1) if rate_limited else None, budget=Budget(3)
        )
        first = await gate.enter(no_check)
        if rate_limited:
            gate.answered(first)
        (task,) = enter_tasks(gate, 1)
        await settle()
        assert not task.done()
        if rate_limited:
            loop.now += 10
        else:
            gate.answered(first)
        await settle(turns)
        task.cancel()
        await settle()
        passed = not task.cancelled()
        if passed:
            gate.answered(task.result())
        assert balance(gate) == (0, 0, 0, 1 + passed)
        gate.answered(await asyncio.wait_for(gate.enter(no_check), 30))
        assert gate.budget.left == 1 - passed
        return passed

    assert {run(main(turns)) for turns in range(8)} == {False, True}


@pytest.mark.parametrize("rate_limited", [False, True], ids=["slot", "rate"])
def test_cancelled_while_it_waits_it_was_never_there(*, rate_limited: bool) -> None:
    """An attempt cancelled while it waits for slot or rate does not block others."""

    async def main() -> None:
        gate = make_gate(
            FixedController(1),
            rate_limiter=RateLimiter(0.1) if rate_limited else None,
            budget=Budget(2),
        )
        first = await gate.enter(no_check)
        if rate_limited:
            gate.answered(first)
        tasks = enter_tasks(gate, 3)
        await settle()
        for task in tasks[:2]:
            task.cancel()
        await settle()
        if not rate_limited:
            gate.answered(first)
        assert await tasks[2] == pytest.approx(1010.0 if rate_limited else 1000.0)
        assert balance(gate) == (1, 0, 0, 2)

    run(main())


def test_what_is_no_longer_wanted_costs_nothing() -> None:
    """The caller's check comes last before the budget: if it raises, nothing is spent or held."""

    class UnwantedError(Exception):
        pass

    def unwanted() -> None:
        raise UnwantedError

    async def main() -> None:
        controller = FixedController(1)
        gate = make_gate(controller, budget=Budget(1))
        for _ in range(3):
            with pytest.raises(UnwantedError):
                await gate.enter(unwanted)
        assert balance(gate) == (0, 0, 0, 0)
        assert controller.calls == []
        gate.answered(await gate.enter(no_check))

    run(main())


def test_the_controller_hears_of_every_attempt() -> None:
    """The controller receives the times and the number at the server, the attempt included."""

    async def main() -> None:
        controller, loop = FixedController(3), virtual_loop()
        gate = make_gate(controller)
        sent = [await gate.enter(no_check) for _ in range(3)]
        loop.now += 2
        gate.answered(sent[0])
        gate.refused(sent[1], 7.0)
        gate.abandoned(sent[2], served=False)
        assert controller.calls == [
            ("sent", 1000.0, 1),
            ("sent", 1000.0, 2),
            ("sent", 1000.0, 3),
            ("answered", 1002.0, 1000.0, 3),
            ("refused", 1002.0, 1000.0, 2, 7.0),
            ("abandoned", 1002.0, 1000.0),
        ]
        controller.at_server -= 1
        assert balance(gate) == (0, 0, 0, 3)
        await gate.enter(no_check)
        assert controller.calls[-1] == ("sent", 1002.0, 1)

    run(main())


def test_slots_that_wait_for_the_rate_are_not_at_the_server() -> None:
    """An attempt is in flight when it is sent, not while it waits for the rate limiter."""

    async def main() -> None:
        controller = FixedController(5)
        gate = make_gate(controller, rate_limiter=RateLimiter(1))
        for sent_at in await asyncio.gather(*enter_tasks(gate, 5)):
            gate.answered(sent_at)
        assert [calls[2] for calls in controller.calls[:5]] == [1, 2, 3, 4, 5]
        assert [calls[1] for calls in controller.calls[:5]] == [1000, 1001, 1002, 1003, 1004]

    run(main())


def test_an_abandoned_attempt_keeps_its_slot() -> None:
    """After a time-out the slot stays taken while the server can be expected to work."""

    async def main() -> None:
        controller, loop = FixedController(1), virtual_loop()
        gate = make_gate(controller)
        for _ in range(5):
            sent_at = await gate.enter(no_check)
            loop.now += 4
            gate.answered(sent_at)
        sent_at = await gate.enter(no_check)
        loop.now += 1
        gate.abandoned(sent_at, served=True)
        assert balance(gate) == (1, 1, 0, 6)
        assert controller.calls[-1][0] == "abandoned"
        controller.at_server -= 1
        await gate.enter(no_check)
        assert loop.now == sent_at + 4
        assert balance(gate) == (1, 0, 0, 7)
        assert controller.calls[-1] == ("sent", sent_at + 4, 1)

    run(main())


def test_a_cut_connection_frees_its_slot_at_once() -> None:
    """An attempt that the server no longer works on frees its slot at once."""

    async def main() -> None:
        gate = make_gate(FixedController(1))
        gate.abandoned(await gate.enter(no_check), served=False)
        assert balance(gate) == (0, 0, 0, 1)

    run(main())


def test_a_closed_gate_keeps_nothing() -> None:
    """Closing releases held slots and cancels every timer; a gate used again counts from 0."""

    async def main() -> None:
        controller = FixedController(3)
        gate = make_gate(controller)
        for sent_at in [await gate.enter(no_check) for _ in range(3)]:
            gate.abandoned(sent_at, served=True)
        assert balance(gate) == (3, 3, 0, 3)
        gate.close()
        assert balance(gate) == (0, 0, 0, 3)
        assert virtual_loop().timers == 0
        controller.at_server = 0
        await gate.enter(no_check)
        assert controller.calls[-1] == ("sent", 1000.0, 1)

    run(main())


def test_a_gate_tells_its_state() -> None:
    """The snapshot and the repr of a gate show width, slots, waiters, budget and rate."""

    async def main() -> None:
        gate = make_gate(FixedController(1), rate_limiter=RateLimiter(2.5), budget=Budget(9))
        await gate.enter(no_check)
        waiters = enter_tasks(gate, 2)
        await settle()
        snapshot = gate.statistics()
        assert (snapshot.width, snapshot.in_flight, snapshot.waiting) == (1, 1, 2)
        assert (snapshot.requests, snapshot.budget_left, snapshot.rate) == (1, 8, 2.5)
        assert snapshot.controller is NO_STATISTICS
        assert repr(gate) == (
            "<Gate: width 1, <AdaptiveSemaphore: 1 in use, 0 of them for abandoned requests, "
            "2 waiting>, "
            "<Budget: 1 of 9 spent>>"
        )
        for task in waiters:
            task.cancel()
        await settle()

    run(main())


def test_a_closed_controller_shows_as_one_slot() -> None:
    """The width that a frontier plans with is at least 1, also while the gate cools down."""

    async def main() -> None:
        assert make_gate(FixedController(0)).width == 1
        assert make_gate(FixedController(7)).width == 7

    run(main())


def test_the_real_controller_in_its_gate() -> None:
    """With the learning controller a gate of N keeps N in flight and never more."""

    async def main() -> None:
        gate, peak = make_gate(LearningController(8)), 0

        async def ask() -> None:
            nonlocal peak
            sent_at = await gate.enter(no_check)
            peak = max(peak, gate.statistics().in_flight)
            await asyncio.sleep(0.05)
            gate.answered(sent_at)

        await asyncio.gather(*(ask() for _ in range(400)))
        assert peak == 8
        assert balance(gate) == (0, 0, 0, 400)

    run(main())


def test_refused_for_ever_the_gate_still_opens() -> None:
    """With every attempt refused and a long Retry-After, waiters are let in again and again."""

    async def main() -> float:
        gate = make_gate(LearningController(4))
        for _ in range(20):
            sent_at = await gate.enter(no_check)
            gate.refused(sent_at, 60.0)
        assert balance(gate) == (0, 0, 0, 20)
        return virtual_loop().now

    assert 1000 + 19 * 60 <= run(main()) <= 1000 + 19 * 130


def test_a_free_slot_is_passed_at_once() -> None:
    """Without a wait an attempt passes in one step, which a refusing check or budget undoes."""

    async def main() -> None:
        gate = make_gate(FixedController(2), budget=Budget(1))

        def unwanted() -> None:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            gate.enter_at_once(unwanted)
        assert balance(gate) == (0, 0, 0, 0)
        assert gate.enter_at_once(None) == virtual_loop().now
        assert gate.in_use == gate.at_server == 1
        with pytest.raises(BudgetSpentError):
            gate.enter_at_once(no_check)
        assert gate.in_use == gate.at_server == gate.budget.spent == 1

    run(main())


def test_an_attempt_that_must_wait_does_not_pass_at_once() -> None:
    """Behind attempts that wait, without a free slot, and at a limited rate, nothing is passed."""

    async def main() -> None:
        gate = make_gate(FixedController(1))
        first = await gate.enter(no_check)
        assert gate.enter_at_once(no_check) is None
        (waiting,) = enter_tasks(gate, 1)
        await settle()
        gate.answered(first)
        assert gate.enter_at_once(no_check, urgent=True) is None
        gate.answered(await waiting)
        assert gate.in_use == 0
        limited = make_gate(FixedController(1), rate_limiter=RateLimiter(0.1))
        assert limited.enter_at_once(no_check) is None
        assert limited.in_use == 0

    run(main())
