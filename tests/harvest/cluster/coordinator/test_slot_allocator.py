"""No slot is given out twice, whatever message is late or session lost, and none is left over."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.harvest.cluster.coordinator.slot_allocator import SlotAllocator, distribute_slots
from tmapi_async.harvest.cluster.protocol import SlotShare

RATE = 100.0
GONE_AFTER = 3  # steps for which the server works on the requests of a lost session


class SimulatedSession:
    """A session whose messages arrive late in both directions."""

    def __init__(self):
        self.share = SlotShare(0, 0)
        self.in_use = 0
        self.to_session = deque()
        self.to_allocator = deque()


class Sharing(RuleBasedStateMachine):
    """Sessions that join, work, get and send messages late, end and are lost."""

    @initialize(width=st.integers(1, 12))
    def begin(self, width):
        """Start with one account and no session."""
        self.allocator, self.width = SlotAllocator(RATE), width
        self.sessions, self.abandoned = {}, []
        self.now = self.named = 0

    def pick(self, data):
        """Choose any session."""
        return data.draw(st.sampled_from(sorted(self.sessions)))

    @precondition(lambda self: len(self.sessions) < 5)
    @rule()
    def join(self):
        """Open a session."""
        self.named += 1
        self.sessions[f"s{self.named}"] = SimulatedSession()
        self.allocator.add_session(f"s{self.named}")

    @rule(data=st.data())
    def allocate(self, data):
        """Divide the slots; the shares are on their way."""
        demand = {name: data.draw(st.integers(0, 15)) for name in self.sessions}
        for name, share in self.allocator.allocate(self.width, demand).items():
            self.sessions[name].to_session.append(share)

    @rule(more=st.integers(1, 4))
    def widen(self, more):
        """Let the width grow."""
        self.width += more

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def receive_share(self, data):
        """Let a session receive a share."""
        session = self.sessions[self.pick(data)]
        if session.to_session:
            session.share = session.to_session.popleft()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), many=st.integers(1, 8))
    def send(self, data, many):
        """Let a session send as many requests as its share allows."""
        session = self.sessions[self.pick(data)]
        session.in_use = max(session.in_use, min(session.share.slots, session.in_use + many))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), many=st.integers(1, 8))
    def answer(self, data, many):
        """Answer some requests of a session."""
        session = self.sessions[self.pick(data)]
        session.in_use = max(0, session.in_use - many)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def report(self, data):
        """Let a session report; the report is on its way."""
        session = self.sessions[self.pick(data)]
        session.to_allocator.append((session.share.epoch, session.in_use))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def receive_report(self, data):
        """Let the allocator receive a report."""
        name = self.pick(data)
        if self.sessions[name].to_allocator:
            self.allocator.confirm(name, *self.sessions[name].to_allocator.popleft())

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def lose(self, data):
        """Kill a worker: its requests go on at the server for a while."""
        name = self.pick(data)
        session = self.sessions.pop(name)
        self.abandoned.append((self.now + GONE_AFTER, session.in_use))
        self.allocator.remove_session(name, self.now + GONE_AFTER)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def leave(self, data):
        """End a session in order, with abandoned requests of its own."""
        name = self.pick(data)
        session = self.sessions.pop(name)
        self.abandoned.append((self.now + GONE_AFTER, session.in_use))
        self.allocator.remove_session(name, self.now + GONE_AFTER, in_use=session.in_use)

    @rule(steps=st.integers(1, 4))
    def pass_time(self, steps):
        """Let the server finish abandoned requests."""
        self.now += steps
        self.allocator.expire(self.now)
        self.abandoned = [entry for entry in self.abandoned if entry[0] > self.now]

    @invariant()
    def the_server_sees_no_more_than_the_width(self):
        """Slots in use, by sessions and by requests of lost sessions, stay within the width."""
        abandoned = sum(in_use for _, in_use in self.abandoned)
        assert sum(session.in_use for session in self.sessions.values()) + abandoned <= self.width

    @invariant()
    def the_rate_is_that_of_one_account(self):
        """All sessions together are not faster than the account may be."""
        assert sum(session.share.rate for session in self.sessions.values()) <= RATE * (1 + 1e-9)

    def teardown(self):
        """Check that every slot is given out when all messages have arrived."""
        if not getattr(self, "sessions", None):
            return
        self.allocator.expire(self.now + GONE_AFTER)
        for _ in range(4):
            for name, share in self.allocator.allocate(
                self.width, dict.fromkeys(self.sessions, 1)
            ).items():
                self.sessions[name].to_session.append(share)
            for name, session in self.sessions.items():
                if session.to_session:
                    session.share = session.to_session.pop()
                    session.to_session.clear()
                session.in_use = min(session.in_use, session.share.slots)
                self.allocator.confirm(name, session.share.epoch, session.in_use)
        assert sum(session.share.slots for session in self.sessions.values()) == self.width
        total = sum(session.share.rate for session in self.sessions.values())
        assert abs(total - RATE) <= 0.05 * RATE


TestSharing = pytest.mark.slow(Sharing.TestCase)
TestSharing.__doc__ = "Slots and rate stay within those of one account in every order of events."
TestSharing.settings = settings(max_examples=150, stateful_step_count=40)

SESSIONS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1
)


@given(width=st.integers(0, 30), sessions=SESSIONS)
def test_slots_follow_demand_and_none_is_left(width, sessions):
    """No demand, no slots; all slots are given out, first to sessions sure to use them."""
    demand = {name: slots for name, (slots, _) in sessions.items()}
    current = {name: slots for name, (_, slots) in sessions.items()}
    slots = distribute_slots(width, demand, current)
    assert all(slots[name] == 0 for name, wish in demand.items() if not wish)
    assert sum(slots.values()) == (width if any(demand.values()) else 0)
    if width <= sum(demand.values()):
        assert all(slots[name] <= demand[name] for name in demand)
    short = sorted(slots[name] for name, wish in demand.items() if wish and slots[name] < wish)
    assert not short or short[-1] - short[0] <= 1


def test_an_odd_slot_stays_where_it_is():
    """Dividing again moves no slot where nothing has changed."""
    demand = {"a": 9, "b": 9}
    assert distribute_slots(7, demand, {"a": 3, "b": 4}) == {"a": 3, "b": 4}
    assert distribute_slots(7, demand, {"a": 4, "b": 3}) == {"a": 4, "b": 3}


def test_a_width_that_falls_takes_slots_away():
    """Later shares fit into the width, and none is raised while more slots are in use."""
    allocator = SlotAllocator()
    for name in ("a", "b"):
        allocator.add_session(name)
    allocator.allocate(8, {"a": 8, "b": 8})
    for name in ("a", "b"):
        allocator.confirm(name, 1, 4)
    shares = allocator.allocate(4, {"a": 1, "b": 8})
    assert {name: share.slots for name, share in shares.items()} == {"a": 1, "b": 3}
    assert allocator.unconfirmed
    # "b" may be using four slots anyway.
    assert allocator.allocate(6, {"a": 1, "b": 8}) == {"b": SlotShare(3, 4)}
