"""The controller closes the gate, and opens it again step by step."""

from __future__ import annotations

import pytest

from tests.support.closed_loop import ClosedLoop
from tmapi_async.limits.learning import LearningController


def settled(limit: int = 16, max_width: int | None = None) -> ClosedLoop:
    """Return a controller that knows its limit, with the gate full."""
    loop = ClosedLoop(LearningController(max_width), limit)
    loop.run(limit * 11)
    return loop


def refuse(loop: ClosedLoop, retry_after: float | None, *, sent_at: float | None = None) -> None:
    """Refuse one more attempt, by default one that was just sent."""
    sent = loop.now - 0.01 if sent_at is None else sent_at
    loop.controller.refused(loop.now, sent, loop.in_flight, retry_after)


def test_retry_after_closes_the_gate() -> None:
    """Nothing may be sent until the time that the server asked for is over."""
    loop = settled()
    refuse(loop, 5.0)
    assert loop.controller.width(loop.now) == 0
    assert loop.controller.width(loop.now + 4.99) == 0
    assert loop.controller.wake_at(loop.now) == loop.now + 5.0
    assert loop.controller.width(loop.now + 5.0) > 0


def test_burst_does_not_extend_a_pause() -> None:
    """Answers of one burst count from when the gate closed; only a longer time prolongs it."""
    loop = settled()
    closed = loop.now
    for _ in range(10):
        refuse(loop, 2.0, sent_at=closed - 0.1)
        loop.now += 0.15
    assert loop.controller.wake_at(loop.now) == closed + 2.0
    refuse(loop, 3.0, sent_at=closed - 0.1)
    assert loop.controller.wake_at(loop.now) == closed + 3.0


def test_retry_after_is_bounded() -> None:
    """No answer can close the gate for longer than two minutes; nonsense closes nothing."""
    loop = settled()
    refuse(loop, 1e9)
    assert loop.controller.wake_at(loop.now) == loop.now + 120.0
    for nonsense in (-1.0, 0.0, float("nan")):
        other = settled()
        refuse(other, nonsense)
        assert other.controller.width(other.now) > 0


def test_closed_gate_goes_on_learning() -> None:
    """A refusal that closes the gate cuts as well, and answers count while it is closed."""
    loop = settled()
    width = loop.controller.statistics().width
    refuse(loop, 5.0)
    before = loop.controller.statistics()
    assert before.width == width - 1
    loop.controller.answered(loop.now + 1, loop.now - 0.5, loop.in_flight)
    assert loop.controller.statistics().answered == before.answered + 1


def test_gate_reopens_step_by_step() -> None:
    """After a pause one attempt goes first, and the others follow over about a round trip."""
    loop = settled()
    controller = loop.controller
    refuse(loop, 5.0)
    loop.idle(5.0)
    target = controller.statistics().width
    assert controller.width(loop.now) == 1
    controller.sent(loop.now, 1)
    widths, times = [], []
    time: float | None = loop.now
    while time is not None:
        times.append(time)
        widths.append(controller.width(time))
        later = controller.wake_at(time)
        assert later is None or later > time
        time = later
    assert widths == sorted(widths)
    assert widths[0] <= 2
    assert widths[len(widths) // 2] < target
    assert widths[-1] == target
    assert 0.5 < times[-1] - times[0] < 1.5


def test_silence_is_a_pause() -> None:
    """A learned width is not filled at once after a long silence: the limit may have changed."""
    loop = settled()
    assert loop.controller.statistics().width == 16
    loop.idle(600.0)
    assert loop.controller.width(loop.now) == 1
    wake = loop.controller.wake_at(loop.now)
    assert wake is not None
    assert wake > loop.now
    loop.controller.sent(loop.now, 1)
    assert loop.controller.width(loop.now + 0.1) < 6
    assert loop.controller.width(loop.now + 2.0) == 16


def test_waiting_for_a_slow_answer_is_no_pause() -> None:
    """The gate stays open while a request of ours is at the server, however long that takes."""
    loop = settled()
    loop.controller.answered(loop.now, loop.now - 1, 2)
    assert loop.controller.width(loop.now + 600.0) == 16
    assert loop.controller.wake_at(loop.now + 600.0) is None


def test_max_width_is_open_after_silence() -> None:
    """A maximum width that was never refused stays in force after a silence, too."""
    loop = settled(16, 16)
    loop.idle(600.0)
    assert loop.controller.width(loop.now) == 16
    assert loop.controller.wake_at(loop.now) is None


def test_refusals_with_nothing_in_flight_cool_down() -> None:
    """With no request of ours at the server the gate closes, longer each time, up to a maximum."""
    controller = LearningController(1)
    now, pauses = 0.0, []
    for _ in range(20):
        controller.sent(now, 1)
        controller.refused(now + 0.01, now, 1, None)
        assert controller.width(now + 0.01) == 0
        wake = controller.wake_at(now + 0.01)
        assert wake is not None
        pauses.append(wake - now)
        now = wake
        assert controller.width(now) == 1
    assert pauses == pytest.approx(sorted(pauses))
    assert pauses[0] < 1
    assert 9 < pauses[-1] < 11
    controller.sent(now, 1)
    controller.answered(now + 1, now, 1)
    controller.sent(now + 1, 1)
    controller.refused(now + 2, now + 1, 1, None)
    wake = controller.wake_at(now + 2)
    assert wake is not None
    assert wake < now + 4


def test_one_burst_is_one_cool_down() -> None:
    """If a whole gate is refused at once, the cool-down is that of one refusal."""
    controller = LearningController(8)
    for level in range(1, 9):
        controller.sent(0.0, level)
    for level in range(8, 0, -1):
        controller.refused(0.1, 0.0, level, None)
    wake = controller.wake_at(0.1)
    assert wake == 0.1 + 0.25
    controller.refused(0.2, 0.0, 1, None)
    assert controller.wake_at(0.2) == wake


def test_clock_that_goes_back_freezes_nothing() -> None:
    """After the clock went back, the gate is open and still learns."""
    loop = settled()
    refuse(loop, 60.0)
    loop.idle(-1_000.0)
    loop.run(16 * 12)
    assert loop.controller.statistics().limit == 16
    loop.idle(-1_000.0)
    loop.limit = 3
    loop.run(16 * 12)
    assert loop.controller.statistics().limit == 3


def test_costly_probes_are_rare() -> None:
    """If every refusal closes the gate for 20 round trips, probes are rare."""
    loop = settled()
    loop.retry_after = 20.0
    began, answers = loop.now, loop.answers
    loop.run(16 * 2_000)
    assert loop.controller.statistics().probes > 2
    assert (loop.answers - answers) / 16 / (loop.now - began) > 0.94
