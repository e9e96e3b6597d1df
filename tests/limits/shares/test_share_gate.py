"""The gate of a session keeps to its share: slots, rate, budget, lease."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import run, settle, virtual_loop
from tmapi_async.limits.shares.share_gate import ShareGate
from tmapi_async.limits.shares.slot_share import SlotShare


def still_wanted():
    """Let every attempt pass: all are still wanted."""


def make_gate(*, rate_limited=False, lease=10_000):
    """Return a gate on the virtual clock, with `lease` seconds left."""
    clock = virtual_loop().time
    gate = ShareGate(
        rate_limited=rate_limited, on_event=lambda: None, clock=clock, lease_clock=clock
    )
    gate.extend_lease(virtual_loop().now + lease)
    return gate


def enter(gate, many):
    """Start `many` attempts to pass."""
    return [asyncio.create_task(gate.enter(still_wanted)) for _ in range(many)]


def passed(tasks):
    """Count the attempts that have passed."""
    return sum(task.done() for task in tasks)


async def leave(tasks):
    """End the attempts that still wait."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def test_no_more_pass_than_there_are_slots():
    """The share's slots limit the attempts; after a narrower share, answers must come first."""

    async def main():
        gate = make_gate()
        tasks = enter(gate, 6)
        await settle()
        assert passed(tasks) == 0
        for slots, through in ((2, 2), (4, 4), (1, 4)):
            gate.apply_share(SlotShare(slots, slots))
            await settle()
            assert passed(tasks) == through
        for task in tasks[:3]:
            gate.answered(task.result())
        await settle()
        assert passed(tasks) == 4
        gate.answered(tasks[3].result())
        await settle()
        assert passed(tasks) == 5
        await leave(tasks)

    run(main())


def test_a_page_keeps_its_slot_until_it_is_handed_over():
    """Pages not handed over and requests on the wire together never exceed the slots."""

    async def main():
        gate = make_gate()
        gate.apply_share(SlotShare(1, 2))
        tasks = enter(gate, 4)
        await settle()
        gate.hold_slot()
        gate.answered(tasks[0].result())
        await settle()
        assert passed(tasks) == 2
        gate.release_slots(1)
        await settle()
        assert passed(tasks) == 3
        await leave(tasks)

    run(main())


def test_nothing_passes_when_the_lease_is_over():
    """A session without news from the coordinator stops by itself."""

    async def main():
        gate = make_gate(lease=5)
        gate.apply_share(SlotShare(1, 4))
        await asyncio.sleep(6)
        tasks = enter(gate, 2)
        await settle()
        assert passed(tasks) == 0
        gate.extend_lease(virtual_loop().now + 5)
        gate.admit_waiting()
        await settle()
        assert passed(tasks) == 2

    run(main())


def test_a_machine_that_slept_finds_its_lease_over():
    """The clock of leases goes on while the machine sleeps; the gate's own clock stands still."""

    async def main():
        slept = 0.0
        gate = ShareGate(
            rate_limited=False,
            on_event=lambda: None,
            clock=virtual_loop().time,
            lease_clock=lambda: virtual_loop().time() + slept,
        )
        gate.apply_share(SlotShare(1, 4))
        gate.extend_lease(virtual_loop().now + 5)
        now = virtual_loop().now
        assert gate.controller.width(now) == 4
        slept = 3600.0
        assert gate.controller.width(now) == 0

    run(main())


def test_a_rate_is_even_and_changes_at_once():
    """One attempt each 1/rate seconds, no burst; a new share changes the rate, 0 stops all."""

    async def main():
        gate = make_gate(rate_limited=True)
        gate.apply_share(SlotShare(1, 9, rate=2.0))
        times = []

        async def once():
            await gate.enter(still_wanted)
            times.append(virtual_loop().now - began)

        began = virtual_loop().now
        tasks = [asyncio.create_task(once()) for _ in range(6)]
        await asyncio.sleep(1.1)
        gate.apply_share(SlotShare(2, 9, rate=0.0))
        await asyncio.sleep(10)
        assert [round(at, 3) for at in times] == [0.0, 0.5, 1.0]
        gate.apply_share(SlotShare(3, 9, rate=4.0))
        await asyncio.wait(tasks)
        assert [round(at - times[3], 3) for at in times[3:]] == [0.0, 0.25, 0.5]

    run(main())


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["share", "enter", "answer", "cancel", "time"]),
            st.integers(0, 6),
            st.integers(0, 12),
        ),
        max_size=60,
    ),
    rate_limited=st.booleans(),
)
def test_no_attempt_fails_for_want_of_budget(steps, rate_limited):
    """In every order of shares, attempts beyond the budget wait, and no more is spent."""

    async def main():
        gate = make_gate(rate_limited=rate_limited)
        tasks, waiting, epoch, limit = [], [], 0, 0
        for step, small, large in steps:
            if step == "share":
                epoch += 1
                least = gate.budget.spent + gate.in_use - gate.at_server
                gate.apply_share(SlotShare(epoch, small, 5.0, allowed=large))
                limit = max(large, least)
            elif step == "enter":
                waiting += enter(gate, small)
            elif step == "answer" and tasks:
                gate.answered(tasks.pop().result())
            elif step == "cancel" and waiting:
                waiting[small % len(waiting)].cancel()
            elif step == "time":
                await asyncio.sleep(small / 10)
            await settle(6)
            tasks += [task for task in waiting if task.done() and not task.cancelled()]
            waiting = [task for task in waiting if not task.done()]
            assert gate.budget.spent <= limit
        assert all(task.exception() is None for task in tasks)
        if waiting:
            await leave(waiting)

    run(main())


def test_the_slot_of_a_refused_attempt_stays_closed_for_a_mean_latency():
    """The account is narrower by a slot of another gate, which may have to end a request first."""

    async def main():
        gate = make_gate()
        gate.apply_share(SlotShare(1, 3))
        first = enter(gate, 1)
        await settle()
        await asyncio.sleep(0.5)
        gate.answered(first[0].result())  # the mean latency is known from here on
        tasks = enter(gate, 4)
        await settle()
        assert passed(tasks) == 3
        gate.refused(tasks[0].result(), None)
        await asyncio.sleep(0.4)
        assert passed(tasks) == 3
        await asyncio.sleep(0.2)
        assert passed(tasks) == 4
        await leave(tasks)

    run(main())
