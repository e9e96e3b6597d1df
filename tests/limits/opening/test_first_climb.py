"""The climb: the gate of a new account opens by the clock until its first refusal."""

from __future__ import annotations

import asyncio

from tests.support.closed_loop import ClosedLoop
from tests.support.gates import make_gate, no_check
from tests.support.virtual_time import run
from tmapi_async.limits.latency import LatencyEstimate
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.opening.first_climb import CLIMB_END, FirstClimb


def known(latency: float) -> LatencyEstimate:
    """Return an estimate after one answer."""
    estimate = LatencyEstimate()
    estimate.answered(latency, 1)
    return estimate


def test_first_answer_starts_the_climb() -> None:
    """Nothing is opened before an answer has told the latency."""
    climb = FirstClimb(4, 2_000)
    assert climb.due_at(5.0, 4, 4, 100, LatencyEstimate()) is None
    assert climb.due_at(5.0, 4, 4, 100, known(1.6)) == 5.4


def test_slot_is_due_after_a_share_of_the_latency() -> None:
    """The width may double in a latency, but no more than 16 slots are opened in that time."""
    climb, estimate = FirstClimb(4, 2_000), known(1.6)
    assert climb.due_at(0.0, 4, 4, 100, estimate) == 0.4
    assert climb.step(0.4, 4, 2_000) == 5
    assert climb.due_at(0.4, 5, 4, 100, estimate) == 0.4 + 1.6 / 5
    assert climb.due_at(0.4, 40, 40, 100, estimate) == 0.4 + 1.6 / 16


def test_refusals_of_other_processes_are_waited_for() -> None:
    """Where a refusal is heard late, the next slot waits for it."""
    climb, estimate = FirstClimb(4, 2_000), known(1.6)
    estimate.hearing_delay = 1.0
    assert climb.due_at(0.0, 4, 4, 100, estimate) == 1.0 + 1.6 / 32


def test_server_that_answers_slowly_is_not_climbed() -> None:
    """From 16 slots on there are at most two slots for each answer: a server may queue requests."""
    climb, estimate = FirstClimb(4, 2_000), known(1.0)
    assert climb.due_at(0.0, 15, 15, 1, estimate) is not None
    assert climb.due_at(0.0, 16, 16, 8, estimate) is None
    assert climb.due_at(0.0, 16, 16, 9, estimate) is not None


def test_slots_without_demand_open_no_more() -> None:
    """A gate that is not full does not climb; a slot that was just freed does not matter."""
    climb, estimate = FirstClimb(8, 2_000), known(1.0)
    assert climb.due_at(0.0, 8, 6, 100, estimate) is not None
    assert climb.due_at(0.0, 8, 5, 100, estimate) is None


def test_clock_that_was_set_back_does_not_stop_the_climb() -> None:
    """The next slot is due soon after the new time."""
    climb, estimate = FirstClimb(4, 2_000), known(1.0)
    assert climb.due_at(100.0, 4, 4, 100, estimate) == 100.25
    assert climb.due_at(3.0, 4, 4, 100, estimate) == 3.25


def test_climb_ends_at_the_maximum() -> None:
    """The last step ends the climb, also where the maximum has become lower."""
    climb = FirstClimb(4, 6)
    assert climb.step(1.0, 4, 6) == 5
    assert climb.active
    assert climb.step(2.0, 5, 5) == 5
    assert not climb.active
    assert not FirstClimb(6, 6).active
    assert not FirstClimb(CLIMB_END, 2_000).active


def test_new_account_is_in_use_within_a_few_latencies() -> None:
    """40 unknown slots are in use in 3 latencies, at the cost of one burst of refusals."""
    loop = ClosedLoop(LearningController(), 40)
    while loop.running < 40:
        loop.run(1)
    assert loop.now <= 3.0
    loop.run(80)
    assert loop.refusals <= 2
    assert loop.controller.statistics().limit == 40


def test_refused_account_does_not_climb_again() -> None:
    """After the first refusal only answers widen the gate."""
    controller = LearningController()
    loop = ClosedLoop(controller, 6)
    loop.run(60)
    assert loop.refusals
    widths = {controller.width(loop.now + later / 10) for later in range(10)}
    assert len(widths) == 1
    assert controller.wake_at(loop.now) is None


def test_waiting_attempts_get_their_slots_by_the_clock() -> None:
    """The gate opens slots while nothing happens but that attempts wait for them."""

    async def main() -> int:
        gate = make_gate(LearningController())
        attempts = [asyncio.ensure_future(gate.enter(no_check)) for _ in range(50)]
        await asyncio.sleep(1.0)
        gate.answered(attempts[0].result())
        await asyncio.sleep(1.0)
        for attempt in attempts:
            attempt.cancel()
        gate.close()
        return sum(attempt.done() and not attempt.cancelled() for attempt in attempts)

    assert 8 <= run(main()) <= 16
