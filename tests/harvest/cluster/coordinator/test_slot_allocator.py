"""Shares are never dealt twice, whatever is late and whoever is lost; and all of them are dealt."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.harvest.cluster.coordinator.slot_allocator import SlotAllocator, fill
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
        self.dealer, self.width = SlotAllocator(RATE), width
        self.seats, self.ghosts = {}, []
        self.now = self.named = 0

    def pick(self, data):
        """Any seat."""
        return data.draw(st.sampled_from(sorted(self.seats)))

    @precondition(lambda self: len(self.seats) < 5)
    @rule()
    def join(self):
        """A seat is taken."""
        self.named += 1
        self.seats[f"s{self.named}"] = Seat()
        self.dealer.join(f"s{self.named}")

    @rule(data=st.data())
    def deal(self, data):
        """The dealer deals; what it tells is on the way."""
        wants = {name: data.draw(st.integers(0, 15)) for name in self.seats}
        for name, share in self.dealer.deal(self.width, wants).items():
            self.seats[name].to_seat.append(share)

    @rule(more=st.integers(1, 4))
    def widen(self, more):
        """The width grows."""
        self.width += more

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def hear_share(self, data):
        """A seat hears of a share."""
        seat = self.seats[self.pick(data)]
        if seat.to_seat:
            seat.share = seat.to_seat.popleft()

    @precondition(lambda self: self.seats)
    @rule(data=st.data(), many=st.integers(1, 8))
    def send(self, data, many):
        """A seat sends as many requests as its share lets it."""
        seat = self.seats[self.pick(data)]
        seat.in_use = max(seat.in_use, min(seat.share.slots, seat.in_use + many))

    @precondition(lambda self: self.seats)
    @rule(data=st.data(), many=st.integers(1, 8))
    def answer(self, data, many):
        """Some of its requests are answered."""
        seat = self.seats[self.pick(data)]
        seat.in_use = max(0, seat.in_use - many)

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def report(self, data):
        """A seat tells how it stands; that is on the way."""
        seat = self.seats[self.pick(data)]
        seat.to_dealer.append((seat.share.epoch, seat.in_use))

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def hear_report(self, data):
        """The dealer hears of it."""
        name = self.pick(data)
        if self.seats[name].to_dealer:
            self.dealer.confirm(name, *self.seats[name].to_dealer.popleft())

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def lose(self, data):
        """A worker is killed: its requests go on at the server for a while."""
        name = self.pick(data)
        seat = self.seats.pop(name)
        self.ghosts.append((self.now + GONE_AFTER, seat.in_use))
        self.dealer.leave(name, self.now + GONE_AFTER)

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def leave(self, data):
        """A seat says good-bye, with ghosts of its own."""
        name = self.pick(data)
        seat = self.seats.pop(name)
        self.ghosts.append((self.now + GONE_AFTER, seat.in_use))
        self.dealer.leave(name, self.now + GONE_AFTER, in_use=seat.in_use)

    @rule(steps=st.integers(1, 4))
    def pass_time(self, steps):
        """Ghosts are laid in time."""
        self.now += steps
        self.dealer.expire(self.now)
        self.ghosts = [ghost for ghost in self.ghosts if ghost[0] > self.now]

    @invariant()
    def the_server_sees_no_more_than_the_width(self):
        """Slots in use, by seats and by what lost seats left, stay within the width."""
        ghosts = sum(in_use for _, in_use in self.ghosts)
        assert sum(seat.in_use for seat in self.seats.values()) + ghosts <= self.width

    @invariant()
    def the_pace_is_that_of_one_account(self):
        """All seats together are not faster than the account may be."""
        assert sum(seat.share.rate for seat in self.seats.values()) <= RATE * (1 + 1e-9)

    def teardown(self):
        """When all have been heard, every slot is dealt."""
        if not getattr(self, "seats", None):
            return
        self.dealer.expire(self.now + GONE_AFTER)
        for _ in range(4):
            for name, share in self.dealer.deal(self.width, dict.fromkeys(self.seats, 1)).items():
                self.seats[name].to_seat.append(share)
            for name, seat in self.seats.items():
                if seat.to_seat:
                    seat.share = seat.to_seat.pop()
                    seat.to_seat.clear()
                seat.in_use = min(seat.in_use, seat.share.slots)
                self.dealer.confirm(name, seat.share.epoch, seat.in_use)
        assert sum(seat.share.slots for seat in self.seats.values()) == self.width
        dealt = sum(seat.share.rate for seat in self.seats.values())
        assert abs(dealt - RATE) <= 0.05 * RATE


TestSharing = Sharing.TestCase
TestSharing.__doc__ = "Slots and pace stay within those of one account in every order of events."
TestSharing.settings = settings(max_examples=150, stateful_step_count=40)

SEATS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1
)


@given(width=st.integers(0, 30), seats=SEATS)
def test_slots_are_filled_by_want_and_none_is_left(width, seats):
    """Who wants nothing gets nothing; all slots are dealt, first to those sure to use them."""
    wants = {name: want for name, (want, _) in seats.items()}
    held = {name: slots for name, (_, slots) in seats.items()}
    dealt = fill(width, wants, held)
    assert all(dealt[name] == 0 for name, want in wants.items() if not want)
    assert sum(dealt.values()) == (width if any(wants.values()) else 0)
    if width <= sum(wants.values()):
        assert all(dealt[name] <= wants[name] for name in wants)
    wanting = sorted(dealt[name] for name, want in wants.items() if want and dealt[name] < want)
    assert not wanting or wanting[-1] - wanting[0] <= 1


def test_an_odd_slot_stays_where_it_is():
    """Dealing anew moves nothing where nothing has changed."""
    wants = {"a": 9, "b": 9}
    assert fill(7, wants, {"a": 3, "b": 4}) == {"a": 3, "b": 4}
    assert fill(7, wants, {"a": 4, "b": 3}) == {"a": 4, "b": 3}


def test_a_width_that_falls_takes_slots_away():
    """Shares that are told after it fit into it, and nothing is raised while more is in use."""
    dealer = SlotAllocator()
    for name in ("a", "b"):
        dealer.join(name)
    dealer.deal(8, {"a": 8, "b": 8})
    for name in ("a", "b"):
        dealer.confirm(name, 1, 4)
    told = dealer.deal(4, {"a": 1, "b": 8})
    assert {name: share.slots for name, share in told.items()} == {"a": 1, "b": 3}
    assert dealer.unconfirmed
    assert dealer.deal(6, {"a": 1, "b": 8}) == {"b": SlotShare(3, 4)}  # four it may use anyway
