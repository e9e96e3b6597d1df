"""What several gates saw, played to one controller, is what one gate would have seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.harvest.cluster.event_merge import (
    ANSWERED,
    REFUSED,
    SENT,
    EventRecorder,
    EventReplay,
)

EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=60
)


class Heard:
    """A controller that writes down what it is told."""

    def __init__(self):
        self.calls = []

    def sent(self, now, in_flight):
        """Note it."""
        self.calls.append(("sent", now, in_flight))

    def answered(self, now, sent_at, in_flight):
        """Note it."""
        self.calls.append(("answered", now, sent_at, in_flight))

    def refused(self, now, sent_at, in_flight, retry_after):
        """Note it."""
        self.calls.append(("refused", now, sent_at, in_flight, retry_after))

    def abandoned(self, now, sent_at):
        """Note it."""
        self.calls.append(("abandoned", now, sent_at))


@given(events=EVENTS, offsets=st.tuples(*[st.sampled_from((0.0, 64.0, -32.0))] * 3))
def test_events_of_many_gates_are_played_as_those_of_one(events, offsets):
    """In order of time and with the requests of all in flight, whenever each gate reports."""
    one, replay = Heard(), EventReplay(many := Heard(), lambda _: None)
    recorders, open_ = [EventRecorder() for _ in range(3)], [[], [], []]

    def report(gate, now):
        offset = offsets[gate]
        replay.report(
            str(gate),
            recorders[gate].take(),
            offset=offset,
            clock=now - offset,
            busy=len(open_[gate]),
        )
        replay.play(now)

    for gate in range(3):
        report(gate, 0)
    for now, (gate, begins, tells) in enumerate(events, 1):
        mine, at = open_[gate], now - offsets[gate]
        if begins or not mine:
            mine.append(now)
            recorders[gate].add(SENT, at, at, len(mine))
            one.sent(now, sum(map(len, open_)))
        else:
            sent_at = mine[0]
            total, kind = sum(map(len, open_)), (ANSWERED if now % 3 else REFUSED)
            after = 2.5 if now % 2 else None
            recorders[gate].add(kind, at, sent_at - offsets[gate], len(mine), after)
            mine.pop(0)
            if kind == ANSWERED:
                one.answered(now, sent_at, total)
            else:
                one.refused(now, sent_at, total, after)
        # A gate that was idle tells at once: nobody waits for what an idle gate may have to tell.
        if tells or mine == [now]:
            report(gate, now)
    for _ in range(2):
        for gate in range(3):
            report(gate, len(events) + 1)
    assert many.calls == one.calls
    assert replay.in_flight == sum(map(len, open_))


def test_a_gate_that_is_silent_holds_up_no_more_than_what_it_may_have_seen():
    """What one gate tells waits for another that has requests at the server, and for no other."""
    replay = EventReplay(heard := Heard(), lambda _: None)
    recorder = EventRecorder()
    recorder.add(SENT, 1.0, 1.0, 1)
    replay.report("busy", recorder.take(), offset=0.0, clock=1.0, busy=1)
    replay.report("idle", b"", offset=0.0, clock=0.0, busy=0)
    recorder.add(SENT, 5.0, 5.0, 1)
    replay.report("other", recorder.take(), offset=0.0, clock=5.0, busy=1)
    replay.play(6.0)
    assert heard.calls == [("sent", 1.0, 1)]
    replay.forget("busy")
    replay.play(6.0)
    assert heard.calls[1:] == [("sent", 5.0, 1)]


def test_a_ghost_is_laid_without_an_event():
    """A gate that tells of fewer requests than its events left has laid ghosts."""
    replay = EventReplay(Heard(), lambda _: None)
    recorder = EventRecorder()
    recorder.add(SENT, 1.0, 1.0, 1)
    replay.report("gate", recorder.take(), offset=0.0, clock=1.0, busy=1)
    replay.play(1.0)
    assert replay.in_flight == 1
    replay.report("gate", b"", offset=0.0, clock=2.0, busy=0)
    replay.play(2.0)
    assert replay.in_flight == 0
