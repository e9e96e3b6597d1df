from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.checked_semaphore import CheckedSemaphore, make_semaphore
from tests.support.virtual_time import run, settle, virtual_loop

OPS = st.lists(
    st.one_of(
        st.tuples(st.just("acquire"), st.just(0)),
        st.tuples(st.just("acquire"), st.just(0)),
        st.tuples(st.sampled_from(["cancel", "release", "hold"]), st.integers(0, 9)),
        st.tuples(st.just("turns"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.integers(1, 5)),
    ),
    max_size=60,
)
WIDTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), max_size=8).map(
    lambda steps: sorted(dict(steps).items())
)


class Schedule:
    """One random run: callers come, are cancelled, release slots and leave held ones behind."""

    def __init__(self, slots: CheckedSemaphore) -> None:
        self.slots = slots
        self.tasks: list[asyncio.Task[int]] = []
        self.got: list[int] = []
        self.in_use_by_callers = 0
        self.cancelled: set[int] = set()

    async def take(self, number: int) -> int:
        """Wait for a slot; a caller cancelled after that releases it like any other."""
        await self.slots.acquire()
        self.got.append(number)
        self.in_use_by_callers += 1
        earlier = set(range(number)) - set(self.got) - self.cancelled
        # They have theirs too, and only have not run since.
        assert len(earlier) <= self.slots.in_use - self.in_use_by_callers - self.slots.abandoned
        return number

    def cancel(self, chosen: int) -> None:
        """Cancel one of those who have not got their slot."""
        open_ = [n for n, task in enumerate(self.tasks) if not task.done()]
        if open_:
            number = open_[chosen % len(open_)]
            self.tasks[number].cancel()
            self.cancelled.add(number)

    def release(self, seconds: int | None) -> None:
        """Give one slot back, at once or after a time."""
        if self.in_use_by_callers:
            self.in_use_by_callers -= 1
            if seconds is None:
                self.slots.release()
            else:
                self.slots.hold(virtual_loop().now + seconds, self.slots.release)

    async def do(self, what: str, value: int) -> None:
        """Do one step, and check the counts."""
        if what == "acquire":
            number = len(self.tasks)
            self.tasks.append(asyncio.ensure_future(self.take(number)))
        elif what == "cancel":
            self.cancel(value)
        elif what in ("release", "hold"):
            self.release(value if what == "hold" else None)
        elif what == "turns":
            await settle(value)
        else:
            await asyncio.sleep(value)
        await self.balanced()

    async def balanced(self) -> None:
        """If no task is ready to run, the slots in use are those of callers and the held ones."""
        if not virtual_loop().busy:
            assert self.slots.in_use == self.in_use_by_callers + self.slots.abandoned

    async def finish(self) -> None:
        """Release every slot until every caller was served."""
        while any(not task.done() for task in self.tasks):
            while self.in_use_by_callers:
                self.release(None)
            await asyncio.sleep(1)
        while self.in_use_by_callers:
            self.release(None)
        await asyncio.sleep(10)


@settings(max_examples=300)
@given(OPS, WIDTHS)
def test_random_schedules_lose_no_slot_and_no_waiter(
    ops: list[tuple[str, int]], widths: list[tuple[int, int]]
) -> None:
    """Callers come, go and are cancelled at random: never too many, never too few, all in order."""

    async def main() -> None:
        schedule = Schedule(make_semaphore((0, 2), *widths, (41, 1)))
        for what, value in ops:
            await schedule.do(what, value)
        await schedule.finish()
        slots = schedule.slots
        assert (slots.in_use, slots.abandoned, slots.waiting) == (0, 0, 0)
        missed = set(range(len(schedule.tasks))) - set(schedule.got)
        assert missed <= schedule.cancelled
        slots.close()
        assert virtual_loop().timers == 0

    run(main())
