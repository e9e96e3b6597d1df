"""A maximum that rises and falls, as other processes join and leave, is followed."""

from __future__ import annotations

import pytest

from tests.support.closed_loop import ClosedLoop
from tmapi_async.limits.learning import LearningController


def test_a_gate_that_only_its_ceiling_stopped_grows_when_it_rises():
    """Up to the new ceiling, or to the limit of the server."""
    controller = LearningController(4)
    loop = ClosedLoop(controller, 12)
    loop.run(60)
    assert controller.statistics().width == 4
    controller.set_max_width(8)
    loop.run(200)
    assert controller.statistics().width == 8
    controller.set_max_width(None)
    loop.run(600)
    assert controller.statistics().limit == 12
    assert controller.statistics().ceiling is None


def test_a_ceiling_that_falls_narrows_the_gate_at_once():
    """And it grows no more beyond it."""
    controller = LearningController(None, start=4)
    loop = ClosedLoop(controller, 12)
    loop.run(300)
    controller.set_max_width(5)
    assert controller.statistics().width == 5
    loop.run(300)
    assert controller.statistics().width == 5


def test_a_gate_that_holds_a_limit_of_the_server_does_not_grow_with_its_ceiling():
    """The refused level was refused by the server, and not by the ceiling."""
    controller = LearningController(20)
    loop = ClosedLoop(controller, 8)
    loop.run(300)
    refusals = loop.refusals
    controller.set_max_width(40)
    loop.run(60)
    assert loop.refusals <= refusals + 2


def test_a_limit_known_from_another_process_is_held_without_being_met_again():
    """Nothing is refused until the gate looks for a wider one."""
    loop = ClosedLoop(LearningController(None, start=8, holding=True), 8)
    loop.run(60)
    assert loop.refusals == 0
    assert loop.most_in_flight == 8


def test_a_width_learned_long_ago_is_not_filled_at_once():
    """The gate opens in steps over a round trip, and meets a lower limit with a few requests."""
    controller = LearningController(None, start=32, latency=1.0, stepwise=True)
    loop = ClosedLoop(controller, 32)
    assert controller.width(0.0) == 1
    loop.run(1)
    assert controller.width(loop.now + 2.0) >= 32


@pytest.mark.parametrize("may_send", [True, False])
def test_a_process_that_was_silent_asks_whether_it_may_send(may_send):
    """Before its first attempt, and after each silence; not while it is at work."""
    asked = []

    def check():
        asked.append(True)
        return may_send

    controller = LearningController(4)
    controller.may_send = check
    assert controller.width(0.0) == (4 if may_send else 0)
    asked.clear()
    controller.sent(0.0, 1)
    assert controller.width(0.5) == 4
    assert asked == []
    controller.answered(0.6, 0.0, 1)
    assert controller.width(60.0) == (4 if may_send else 0)
    assert asked == [True]


def test_a_gate_widens_no_faster_than_refusals_of_other_processes_are_heard():
    """The pause between two added slots has the time of a report in it."""
    quick, slow = LearningController(None, start=4), LearningController(None, start=4)
    slow.set_hearing_delay(1.0)
    for controller in (quick, slow):
        ClosedLoop(controller, 64).run(60)
    assert slow.statistics().width < quick.statistics().width
