"""A divided budget is never exceeded, and all of it can be spent."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.harvest.cluster.coordinator.budget_allocator import BudgetAllocator


class Spender:
    """A session that sends requests; its messages arrive late in both directions."""

    def __init__(self):
        self.allowed = self.spent = self.epoch = 0
        self.shares = 0
        self.to_session = deque()
        self.to_allocator = deque()

    def receive(self):
        """Keep to the oldest share on its way."""
        self.epoch, allowed = self.to_session.popleft()
        self.allowed = max(allowed, self.spent)


class Spending(RuleBasedStateMachine):
    """Sessions that spend, get more, give back and are lost, with late messages."""

    @initialize(limit=st.integers(1, 40))
    def begin(self, limit):
        """Start with a budget and no session."""
        self.budget, self.limit = BudgetAllocator(limit), limit
        self.sessions, self.spent, self.named = {}, 0, 0

    def pick(self, data):
        """Choose any session."""
        return data.draw(st.sampled_from(sorted(self.sessions)))

    def send_share(self, name):
        """Send a session its allowance under a new epoch."""
        session = self.sessions[name]
        session.shares += 1
        self.budget.mark_sent(name, session.shares)
        session.to_session.append((session.shares, self.budget.allowed(name)))

    @precondition(lambda self: len(self.sessions) < 4)
    @rule()
    def join(self):
        """Open a session."""
        self.named += 1
        self.sessions[f"s{self.named}"] = Spender()
        self.budget.add_session(f"s{self.named}")

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def top_up(self, data):
        """Allow a session more, if it runs low."""
        name = self.pick(data)
        if self.budget.top_up(name):
            self.send_share(name)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def reclaim(self, data):
        """Take some back for sessions with work."""
        busy = data.draw(st.sets(st.sampled_from(sorted(self.sessions))))
        for name in self.budget.reclaim(busy):
            self.send_share(name)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), many=st.integers(1, 9))
    def spend(self, data, many):
        """Let a session send requests that it is allowed."""
        session = self.sessions[self.pick(data)]
        many = min(many, session.allowed - session.spent)
        session.spent += many
        self.spent += many

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def receive_share(self, data):
        """Let a session receive its allowance."""
        session = self.sessions[self.pick(data)]
        if session.to_session:
            session.receive()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def report(self, data):
        """Let a session report; the report is on its way."""
        session = self.sessions[self.pick(data)]
        session.to_allocator.append((session.epoch, session.spent, session.allowed))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def receive_report(self, data):
        """Let the allocator receive a report."""
        name = self.pick(data)
        if self.sessions[name].to_allocator:
            self.budget.confirm(name, *self.sessions[name].to_allocator.popleft())

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def lose(self, data):
        """Kill a worker."""
        name = self.pick(data)
        del self.sessions[name]
        self.budget.remove_session(name, lost=True)

    @invariant()
    def no_more_is_sent_than_the_budget(self):
        """The budget holds, whatever message is late and whatever session is lost."""
        assert self.spent <= self.limit
        assert self.budget.free >= 0

    def teardown(self):
        """Check that one session with work can spend all that no lost session may have spent."""
        if not getattr(self, "sessions", None):
            return
        eager = min(self.sessions)
        for _ in range(200):
            changed = [eager] if self.budget.top_up(eager) else self.budget.reclaim({eager})
            for name in changed:
                self.send_share(name)
            for name, session in self.sessions.items():
                session.to_allocator.clear()
                while session.to_session:
                    session.receive()
                if name == eager:
                    self.spent += session.allowed - session.spent
                    session.spent = session.allowed
                self.budget.confirm(name, session.epoch, session.spent, session.allowed)
        assert self.budget.exhausted
        assert self.spent <= self.limit


TestSpending = pytest.mark.slow(Spending.TestCase)
TestSpending.__doc__ = "The budget holds in every order of events, and none of it is stuck."
TestSpending.settings = settings(max_examples=100, stateful_step_count=40)
