"""Shares are never dealt twice, whatever is late and whoever is lost; and all of them are dealt."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.harvest.cluster.coordinator.slot_allocator import SlotAllocator, distribute_slots
from tmapi_async.harvest.cluster.protocol import SlotShare

RATE = 100.0
GONE_AFTER = 3  # steps for which the server works on what a lost seat sent


class Seat:
    """A seat as it is in truth: it hears and is heard late."""

    def __init__(self):
        self.share = SlotShare(0, 0)
        self.in_use = 0
        self.to_seat = deque()
        self.to_dealer = deque()


class Sharing(RuleBasedStateMachine):
    """Seats that join, work, are told late, are heard late, leave and are lost."""

    @initialize(width=st.integers(1, 12))
    def begin(self, width):
        """One account, no seat."""
        self.allocator, self.width = SlotAllocator(RATE), width
        self.sessions, self.ghosts = {}, []
        self.now = self.named = 0

    def pick(self, data):
        """Any seat."""
        return data.draw(st.sampled_from(sorted(self.sessions)))

    @precondition(lambda self: len(self.sessions) < 5)
    @rule()
    def join(self):
        """A seat is taken."""
        self.named += 1
        self.sessions[f"s{self.named}"] = Seat()
        self.allocator.join(f"s{self.named}")

    @rule(data=st.data())
    def allocate(self, data):
        """The dealer deals; what it tells is on the way."""
        demand = {name: data.draw(st.integers(0, 15)) for name in self.sessions}
        for name, share in self.allocator.allocate(self.width, demand).items():
            self.sessions[name].to_seat.append(share)

    @rule(more=st.integers(1, 4))
    def widen(self, more):
        """The width grows."""
        self.width += more

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hear_share(self, data):
        """A seat hears of a share."""
        session = self.sessions[self.pick(data)]
        if session.to_seat:
            session.share = session.to_seat.popleft()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), many=st.integers(1, 8))
    def send(self, data, many):
        """A seat sends as many requests as its share lets it."""
        session = self.sessions[self.pick(data)]
        session.in_use = max(session.in_use, min(session.share.slots, session.in_use + many))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), many=st.integers(1, 8))
    def answer(self, data, many):
        """Some of its requests are answered."""
        session = self.sessions[self.pick(data)]
        session.in_use = max(0, session.in_use - many)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def report(self, data):
        """A seat tells how it stands; that is on the way."""
        session = self.sessions[self.pick(data)]
        session.to_dealer.append((session.share.epoch, session.in_use))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hear_report(self, data):
        """The dealer hears of it."""
        name = self.pick(data)
        if self.sessions[name].to_dealer:
            self.allocator.confirm(name, *self.sessions[name].to_dealer.popleft())

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def lose(self, data):
        """A worker is killed: its requests go on at the server for a while."""
        name = self.pick(data)
        session = self.sessions.pop(name)
        self.ghosts.append((self.now + GONE_AFTER, session.in_use))
        self.allocator.leave(name, self.now + GONE_AFTER)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def leave(self, data):
        """A seat says good-bye, with ghosts of its own."""
        name = self.pick(data)
        session = self.sessions.pop(name)
        self.ghosts.append((self.now + GONE_AFTER, session.in_use))
        self.allocator.leave(name, self.now + GONE_AFTER, in_use=session.in_use)

    @rule(steps=st.integers(1, 4))
    def pass_time(self, steps):
        """Ghosts are laid in time."""
        self.now += steps
        self.allocator.expire(self.now)
        self.ghosts = [ghost for ghost in self.ghosts if ghost[0] > self.now]

    @invariant()
    def the_server_sees_no_more_than_the_width(self):
        """Slots in use, by seats and by what lost seats left, stay within the width."""
        ghosts = sum(in_use for _, in_use in self.ghosts)
        assert sum(session.in_use for session in self.sessions.values()) + ghosts <= self.width

    @invariant()
    def the_pace_is_that_of_one_account(self):
        """All seats together are not faster than the account may be."""
        assert sum(session.share.rate for session in self.sessions.values()) <= RATE * (1 + 1e-9)

    def teardown(self):
        """When all have been heard, every slot is dealt."""
        if not getattr(self, "seats", None):
            return
        self.allocator.expire(self.now + GONE_AFTER)
        for _ in range(4):
            for name, share in self.allocator.allocate(
                self.width, dict.fromkeys(self.sessions, 1)
            ).items():
                self.sessions[name].to_seat.append(share)
            for name, session in self.sessions.items():
                if session.to_seat:
                    session.share = session.to_seat.pop()
                    session.to_seat.clear()
                session.in_use = min(session.in_use, session.share.slots)
                self.allocator.confirm(name, session.share.epoch, session.in_use)
        assert sum(session.share.slots for session in self.sessions.values()) == self.width
        dealt = sum(session.share.rate for session in self.sessions.values())
        assert abs(dealt - RATE) <= 0.05 * RATE


TestSharing = Sharing.TestCase
TestSharing.__doc__ = "Slots and pace stay within those of one account in every order of events."
TestSharing.settings = settings(max_examples=150, stateful_step_count=40)

SEATS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1
)


@given(width=st.integers(0, 30), sessions=SEATS)
def test_slots_are_filled_by_want_and_none_is_left(width, sessions):
    """Who wants nothing gets nothing; all slots are dealt, first to those sure to use them."""
    demand = {name: want for name, (want, _) in sessions.items()}
    held = {name: slots for name, (_, slots) in sessions.items()}
    dealt = distribute_slots(width, demand, held)
    assert all(dealt[name] == 0 for name, want in demand.items() if not want)
    assert sum(dealt.values()) == (width if any(demand.values()) else 0)
    if width <= sum(demand.values()):
        assert all(dealt[name] <= demand[name] for name in demand)
    wanting = sorted(dealt[name] for name, want in demand.items() if want and dealt[name] < want)
    assert not wanting or wanting[-1] - wanting[0] <= 1


def test_an_odd_slot_stays_where_it_is():
    """Dealing anew moves nothing where nothing has changed."""
    demand = {"a": 9, "b": 9}
    assert distribute_slots(7, demand, {"a": 3, "b": 4}) == {"a": 3, "b": 4}
    assert distribute_slots(7, demand, {"a": 4, "b": 3}) == {"a": 4, "b": 3}


def test_a_width_that_falls_takes_slots_away():
    """Shares that are told after it fit into it, and nothing is raised while more is in use."""
    allocator = SlotAllocator()
    for name in ("a", "b"):
        allocator.join(name)
    allocator.allocate(8, {"a": 8, "b": 8})
    for name in ("a", "b"):
        allocator.confirm(name, 1, 4)
    told = allocator.allocate(4, {"a": 1, "b": 8})
    assert {name: share.slots for name, share in told.items()} == {"a": 1, "b": 3}
    assert allocator.unconfirmed
    assert allocator.allocate(6, {"a": 1, "b": 8}) == {
        "b": SlotShare(3, 4)
    }  # four it may use anyway
