"""The gate of a seat keeps to its share: slots, pace, budget, lease."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import run, settle, virtual_loop
from tmapi_async.harvest.cluster.protocol import SlotShare
from tmapi_async.harvest.cluster.worker.worker_gate import WorkerGate


def wanted():
    """The attempt is still wanted."""


def valve(*, paced=False):
    """A valve on the virtual clock, its lease running."""
    made = WorkerGate(paced=paced, on_event=lambda: None, clock=virtual_loop().time)
    made.renew(virtual_loop().now + 10_000)
    return made


def enter(gate, many):
    """So many attempts that want to pass."""
    return [asyncio.create_task(gate.enter(wanted)) for _ in range(many)]


def passed(tasks):
    """How many have passed."""
    return sum(task.done() for task in tasks)


async def leave(tasks):
    """End those that still wait."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def test_no_more_pass_than_there_are_slots():
    """As many as the share has slots; after a narrower one, answers must come first."""

    async def main():
        gate = valve()
        tasks = enter(gate, 6)
        await settle()
        assert passed(tasks) == 0
        for slots, through in ((2, 2), (4, 4), (1, 4)):
            gate.take(SlotShare(slots, slots))
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
    """What was read and not handed over, and what is on the wire, are never more than the slots."""

    async def main():
        gate = valve()
        gate.take(SlotShare(1, 2))
        tasks = enter(gate, 4)
        await settle()
        gate.shared.held += 1
        gate.answered(tasks[0].result())
        await settle()
        assert passed(tasks) == 2
        gate.hold(0)
        await settle()
        assert passed(tasks) == 3
        await leave(tasks)

    run(main())


def test_nothing_passes_when_the_lease_is_over():
    """A seat that hears nothing stops by itself."""

    async def main():
        gate = valve()
        gate.take(SlotShare(1, 4))
        gate.renew(virtual_loop().now + 5)
        await asyncio.sleep(6)
        tasks = enter(gate, 2)
        await settle()
        assert passed(tasks) == 0
        gate.renew(virtual_loop().now + 5)
        gate.admit_waiting()
        await settle()
        assert passed(tasks) == 2

    run(main())


def test_a_pace_is_even_and_changes_at_once():
    """One attempt each 1/rate seconds, without a burst; a new share changes it, 0 is a halt."""

    async def main():
        gate = valve(paced=True)
        gate.take(SlotShare(1, 9, rate=2.0))
        times = []

        async def once():
            await gate.enter(wanted)
            times.append(virtual_loop().now - began)

        began = virtual_loop().now
        tasks = [asyncio.create_task(once()) for _ in range(6)]
        await asyncio.sleep(1.1)
        gate.take(SlotShare(2, 9, rate=0.0))
        await asyncio.sleep(10)
        assert [round(at, 3) for at in times] == [0.0, 0.5, 1.0]
        gate.take(SlotShare(3, 9, rate=4.0))
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
    paced=st.booleans(),
)
def test_no_attempt_fails_for_want_of_budget(steps, paced):
    """Whatever is told in whatever order, those who could not pay wait; no more is ever spent."""

    async def main():
        gate = valve(paced=paced)
        tasks, waiting, epoch, most = [], [], 0, 0
        for what, small, large in steps:
            if what == "share":
                epoch += 1
                least = gate.budget.spent + gate.in_use - gate.at_server
                gate.take(SlotShare(epoch, small, 5.0, allowed=large))
                most = max(large, least)
            elif what == "enter":
                waiting += enter(gate, small)
            elif what == "answer" and tasks:
                gate.answered(tasks.pop().result())
            elif what == "cancel" and waiting:
                waiting[small % len(waiting)].cancel()
            elif what == "time":
                await asyncio.sleep(small / 10)
            await settle(6)
            tasks += [task for task in waiting if task.done() and not task.cancelled()]
            waiting = [task for task in waiting if not task.done()]
            assert gate.budget.spent <= most
        assert all(task.exception() is None for task in tasks)
        if waiting:
            await leave(waiting)

    run(main())
