"""The controller learns the account's limit from answers and refusals."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.closed_loop import ClosedLoop
from tmapi_async.errors import InvalidRequestError
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.opening.first_climb import CLIMB_END


def burst(controller: LearningController, refused: int, sent_at: float, now: float) -> None:
    """Fill the gate, and refuse so many of its attempts at once."""
    in_flight = controller.width(sent_at)
    for level in range(1, in_flight + 1):
        controller.sent(sent_at, level)
    for i in range(refused):
        controller.refused(now, sent_at, in_flight - i, None)


@pytest.mark.parametrize("max_width", [1, 2, 5, 16, 100])
def test_true_max_width_is_used_at_once_and_never_refused(max_width: int) -> None:
    """A maximum width that is the limit is in full use from the start: no 503, no narrowing."""
    controller = LearningController(max_width)
    loop = ClosedLoop(controller, max_width)
    widths = set()
    loop.run(60 * max_width, lambda: widths.add(controller.width(loop.now)))
    assert widths == {max_width}
    assert loop.refusals == 0
    assert controller.statistics().ceiling == max_width


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 16, 50, 200])
def test_width_becomes_exactly_the_limit(limit: int) -> None:
    """An unknown limit is found, and exactly that many are kept in flight."""
    controller = LearningController()
    loop = ClosedLoop(controller, limit)
    loop.run(100 * limit)
    statistics = controller.statistics()
    assert statistics.width - limit in (0, 1)  # 1 while a probe is out
    assert statistics.limit == limit
    assert statistics.latency == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("limit", [4, 7, 16, 50, 200])
def test_learning_costs_few_refusals(limit: int) -> None:
    """An unknown limit costs at most 3 refusals and 0.2 % of the requests."""
    loop = ClosedLoop(LearningController(), limit)
    loop.run(100 * limit)
    assert loop.refusals <= 3 + 0.002 * (loop.answers + loop.refusals)


def test_max_width_above_the_limit_is_learned_under() -> None:
    """A maximum width above the limit is never exceeded, and the limit is still learned."""
    controller = LearningController(40)
    loop = ClosedLoop(controller, 16)
    loop.run(2_000)
    assert controller.statistics().limit == 16
    assert loop.most_in_flight == 40


def test_max_width_holds_when_the_server_takes_more() -> None:
    """No more than the maximum width is in flight, however much the server accepts."""
    loop = ClosedLoop(LearningController(10, start=2), 1_000)
    loop.run(2_000)
    assert loop.most_in_flight == 10


def test_burst_of_refusals_is_one_cut() -> None:
    """Refusals of attempts sent before the cut do not cut again, nor take more than half."""
    controller = LearningController(64)
    burst(controller, 48, sent_at=0.0, now=1.0)
    statistics = controller.statistics()
    assert statistics.cuts == 1
    assert statistics.width == 32
    assert statistics.refused == 48


def test_burst_takes_off_what_the_server_did_not_take() -> None:
    """The number left in flight after a burst of refusals is the new width."""
    controller = LearningController(64)
    burst(controller, 9, sent_at=0.0, now=1.0)
    assert controller.statistics().width == 55


def test_late_refusal_knows_nothing_of_a_later_width() -> None:
    """A late refusal of an old burst does not undo the growth since."""
    loop = ClosedLoop(LearningController(40), 16)
    loop.run(16 * 30)
    loop.limit = 30
    while loop.controller.statistics().width < 25:
        loop.run(16)
    loop.controller.refused(loop.now, 0.0, 5, None)
    assert loop.controller.statistics().width >= 25


def test_smallest_gate_may_fall_to_one_slot() -> None:
    """Of the four slots it starts with, a burst leaves one if the server takes only one."""
    loop = ClosedLoop(LearningController(), 1)
    loop.run(5)
    assert loop.refusals == 3
    assert loop.controller.statistics().width == 1


def test_unused_width_does_not_grow() -> None:
    """Answers while the gate is not full store no credit."""
    controller = LearningController()
    for i in range(1_000):
        controller.sent(i / 10, 2)
        controller.answered(i / 10 + 0.05, i / 10, 2)
    assert controller.statistics().width == 4


def test_no_third_of_the_width_is_untried() -> None:
    """Answers to attempts sent at an earlier width widen it by half at most, at first by less."""
    controller = LearningController(start=CLIMB_END)
    widths = []
    for i in range(4):
        began = now = 100.0 * i
        controller.sent(now, controller.statistics().width)
        for _ in range(100):
            now += 0.1
            controller.answered(now, began, controller.statistics().width)
        widths.append(controller.statistics().width)
    assert widths == [65, 69, 85, 127]


def test_growth_waits_for_a_refusal_to_be_heard() -> None:
    """Once the latency of refusals is known, answers within that time add one slot only."""
    controller = LearningController()
    loop = ClosedLoop(controller, 4)
    loop.run(30)
    loop.limit = 100
    while controller.statistics().width < 8:
        loop.run(1)
    before = controller.statistics().width
    loop.now += 1.0
    for _ in range(8):
        controller.answered(loop.now, loop.now - 0.5, loop.in_flight)
    assert controller.statistics().width == before + 1


def test_probe_risks_one_attempt() -> None:
    """A held width is exceeded by one attempt at a time, and a refusal ends that at once."""
    controller = LearningController()
    loop = ClosedLoop(controller, 16)
    loop.run(200)
    before, probes = loop.refusals, controller.statistics().probes
    loop.run(800)
    after = controller.statistics()
    assert after.probes > probes
    assert loop.refusals - before == after.probes - probes
    assert loop.most_in_flight <= 18


def test_limit_met_once_is_looked_into_soon() -> None:
    """A chance refusal at the start does not keep the gate narrow until a probe is granted."""
    controller = LearningController()
    burst(controller, 1, sent_at=0.0, now=0.02)
    assert controller.statistics().limit == 3
    loop = ClosedLoop(controller, 16)
    while controller.statistics().width < 16:
        loop.run(1)
    assert loop.now < 15.0


def test_limit_met_twice_is_looked_into_evenly() -> None:
    """After the second refusal probes are spread evenly, 32 round trips apart at most."""
    controller = LearningController()
    loop = ClosedLoop(controller, 8)
    looked: list[int] = []
    while loop.answers < 1_000:
        loop.run(1)
        if loop.refusals > len(looked):
            looked.append(loop.answers)
    pauses = [after - before for before, after in pairwise(looked[1:])]
    assert pauses == pytest.approx([8 * 32] * 3, abs=30)


def test_wider_limit_is_found() -> None:
    """After the limit doubles, 90 % of it are in use within 15 round trips."""
    controller = LearningController()
    loop = ClosedLoop(controller, 64)
    loop.run(64 * 30)
    loop.limit, since = 128, loop.now
    while loop.running < 0.9 * 128:
        loop.run(1)
    assert loop.now - since < 15
    loop.run(128 * 10)
    assert controller.statistics().limit == 128


def test_narrower_limit_is_found() -> None:
    """After the limit halves, the width follows; refusals are at most half the limit."""
    controller = LearningController()
    loop = ClosedLoop(controller, 64)
    loop.run(64 * 30)
    before = loop.refusals
    loop.limit = 32
    loop.run(64 * 4)
    assert loop.refusals - before <= 32
    assert controller.statistics().limit == 32


def test_deep_fall_costs_few_refusals() -> None:
    """If nine in ten slots are gone, cuts get deeper: not each lost slot costs a refusal."""
    controller = LearningController()
    loop = ClosedLoop(controller, 100)
    loop.run(100 * 20)
    before = loop.refusals
    loop.limit = 10
    loop.run(400)
    assert loop.refusals - before <= 45
    assert controller.statistics().limit == 10


def test_one_unlucky_refusal_is_forgotten_soon() -> None:
    """A single refusal at an accepted width costs one slot for some round trips, no more."""
    controller = LearningController()
    loop = ClosedLoop(controller, 16)
    loop.run(16 * 100)
    assert controller.statistics().width == 16
    loop.random_refusals = 1.0
    refused = loop.refusals

    def mend() -> None:
        if loop.refusals > refused:
            loop.random_refusals = 0.0

    loop.run(6, mend)
    assert loop.refusals == refused + 1
    assert controller.statistics().width == 15
    loop.run(60)
    assert controller.statistics().width == 16
    assert loop.refusals == refused + 1


@pytest.mark.parametrize(("limit", "random_refusals"), [(16, 0.02), (16, 0.05), (64, 0.04)])
def test_refusals_at_every_width_do_not_narrow_for_ever(limit: int, random_refusals: float) -> None:
    """If some requests are refused at any width, most of the limit is still used."""
    controller = LearningController()
    loop = ClosedLoop(controller, limit, random_refusals=random_refusals)
    loop.run(60 * limit)
    began = loop.now
    loop.run(250 * limit)
    assert 250 / (loop.now - began) > 0.75


def test_refusal_of_a_lone_attempt_does_not_narrow() -> None:
    """A refusal with no other request of ours at the server does not change the width."""
    controller = LearningController(8)
    controller.sent(0.0, 1)
    controller.refused(0.1, 0.0, 1, None)
    assert controller.statistics().width == 8


def test_slots_that_a_cut_leaves_open_are_not_filled_at_once() -> None:
    """After a burst the gate opens for one more than is left in flight, then step by step."""
    controller = LearningController(64)
    burst(controller, 60, sent_at=0.0, now=1.0)
    assert controller.statistics().width == 32
    assert controller.width(1.0) == 5


def test_slow_ones_at_the_end_are_no_measure() -> None:
    """When work runs out and only slow requests are left, the mean latency stays what it was."""
    loop = ClosedLoop(LearningController(16), 16)
    loop.run(800)
    before = loop.controller.statistics().latency
    for i in range(8):
        loop.controller.answered(loop.now, loop.now - 30.0, 8 - i)
    assert loop.controller.statistics().latency == before


def test_width_has_an_end_without_a_max_width() -> None:
    """Without a maximum width the gate is still not wider than 2,000."""
    assert LearningController(start=5_000).statistics().width == 2_000


def test_server_that_stays_slower_is_used_again() -> None:
    """A server that was faster once does not keep the gate from growing for ever."""
    loop = ClosedLoop(LearningController(), 16)
    loop.run(16 * 20)
    loop.latency = 10.0
    loop.limit = 32
    loop.run(16 * 500)
    assert loop.controller.statistics().limit == 32


def test_server_that_queues_is_not_pushed() -> None:
    """If more requests in flight only make answers slower, the width stops growing."""
    controller = LearningController()
    loop = ClosedLoop(controller, 16, queues=True)
    loop.run(4_000)
    assert 16 <= controller.statistics().width < 16 * 16


def test_width_of_nothing_recovers() -> None:
    """After everything was refused for a while, the whole limit is soon in use again."""
    controller = LearningController()
    loop = ClosedLoop(controller, 16)
    loop.run(500)
    loop.limit = 0
    refused = loop.refusals

    def mend() -> None:
        if loop.refusals > refused + 15:
            loop.limit = 16

    loop.run(400, mend)
    loop.run(400)
    assert controller.statistics().limit == 16


@pytest.mark.parametrize("bad", [0, -1, True])
def test_nonsense_is_refused(bad: int) -> None:
    """A maximum width or a start below 1 is an error that names it."""
    with pytest.raises(InvalidRequestError, match="max_width"):
        LearningController(bad)
    with pytest.raises(InvalidRequestError, match="start"):
        LearningController(start=bad)


def test_history_is_bounded_and_in_order() -> None:
    """The record of a long run begins at its start, is in order of time and stays small."""
    loop = ClosedLoop(LearningController(), 16, random_refusals=0.05)
    loop.run(20_000)
    history = loop.controller.statistics().history
    assert history[0].event == "start"
    assert list(history) == sorted(history, key=lambda point: point.time)
    assert 100 < len(history) <= 512
    assert history[-1].time > loop.now - 60
    assert {"cut", "probe"} <= {point.event for point in history}


def test_statistics_count_what_happened() -> None:
    """The snapshot counts answers, refusals and abandoned attempts, and names the state."""
    controller = LearningController()
    assert controller.statistics().state == "growing"
    controller.sent(0.0, 1)
    controller.abandoned(1.0, 0.0)
    controller.sent(1.0, 1)
    controller.answered(2.0, 1.0, 1)
    loop = ClosedLoop(controller, 4)
    loop.now = 2.0
    loop.run(50)
    statistics = controller.statistics()
    assert statistics.abandoned == 1
    assert statistics.answered == 51
    assert statistics.refused == loop.refusals
    assert statistics.state == "holding"
    assert "width 4" in repr(controller)
