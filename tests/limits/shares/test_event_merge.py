"""Events of several gates, replayed to one controller, are those that one gate would see."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.limits.shares.event_merge import (
    ANSWERED,
    REFUSED,
    SENT,
    EventRecorder,
    EventReplay,
)

EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=60
)


class RecordingController:
    """A controller that records its calls."""

    def __init__(self):
        self.calls = []

    def sent(self, now, in_flight):
        """Record the call."""
        self.calls.append(("sent", now, in_flight))

    def answered(self, now, sent_at, in_flight):
        """Record the call."""
        self.calls.append(("answered", now, sent_at, in_flight))

    def refused(self, now, sent_at, in_flight, retry_after):
        """Record the call."""
        self.calls.append(("refused", now, sent_at, in_flight, retry_after))

    def abandoned(self, now, sent_at):
        """Record the call."""
        self.calls.append(("abandoned", now, sent_at))


@given(events=EVENTS, offsets=st.tuples(*[st.sampled_from((0.0, 64.0, -32.0))] * 3))
def test_events_of_many_gates_are_replayed_as_those_of_one(events, offsets):
    """In order of time and with the requests of all in flight, whenever each gate reports."""
    one, many = RecordingController(), RecordingController()
    replay = EventReplay(many, lambda _: None)
    recorders, in_flight = [EventRecorder() for _ in range(3)], [[], [], []]

    def report(gate, now):
        offset = offsets[gate]
        replay.report(
            str(gate),
            recorders[gate].drain(),
            offset=offset,
            clock=now - offset,
            in_flight=len(in_flight[gate]),
        )
        replay.play(now)

    for gate in range(3):
        report(gate, 0)
    for now, (gate, begins, reports) in enumerate(events, 1):
        mine, at = in_flight[gate], now - offsets[gate]
        if begins or not mine:
            mine.append(now)
            recorders[gate].add(SENT, at, at, len(mine))
            one.sent(now, sum(map(len, in_flight)))
        else:
            sent_at = mine[0]
            total, kind = sum(map(len, in_flight)), (ANSWERED if now % 3 else REFUSED)
            after = 2.5 if now % 2 else None
            recorders[gate].add(kind, at, sent_at - offsets[gate], len(mine), after)
            mine.pop(0)
            if kind == ANSWERED:
                one.answered(now, sent_at, total)
            else:
                one.refused(now, sent_at, total, after)
        # A gate that was idle reports at once: the replay does not wait for idle gates.
        if reports or mine == [now]:
            report(gate, now)
    for _ in range(2):
        for gate in range(3):
            report(gate, len(events) + 1)
    assert many.calls == one.calls
    assert replay.in_flight == sum(map(len, in_flight))


def test_a_silent_gate_holds_up_only_events_that_came_after_its_report():
    """Events wait for the report of every gate with requests at the server, and of no other."""
    replay = EventReplay(controller := RecordingController(), lambda _: None)
    recorder = EventRecorder()
    recorder.add(SENT, 1.0, 1.0, 1)
    replay.report("busy", recorder.drain(), offset=0.0, clock=1.0, in_flight=1)
    replay.report("idle", b"", offset=0.0, clock=0.0, in_flight=0)
    recorder.add(SENT, 5.0, 5.0, 1)
    replay.report("other", recorder.drain(), offset=0.0, clock=5.0, in_flight=1)
    replay.play(6.0)
    assert controller.calls == [("sent", 1.0, 1)]
    replay.forget("busy")
    replay.play(6.0)
    assert controller.calls[1:] == [("sent", 5.0, 1)]


def test_an_abandoned_request_ends_without_an_event():
    """A gate that reports fewer requests than its events leave has released abandoned ones."""
    replay = EventReplay(RecordingController(), lambda _: None)
    recorder = EventRecorder()
    recorder.add(SENT, 1.0, 1.0, 1)
    replay.report("gate", recorder.drain(), offset=0.0, clock=1.0, in_flight=1)
    replay.play(1.0)
    assert replay.in_flight == 1
    replay.report("gate", b"", offset=0.0, clock=2.0, in_flight=0)
    replay.play(2.0)
    assert replay.in_flight == 0
