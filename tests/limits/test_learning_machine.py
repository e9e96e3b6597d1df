"""The controller under any order of events, with a clock that jumps."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.limits.learning import LearningController

LONGEST_PAUSE = 120.0
"""Maximum number of seconds for which the gate may be closed."""


class AnyOrder(RuleBasedStateMachine):
    """A gate that obeys the controller, and a server that behaves at random."""

    @initialize(max_width=st.none() | st.integers(1, 40), start=st.none() | st.integers(1, 40))
    def begin(self, max_width: int | None, start: int | None) -> None:
        """Make a controller."""
        self.controller = LearningController(max_width, start=start)
        self.max_width = max_width
        self.now = 0.0
        self.sent_times: list[float] = []
        self.abandoned = 0
        self.window_began = -1.0
        self.cuts = 0

    @property
    def in_flight(self) -> int:
        """Attempts that the server may be working on."""
        return len(self.sent_times) + self.abandoned

    @rule(limit=st.integers(1, 50))
    def send(self, limit: int) -> None:
        """Send as much as the gate lets through, or less."""
        for _ in range(limit):
            if self.in_flight >= self.controller.width(self.now):
                break
            self.sent_times.append(self.now)
            self.controller.sent(self.now, self.in_flight)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.1, 1.0, 3.0, 1_000.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, or jump."""
        self.now += seconds

    @rule()
    def jump_back(self) -> None:
        """Set the clock back, which a monotonic one should not do."""
        self.now -= 500.0

    @precondition(lambda self: self.sent_times)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """Answer any attempt."""
        sent_at = self._pick(data)
        self.controller.answered(self.now, sent_at, self.in_flight + 1)

    @precondition(lambda self: self.sent_times)
    @rule(
        data=st.data(),
        burst=st.integers(1, 40),
        retry_after=st.none() | st.sampled_from([0.0, 0.5, 2.0, 1e12, -3.0, float("nan")]),
    )
    def refuse(self, data: st.DataObject, burst: int, retry_after: float | None) -> None:
        """Attempts sent together are refused together: one cut at most, of half at most."""
        before = self.controller.statistics()
        sent_at = self._pick(data)
        refused = 1
        while refused < burst and sent_at in self.sent_times:
            self.sent_times.remove(sent_at)
            refused += 1
        for remaining in range(refused, 0, -1):
            self.controller.refused(self.now, sent_at, self.in_flight + remaining, retry_after)
        after = self.controller.statistics()
        assert after.cuts <= before.cuts + 1
        # The smallest gates may fall to one slot.
        assert after.width >= (before.width // 2 if before.width > 4 else 1)

    @precondition(lambda self: self.sent_times)
    @rule(data=st.data(), keeps_running=st.booleans())
    def abandon(self, data: st.DataObject, *, keeps_running: bool) -> None:
        """End an attempt without a reply; it may go on at the server."""
        sent_at = self._pick(data)
        self.abandoned += keeps_running
        self.controller.abandoned(self.now, sent_at)

    @precondition(lambda self: self.abandoned)
    @rule()
    def end_abandoned(self) -> None:
        """End an abandoned attempt at the server, unknown to the controller."""
        self.abandoned -= 1

    @invariant()
    def width_is_within_bounds(self) -> None:
        """The width is never negative and never above the maximum width."""
        width = self.controller.width(self.now)
        assert 0 <= width <= (self.max_width or 2_000)
        assert self.controller.statistics().width >= 1

    @invariant()
    def closed_gate_opens_by_itself(self) -> None:
        """A closed gate states when it opens, at most two minutes ahead, and then is open."""
        wake = self.controller.wake_at(self.now)
        assert wake is None or wake > self.now
        if self.controller.width(self.now) == 0:
            assert wake is not None
            assert wake <= self.now + LONGEST_PAUSE
            assert self.controller.width(wake) >= 1

    @invariant()
    def statistics_agree(self) -> None:
        """The snapshot shows the present state."""
        statistics = self.controller.statistics()
        assert statistics.ceiling == self.max_width
        assert statistics.limit is None or statistics.limit >= 0
        assert len(statistics.history) <= 512

    def teardown(self) -> None:
        """After any history, attempts can be sent again when time passes and the server answers."""
        if not hasattr(self, "controller"):
            return
        self.abandoned = 0
        for sent_at in self.sent_times:
            self.controller.abandoned(self.now, sent_at)
        self.sent_times.clear()
        self.now += 2 * LONGEST_PAUSE
        assert self.controller.width(self.now) >= 1

    def _pick(self, data: st.DataObject) -> float:
        return self.sent_times.pop(data.draw(st.integers(0, len(self.sent_times) - 1)))


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
