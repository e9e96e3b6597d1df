from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.checked_semaphore import make_semaphore
from tests.support.virtual_time import StuckError, VirtualLoop, run, settle, virtual_loop
from tmapi_async.limits.semaphore import AdaptiveSemaphore


def taking(slots: AdaptiveSemaphore, count: int) -> list[asyncio.Task[None]]:
    """Start tasks that each wait for a slot and keep it."""
    return [asyncio.ensure_future(slots.acquire()) for _ in range(count)]


def holders(tasks: list[asyncio.Task[None]]) -> list[int]:
    """Return the numbers of the tasks that have their slot."""
    return [n for n, task in enumerate(tasks) if task.done() and not task.cancelled()]


def test_slots_are_handed_out_in_order() -> None:
    """The width is the number of slots; waiters get theirs in the order in which they came."""

    async def main() -> None:
        slots = make_semaphore((0, 2))
        tasks = taking(slots, 5)
        await settle()
        for released in range(4):
            assert holders(tasks) == list(range(2 + released))[:5]
            assert (slots.in_use, slots.waiting) == (min(2, 5 - released), max(0, 3 - released))
            slots.release()
            await settle()
        slots.release()
        assert (slots.in_use, slots.waiting) == (0, 0)

    run(main())


def test_a_slot_that_opens_by_itself_is_an_urgent_callers() -> None:
    """A caller that is not urgent does not take a new slot before an urgent one that waits."""

    async def main() -> None:
        slots = make_semaphore((0, 1), (5, 2))
        await slots.acquire()
        urgent = asyncio.ensure_future(slots.acquire(urgent=True))
        await settle()
        later = virtual_loop().time() + 6  # the width has grown; its timer has not run yet
        assert not slots.take_free(later)
        await urgent
        assert (slots.in_use, virtual_loop().time()) == (2, 1005)

    run(main())


def test_no_caller_overtakes_a_waiter() -> None:
    """A slot that was handed over is not taken by a caller who comes before the waiter runs."""

    async def main() -> None:
        slots = make_semaphore((0, 1))
        await slots.acquire()
        (first,) = taking(slots, 1)
        await settle()
        slots.release()  # hands the slot to the first, who has not run yet
        assert (slots.in_use, first.done()) == (1, False)
        (late,) = taking(slots, 1)
        await settle()
        assert (first.done(), late.done(), slots.waiting) == (True, False, 1)
        late.cancel()
        await settle()
        assert slots.waiting == 0

    run(main())


def test_no_caller_overtakes_a_waiter_when_the_gate_opens() -> None:
    """A caller that comes at the moment the gate opens by itself waits behind earlier callers."""

    async def main() -> None:
        slots = make_semaphore((0, 0), (5, 1))
        (first,) = taking(slots, 1)
        await settle()
        virtual_loop().now += 6  # the timer is due, and has not fired yet
        late = asyncio.ensure_future(slots.acquire())
        await settle()
        assert (first.done(), late.done()) == (True, False)
        late.cancel()
        await settle()

    run(main())


def test_a_free_slot_is_taken_without_a_turn_of_the_loop() -> None:
    """If a slot is free and nobody waits, taking it does not let another task run."""

    async def main() -> None:
        slots = make_semaphore((0, 1))
        ran: list[int] = []
        asyncio.get_running_loop().call_soon(ran.append, 1)
        await slots.acquire()
        assert ran == []

    run(main())


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_cancelled_waiter_leaves_nothing_behind(*, handed_over: bool) -> None:
    """A waiter cancelled while it waits, or after it got its slot, leaves nothing behind."""

    async def main() -> None:
        slots = make_semaphore((0, 1))
        await slots.acquire()
        first, second = taking(slots, 2)
        await settle()
        if handed_over:
            slots.release()
            assert slots.in_use == 1
        first.cancel()
        await settle()
        assert first.cancelled()
        assert second.done() == handed_over
        assert (slots.in_use, slots.waiting) == (1, 0 if handed_over else 1)
        if not handed_over:
            slots.release()
            await settle()
        assert second.done()

    run(main())


def test_a_cancelled_waiter_and_a_release_in_one_turn() -> None:
    """A slot given back in the turn in which the first waiter is cancelled goes to the second."""

    async def main() -> None:
        slots = make_semaphore((0, 1))
        await slots.acquire()
        first, second = taking(slots, 2)
        await settle()
        first.cancel()
        slots.release()
        await settle()
        assert (first.cancelled(), second.done(), slots.in_use) == (True, True, 1)

    run(main())


