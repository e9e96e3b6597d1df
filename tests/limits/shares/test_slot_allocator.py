"""No slot is given out twice, whatever message is late or holder lost, and none is left over."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.limits.shares.slot_allocator import SlotAllocator, distribute_slots
from tmapi_async.limits.shares.slot_share import SlotShare

RATE = 100.0
GONE_AFTER = 3  # steps for which the server works on the requests of a lost holder


class SimulatedHolder:
    """A holder whose messages arrive late in both directions."""

    def __init__(self):
        self.share = SlotShare(0, 0)
        self.in_use = 0
        self.to_holder = deque()
        self.to_allocator = deque()


class Sharing(RuleBasedStateMachine):
    """Sessions that join, work, get and send messages late, end and are lost."""

    @initialize(width=st.integers(1, 12))
    def begin(self, width):
        """Start with one account and no holder."""
        self.allocator, self.width = SlotAllocator(RATE), width
        self.holders, self.abandoned = {}, []
        self.now = self.named = 0

    def pick(self, data):
        """Choose any holder."""
        return data.draw(st.sampled_from(sorted(self.holders)))

    @precondition(lambda self: len(self.holders) < 5)
    @rule()
    def join(self):
        """Open a holder."""
        self.named += 1
        self.holders[f"s{self.named}"] = SimulatedHolder()
        self.allocator.add_holder(f"s{self.named}")

    @rule(data=st.data())
    def allocate(self, data):
        """Divide the slots; the shares are on their way."""
        demand = {name: data.draw(st.integers(0, 15)) for name in self.holders}
        for name, share in self.allocator.allocate(self.width, demand).items():
            self.holders[name].to_holder.append(share)

    @rule(more=st.integers(1, 4))
    def widen(self, more):
        """Let the width grow."""
        self.width += more

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def receive_share(self, data):
        """Let a holder receive a share."""
        holder = self.holders[self.pick(data)]
        if holder.to_holder:
            holder.share = holder.to_holder.popleft()

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), many=st.integers(1, 8))
    def send(self, data, many):
        """Let a holder send as many requests as its share allows."""
        holder = self.holders[self.pick(data)]
        holder.in_use = max(holder.in_use, min(holder.share.slots, holder.in_use + many))

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), many=st.integers(1, 8))
    def answer(self, data, many):
        """Answer some requests of a holder."""
        holder = self.holders[self.pick(data)]
        holder.in_use = max(0, holder.in_use - many)

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def report(self, data):
        """Let a holder report; the report is on its way."""
        holder = self.holders[self.pick(data)]
        holder.to_allocator.append((holder.share.epoch, holder.in_use))

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def receive_report(self, data):
        """Let the allocator receive a report."""
        name = self.pick(data)
        if self.holders[name].to_allocator:
            self.allocator.confirm(name, *self.holders[name].to_allocator.popleft())

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def lose(self, data):
        """Kill a worker: its requests go on at the server for a while."""
        name = self.pick(data)
        holder = self.holders.pop(name)
        self.abandoned.append((self.now + GONE_AFTER, holder.in_use))
        self.allocator.remove_holder(name, self.now + GONE_AFTER)

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def leave(self, data):
        """End a holder in order, with abandoned requests of its own."""
        name = self.pick(data)
        holder = self.holders.pop(name)
        self.abandoned.append((self.now + GONE_AFTER, holder.in_use))
        self.allocator.remove_holder(name, self.now + GONE_AFTER, in_use=holder.in_use)

    @rule(steps=st.integers(1, 4))
    def pass_time(self, steps):
        """Let the server finish abandoned requests."""
        self.now += steps
        self.allocator.expire(self.now)
        self.abandoned = [entry for entry in self.abandoned if entry[0] > self.now]

    @invariant()
    def the_server_sees_no_more_than_the_width(self):
        """Slots in use, by holders and by requests of lost holders, stay within the width."""
        abandoned = sum(in_use for _, in_use in self.abandoned)
        assert sum(holder.in_use for holder in self.holders.values()) + abandoned <= self.width

    @invariant()
    def the_rate_is_that_of_one_account(self):
        """All holders together are not faster than the account may be."""
        assert sum(holder.share.rate for holder in self.holders.values()) <= RATE * (1 + 1e-9)

    def teardown(self):
        """Check that every slot is given out when all messages have arrived."""
        if not getattr(self, "holders", None):
            return
        self.allocator.expire(self.now + GONE_AFTER)
        for _ in range(4):
            for name, share in self.allocator.allocate(
                self.width, dict.fromkeys(self.holders, 1)
            ).items():
                self.holders[name].to_holder.append(share)
            for name, holder in self.holders.items():
                if holder.to_holder:
                    holder.share = holder.to_holder.pop()
                    holder.to_holder.clear()
                holder.in_use = min(holder.in_use, holder.share.slots)
                self.allocator.confirm(name, holder.share.epoch, holder.in_use)
        assert sum(holder.share.slots for holder in self.holders.values()) == self.width
        total = sum(holder.share.rate for holder in self.holders.values())
        assert abs(total - RATE) <= 0.05 * RATE


TestSharing = pytest.mark.slow(Sharing.TestCase)
TestSharing.__doc__ = "Slots and rate stay within those of one account in every order of events."
TestSharing.settings = settings(max_examples=150, stateful_step_count=40)

DEMAND = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9), min_size=1)


@given(width=st.integers(0, 30), demand=DEMAND)
def test_slots_follow_demand_and_none_is_left(width, demand):
    """No demand, no slots; all slots are given out, first to holders sure to use them."""
    slots = distribute_slots(width, demand, list(demand))
    assert all(slots[name] == 0 for name, wish in demand.items() if not wish)
    assert sum(slots.values()) == (width if any(demand.values()) else 0)
    if width <= sum(demand.values()):
        assert all(slots[name] <= demand[name] for name in demand)
    short = sorted(slots[name] for name, wish in demand.items() if wish and slots[name] < wish)
    assert not short or short[-1] - short[0] <= 1


def test_an_odd_slot_stays_where_it_is():
    """Dividing again moves no slot where nothing has changed."""
    demand = {"a": 9, "b": 9}
    for first, second in (("a", "b"), ("b", "a")):
        allocator = SlotAllocator()
        for name in (first, second):
            allocator.add_holder(name)
        shares = allocator.allocate(7, demand)
        assert {name: share.slots for name, share in shares.items()} == {first: 4, second: 3}
        for name, share in shares.items():
            allocator.confirm(name, share.epoch, share.slots)
        assert allocator.allocate(7, demand) == {}


@given(
    width=st.integers(0, 30),
    demand=DEMAND,
    ceilings=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9)),
)
def test_no_holder_gets_more_than_its_ceiling(width, demand, ceilings):
    """All slots are given out but those that no ceiling leaves room for."""
    slots = distribute_slots(width, demand, list(demand), ceilings)
    most = {name: ceilings.get(name, width) for name, wish in demand.items() if wish}
    assert all(slots[name] <= most.get(name, 0) for name in demand)
    assert sum(slots.values()) == min(width, sum(min(width, many) for many in most.values()))


def test_an_order_says_who_gets_an_odd_slot():
    """The first names of the order come first, also where there are fewer slots than names."""
    demand = {"a": 9, "b": 9, "c": 9}
    assert distribute_slots(7, demand, ["c", "a", "b"]) == {"a": 2, "b": 2, "c": 3}
    assert distribute_slots(2, demand, ["c", "a", "b"]) == {"a": 1, "b": 0, "c": 1}


def test_a_width_that_falls_takes_slots_away():
    """Later shares fit into the width, and none is raised while more slots are in use."""
    allocator = SlotAllocator()
    for name in ("a", "b"):
        allocator.add_holder(name)
    allocator.allocate(8, {"a": 8, "b": 8})
    for name in ("a", "b"):
        allocator.confirm(name, 1, 4)
    shares = allocator.allocate(4, {"a": 1, "b": 8})
    assert {name: share.slots for name, share in shares.items()} == {"a": 1, "b": 3}
    assert allocator.unconfirmed
    # "b" may be using four slots anyway.
    assert allocator.allocate(6, {"a": 1, "b": 8}) == {"b": SlotShare(3, 4)}
