"""A budget that is dealt out is never exceeded, and all of it can be spent."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.harvest.cluster.coordinator.budget_allocator import BudgetAllocator


class Spender:
    """A seat as it is in truth."""

    def __init__(self):
        self.allowed = self.spent = self.epoch = 0
        self.told = 0
        self.to_seat = deque()
        self.to_purse = deque()

    def hear(self):
        """Take what was told first."""
        self.epoch, allowed = self.to_seat.popleft()
        self.allowed = max(allowed, self.spent)


class Spending(RuleBasedStateMachine):
    """Seats that spend, are topped up, give back, and are lost, all of it told late."""

    @initialize(most=st.integers(1, 40))
    def begin(self, most):
        """A budget, and no seat."""
        self.purse, self.most = BudgetAllocator(most), most
        self.seats, self.spent, self.named = {}, 0, 0

    def pick(self, data):
        """Any seat."""
        return data.draw(st.sampled_from(sorted(self.seats)))

    def tell(self, name):
        """Tell a seat what it may spend, under a new epoch."""
        seat = self.seats[name]
        seat.told += 1
        self.purse.told(name, seat.told)
        seat.to_seat.append((seat.told, self.purse.allowed(name)))

    @precondition(lambda self: len(self.seats) < 4)
    @rule()
    def join(self):
        """A seat is taken."""
        self.named += 1
        self.seats[f"s{self.named}"] = Spender()
        self.purse.join(f"s{self.named}")

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def top_up(self, data):
        """A seat is allowed more, if it runs low."""
        name = self.pick(data)
        if self.purse.top_up(name):
            self.tell(name)

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def reclaim(self, data):
        """Some is asked back."""
        hungry = data.draw(st.sets(st.sampled_from(sorted(self.seats))))
        for name in self.purse.reclaim(hungry):
            self.tell(name)

    @precondition(lambda self: self.seats)
    @rule(data=st.data(), many=st.integers(1, 9))
    def spend(self, data, many):
        """A seat sends what it may."""
        seat = self.seats[self.pick(data)]
        many = min(many, seat.allowed - seat.spent)
        seat.spent += many
        self.spent += many

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def hear(self, data):
        """A seat hears of what it may spend."""
        seat = self.seats[self.pick(data)]
        if seat.to_seat:
            seat.hear()

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def report(self, data):
        """A seat tells how it stands; that is on the way."""
        seat = self.seats[self.pick(data)]
        seat.to_purse.append((seat.epoch, seat.spent, seat.allowed))

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def hear_report(self, data):
        """The purse hears of it."""
        name = self.pick(data)
        if self.seats[name].to_purse:
            self.purse.note(name, *self.seats[name].to_purse.popleft())

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def lose(self, data):
        """A worker is killed."""
        name = self.pick(data)
        del self.seats[name]
        self.purse.leave(name, lost=True)

    @invariant()
    def no_more_is_sent_than_the_budget(self):
        """Whatever is late or lost, the budget holds."""
        assert self.spent <= self.most
        assert self.purse.free >= 0

    def teardown(self):
        """One seat with work can spend all that no lost seat may have spent."""
        if not getattr(self, "seats", None):
            return
        eager = min(self.seats)
        for _ in range(200):
            changed = [eager] if self.purse.top_up(eager) else self.purse.reclaim({eager})
            for name in changed:
                self.tell(name)
            for name, seat in self.seats.items():
                seat.to_purse.clear()
                while seat.to_seat:
                    seat.hear()
                if name == eager:
                    self.spent += seat.allowed - seat.spent
                    seat.spent = seat.allowed
                self.purse.note(name, seat.epoch, seat.spent, seat.allowed)
        assert self.purse.empty
        assert self.spent <= self.most


TestSpending = Spending.TestCase
TestSpending.__doc__ = "The budget holds in every order of events, and none of it is stuck."
TestSpending.settings = settings(max_examples=100, stateful_step_count=40)