def test_an_acquire_that_is_closed_leaves_nothing_behind() -> None:
    """A coroutine that is closed while it waits, as one that is collected, is not handed a slot."""

    async def main() -> None:
        slots = make_semaphore((0, 1))
        await slots.acquire()
        coroutine = slots.acquire()
        coroutine.send(None)
        assert slots.waiting == 1
        coroutine.close()
        assert slots.waiting == 0
        slots.release()
        await settle()
        assert slots.in_use == 0

    run(main())


def test_waiters_wake_when_the_width_grows_by_itself() -> None:
    """A gate that opens without an event lets in as many as its new width, at that time."""

    async def main() -> None:
        slots = make_semaphore((0, 0), (5, 1), (7, 3), (20, 2))
        entered: list[float] = []

        async def enter() -> None:
            await slots.acquire()
            entered.append(virtual_loop().time() - 1000)

        tasks = [asyncio.ensure_future(enter()) for _ in range(3)]
        await asyncio.gather(*tasks)
        assert entered == pytest.approx([5, 7, 7])
        assert virtual_loop().timers == 0

    run(main())


def test_a_shrunken_width_takes_no_slot_away() -> None:
    """With a width below the slots in use, nobody gets a slot until enough are released."""

    async def main() -> None:
        slots = make_semaphore((0, 3), (1, 1))
        tasks = taking(slots, 5)
        await asyncio.sleep(2)
        assert holders(tasks) == [0, 1, 2]
        for left, held in ((2, 3), (1, 3), (1, 4)):
            slots.release()
            await settle()
            assert (slots.in_use, len(holders(tasks))) == (left, held)
        tasks[4].cancel()
        await settle()

    run(main())


def test_a_wake_up_that_is_due_does_not_spin() -> None:
    """A controller that names a time in the past is called again, but not without end."""

    class Eager:
        calls = 0

        def width(self, now: float) -> int:
            self.calls += 1
            return 1 if now >= 1001 else 0

        def wake_at(self, now: float) -> float | None:
            return now

    async def main() -> None:
        eager = Eager()
        await AdaptiveSemaphore(eager, virtual_loop().time).acquire()
        assert virtual_loop().now == pytest.approx(1001, abs=0.01)
        assert eager.calls < 1100

    run(main())


def test_a_gate_that_never_opens_sets_no_timer() -> None:
    """If the controller names no time to wake at, no timer is set."""

    async def main() -> None:
        await make_semaphore((0, 0)).acquire()

    with pytest.raises(StuckError):
        run(main())


def test_a_held_slot_is_released_at_its_time() -> None:
    """An abandoned request keeps its slot until the server can be expected to finish it."""

    async def main() -> None:
        slots = make_semaphore((0, 1))
        await slots.acquire()
        slots.hold(1007.0, slots.release)
        assert (slots.in_use, slots.abandoned) == (1, 1)
        await slots.acquire()
        assert virtual_loop().now == 1007
        assert (slots.in_use, slots.abandoned) == (1, 0)
        slots.hold(1007.0, slots.release)
        assert (slots.in_use, slots.abandoned) == (0, 0)
        assert (
            repr(slots)
            == "<AdaptiveSemaphore: 0 in use, 0 of them for abandoned requests, 0 waiting>"
        )

    run(main())


def test_closing_cancels_every_timer() -> None:
    """Closed slots have no timer, and no held slot; slots in use stay in use."""

    async def main() -> None:
        slots = make_semaphore((0, 3), (50, 4))
        waiters = taking(slots, 4)
        await settle()
        releases: list[int] = []

        def release() -> None:
            releases.append(1)
            slots.release()

        slots.hold(1010.0, release)
        slots.hold(1020.0, release)
        waiters[3].cancel()
        await settle()
        assert (slots.in_use, slots.abandoned) == (3, 2)
        slots.close()
        assert (slots.in_use, slots.abandoned, len(releases)) == (1, 0, 2)
        assert virtual_loop().timers == 0
        slots.close()
        slots.release()
        assert slots.in_use == 0

    run(main())


def test_the_virtual_loop_jumps_and_never_waits() -> None:
    """The clock of these tests stands still while anything runs, and jumps to the next timer."""

    async def main() -> tuple[float, Any]:
        loop = virtual_loop()
        await settle(50)
        assert loop.now == 1000.0
        await asyncio.sleep(3600)
        return loop.now, type(loop)

    assert run(main()) == (4600.0, VirtualLoop)
