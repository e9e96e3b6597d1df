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
        self.budget_allocator, self.most = BudgetAllocator(most), most
        self.sessions, self.spent, self.named = {}, 0, 0

    def pick(self, data):
        """Any seat."""
        return data.draw(st.sampled_from(sorted(self.sessions)))

    def tell(self, name):
        """Tell a seat what it may spend, under a new epoch."""
        session = self.sessions[name]
        session.told += 1
        self.budget_allocator.told(name, session.told)
        session.to_seat.append((session.told, self.budget_allocator.allowed(name)))

    @precondition(lambda self: len(self.sessions) < 4)
    @rule()
    def join(self):
        """A seat is taken."""
        self.named += 1
        self.sessions[f"s{self.named}"] = Spender()
        self.budget_allocator.join(f"s{self.named}")

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def top_up(self, data):
        """A seat is allowed more, if it runs low."""
        name = self.pick(data)
        if self.budget_allocator.top_up(name):
            self.tell(name)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def reclaim(self, data):
        """Some is asked back."""
        hungry = data.draw(st.sets(st.sampled_from(sorted(self.sessions))))
        for name in self.budget_allocator.reclaim(hungry):
            self.tell(name)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), many=st.integers(1, 9))
    def spend(self, data, many):
        """A seat sends what it may."""
        session = self.sessions[self.pick(data)]
        many = min(many, session.allowed - session.spent)
        session.spent += many
        self.spent += many

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hear(self, data):
        """A seat hears of what it may spend."""
        session = self.sessions[self.pick(data)]
        if session.to_seat:
            session.hear()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def report(self, data):
        """A seat tells how it stands; that is on the way."""
        session = self.sessions[self.pick(data)]
        session.to_purse.append((session.epoch, session.spent, session.allowed))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hear_report(self, data):
        """The purse hears of it."""
        name = self.pick(data)
        if self.sessions[name].to_purse:
            self.budget_allocator.note(name, *self.sessions[name].to_purse.popleft())

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def lose(self, data):
        """A worker is killed."""
        name = self.pick(data)
        del self.sessions[name]
        self.budget_allocator.leave(name, lost=True)

    @invariant()
    def no_more_is_sent_than_the_budget(self):
        """Whatever is late or lost, the budget holds."""
        assert self.spent <= self.most
        assert self.budget_allocator.free >= 0

    def teardown(self):
        """One seat with work can spend all that no lost seat may have spent."""
        if not getattr(self, "seats", None):
            return
        eager = min(self.sessions)
        for _ in range(200):
            changed = (
                [eager]
                if self.budget_allocator.top_up(eager)
                else self.budget_allocator.reclaim({eager})
            )
            for name in changed:
                self.tell(name)
            for name, session in self.sessions.items():
                session.to_purse.clear()
                while session.to_seat:
                    session.hear()
                if name == eager:
                    self.spent += session.allowed - session.spent
                    session.spent = session.allowed
                self.budget_allocator.note(name, session.epoch, session.spent, session.allowed)
        assert self.budget_allocator.empty
        assert self.spent <= self.most


TestSpending = Spending.TestCase
TestSpending.__doc__ = "The budget holds in every order of events, and none of it is stuck."
TestSpending.settings = settings(max_examples=100, stateful_step_count=40)
