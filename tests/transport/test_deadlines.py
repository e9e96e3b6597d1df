"""Deadlines: work that takes too long ends with a time-out; other work is not affected."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tmapi_async.transport.deadlines import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10.0


class Clock:
    """The part of a loop that deadlines use, with a clock that only tests move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Set a timer."""
        timer = Timer(when, callback)
        self.timers.append(timer)
        return timer

    @property
    def pending(self) -> list[float]:
        """Times at which the set timers will fire."""
        return sorted(timer.when for timer in self.timers)

    def pass_to(self, now: float) -> None:
        """Move the clock, and fire the timers that are due."""
        self.now = now
        self.timers = [timer for timer in self.timers if not timer.cancelled]
        due = [timer for timer in self.timers if timer.when <= now]
        self.timers = [timer for timer in self.timers if timer.when > now]
        for timer in due:
            timer.callback()


class Timer:
    """A timer that can be cancelled."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        """Cancel the timer."""
        self.cancelled = True


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that tests move; `current_task` still uses the loop that really runs."""
    real = asyncio.current_task
    monkeypatch.setattr("asyncio.current_task", lambda _loop=None: real())
    return Clock()


def deadlines(clock: Any) -> Deadlines:
    """Return deadlines of ten seconds."""
    return Deadlines(LIMIT, clock)


async def wait(limits: Deadlines, event: asyncio.Event) -> str:
    """Wait for the event under a deadline, and return how the wait ended."""
    try:
        with limits.begin():
            await event.wait()
    except TimeoutError:
        return "timed out"
    return "in time"


async def settled() -> None:
    """Let every task run as far as it gets."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_takes_too_long_times_out_and_what_began_later_does_not(clock):
    """Each deadline counts from its own beginning."""
    limits, never = deadlines(clock), asyncio.Event()
    early = asyncio.create_task(wait(limits, never))
    await settled()
    clock.pass_to(104)
    late = asyncio.create_task(wait(limits, never))
    await settled()
    clock.pass_to(110)
    assert await early == "timed out"
    assert early.cancelling() == 0
    assert not late.done()
    clock.pass_to(114)
    assert await late == "timed out"


class Exchange:
    """A time limit that belongs to no task, and leaves when it has expired."""

    def __init__(self, limits: Deadlines) -> None:
        self.at, self.limits, self.expired = 0.0, limits, 0

    def expire(self) -> None:
        """Leave, and let another one begin."""
        self.expired += 1
        self.limits.remove(self)
        self.limits.add(Exchange(self.limits))


async def test_a_time_limit_without_a_task_expires_once_and_may_be_followed(clock):
    """Those that leave in time do not expire, and one timer is set at any time."""
    limits = deadlines(clock)
    early, done, late = (Exchange(limits) for _ in range(3))
    limits.add(early)
    limits.add(done)
    clock.pass_to(104)
    limits.add(late)
    limits.remove(done)
    clock.pass_to(110)
    assert [each.expired for each in (early, done, late)] == [1, 0, 0]
    clock.pass_to(114)
    assert [each.expired for each in (early, done, late)] == [1, 0, 1]
    assert len(clock.timers) == 1


async def test_one_timer_serves_all(clock):
    """One timer is set for any number of deadlines: for the oldest."""
    limits, event = deadlines(clock), asyncio.Event()
    tasks = [asyncio.create_task(wait(limits, event)) for _ in range(50)]
    await settled()
    assert clock.pending == [110]
    event.set()
    assert set(await asyncio.gather(*tasks)) == {"in time"}
    assert clock.pending == [110]


async def test_the_timer_goes_on_to_the_oldest_that_is_left(clock):
    """If the oldest ended in time, the timer expires nothing and is set for the next."""
    limits, first, second = deadlines(clock), asyncio.Event(), asyncio.Event()
    done = asyncio.create_task(wait(limits, first))
    await settled()
    clock.pass_to(103)
    runs = asyncio.create_task(wait(limits, second))
    await settled()
    first.set()
    assert await done == "in time"
    clock.pass_to(110)
    await settled()
    assert not runs.done()
    assert clock.pending == [113]
    clock.pass_to(113)
    assert await runs == "timed out"
    assert clock.pending == []


async def test_a_cancellation_by_somebody_else_stays_a_cancellation(clock):
    """A cancellation before the deadline is not a time-out, and nothing is left to expire."""
    limits = deadlines(clock)
    task = asyncio.create_task(wait(limits, asyncio.Event()))
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert repr(limits) == "<Deadlines: 0 running, 10 s each>"


async def test_a_cancellation_that_comes_with_the_time_out_wins(clock):
    """A cancellation together with the time-out: the caller's cancellation is not lost."""
    limits = deadlines(clock)
    task = asyncio.create_task(wait(limits, asyncio.Event()))
    await settled()
    clock.pass_to(110)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_what_ends_while_it_is_being_cancelled_leaves_the_task_uncancelled(clock):
    """If work turns the cancellation into its own result, no cancellation stays pending."""
    limits = deadlines(clock)

    async def stubborn() -> int:
        with limits.begin(), contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    task = asyncio.create_task(stubborn())
    await settled()
    clock.pass_to(110)
    assert await task == 0


async def test_an_error_of_the_work_is_not_replaced_by_the_time_out(clock):
    """If the work fails while it is being cancelled, its own error is raised."""
    limits = deadlines(clock)

    async def fails() -> None:
        with limits.begin():
            try:
                await asyncio.Event().wait()
            finally:
                raise LookupError

    task = asyncio.create_task(fails())
    await settled()
    clock.pass_to(110)
    with pytest.raises(LookupError):
        await task


async def test_a_loop_that_wakes_a_little_early_does_not_spin(clock):
    """Half a millisecond early counts as due: no timer is set again for the rest."""
    limits = deadlines(clock)
    task = asyncio.create_task(wait(limits, asyncio.Event()))
    await settled()
    (timer,) = clock.timers
    clock.timers, clock.now = [], 109.9995
    timer.callback()
    assert clock.pending == []
    assert await task == "timed out"


async def test_closing_lets_go_of_the_timer_but_not_of_what_still_runs(clock):
    """A closed session leaves no timer with the loop, unless an attempt needs it."""
    limits, event = deadlines(clock), asyncio.Event()
    task = asyncio.create_task(wait(limits, event))
    await settled()
    (timer,) = clock.timers
    limits.close()
    assert not timer.cancelled
    event.set()
    await task
    limits.close()
    assert timer.cancelled


async def test_a_deadline_needs_a_task():
    """A deadline outside of any task is refused, not ignored: there is nothing to cancel."""
    loop = asyncio.get_running_loop()
    limits, future = Deadlines(LIMIT, loop), loop.create_future()

    def callback() -> None:
        try:
            limits.begin()
        except RuntimeError as error:
            future.set_result(str(error))

    loop.call_soon(callback)
    assert "needs a task" in await future
