"""One gate for several processes: the limit holds, slots are divided evenly, none is left over."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.shares.slot_share import SlotShare
from tmapi_async.limits.sharing.host_state import HostState
from tmapi_async.limits.sharing.messages import Hello, Report
from tmapi_async.limits.sharing.share_reporter import LEASE

AT_SERVER = 10.0  # seconds that an unanswered request is expected to take


def make_state(width):
    """Return the state of a host whose controller has that width and learns nothing."""
    return HostState(LearningController(width), LEASE)


def hello(name, *, ceiling=None, rate=None, share=None, in_use=0, clock=0.0):
    """Return the message that joins."""
    return Hello(name, ceiling, rate, share or SlotShare(0, 0), in_use, clock)


class Process:
    """A process that shares the gate; its messages arrive late in both directions."""

    def __init__(self):
        self.share, self.in_use, self.lease_end = SlotShare(0, 0), 0, -1.0
        self.inbox, self.outbox = [], []
        self.stopped = False
        self.joined = False
        self.lost_at = 0.0

    def may_send(self, now):
        """Return True if the lease lasts."""
        return not self.stopped and now <= self.lease_end


class Processes(RuleBasedStateMachine):
    """Processes that join, work, stand still, leave and are killed, the host among them."""

    @initialize(width=st.integers(1, 12))
    def begin(self, width):
        """Start with the host alone."""
        self.width, self.now, self.named = width, 0.0, 0
        self.processes, self.abandoned, self.excused = {}, [], []
        self.host = self.new_name()
        self.state = make_state(width)
        self.processes[self.host] = Process()
        self.join(self.host)

    def new_name(self):
        """Return a name that no process has had."""
        self.named += 1
        return f"p{self.named}"

    def join(self, name):
        """Let the host read the Hello of a process."""
        process = self.processes[name]
        process.outbox.clear()
        process.inbox.clear()
        if self.now > process.lease_end:
            process.share = SlotShare(process.share.epoch, 0)
        process.joined = True
        self.state.join(
            hello(
                name, ceiling=self.width, share=process.share, in_use=process.in_use, clock=self.now
            )
        )
        process.lease_end = self.now + LEASE

    def pick(self, data, *, members=False):
        """Choose a process."""
        names = sorted(name for name in self.processes if not members or name != self.host)
        return data.draw(st.sampled_from(names))

    def others(self):
        """Return True if there is a process besides the host."""
        return len(self.processes) > 1

    @precondition(lambda self: len(self.processes) < 5)
    @rule()
    def start(self):
        """Start a process, which joins at once."""
        name = self.new_name()
        self.processes[name] = Process()
        self.join(name)

    @rule()
    def allocate(self):
        """Divide the slots; the shares are on their way."""
        for name, share in self.state.allocate(self.now, self.now).items():
            self.processes[name].inbox.append(share)

    @rule(data=st.data())
    def receive(self, data):
        """Let a process read the next share."""
        process = self.processes[self.pick(data)]
        if process.inbox and not process.stopped:
            process.share = process.inbox.pop(0)

    @rule(data=st.data(), many=st.integers(1, 8))
    def send(self, data, many):
        """Let a process send as many requests as its share and its lease allow."""
        process = self.processes[self.pick(data)]
        if process.may_send(self.now):
            process.in_use = max(process.in_use, min(process.share.slots, process.in_use + many))

    @rule(data=st.data(), many=st.integers(1, 8))
    def answer(self, data, many):
        """Answer some requests of a process."""
        process = self.processes[self.pick(data)]
        process.in_use = max(0, process.in_use - many)

    @rule(data=st.data(), demand=st.integers(0, 15))
    def report(self, data, demand):
        """Let a process report; the report is on its way."""
        process = self.processes[self.pick(data)]
        if process.joined and not process.stopped:
            share, in_use = process.share, process.in_use
            process.outbox.append(Report(self.now, self.now, share.epoch, in_use, in_use, demand))

    @rule(data=st.data())
    def read_report(self, data):
        """Let the host read a report, and the process its answer."""
        name = self.pick(data)
        process = self.processes[name]
        if process.outbox and name in self.state.members:
            report = process.outbox.pop(0)
            self.state.report(name, report, self.now)
            if not process.stopped:
                process.lease_end = max(process.lease_end, report.lease_clock + LEASE)

    @rule()
    def exchange(self):
        """Let all that can talk do so at once, ask for all slots, and use those they have."""
        for name, process in self.processes.items():
            if process.joined and not process.stopped:
                process.share = (process.inbox or [process.share])[-1]
                process.inbox.clear()
                share, in_use = process.share, process.in_use
                self.state.report(
                    name, Report(self.now, self.now, share.epoch, in_use, in_use, 99), self.now
                )
                process.lease_end = self.now + LEASE
                process.outbox.clear()
        self.allocate()
        for process in self.processes.values():
            if not process.stopped and process.inbox:
                process.share = process.inbox[-1]
                process.inbox.clear()
            if process.may_send(self.now):
                process.in_use = max(process.in_use, process.share.slots)

    @rule(seconds=st.sampled_from((0.5, 1.0, 4.0, 12.0)))
    def pass_time(self, seconds):
        """Let time pass; the server finishes abandoned requests, the host looks at leases."""
        self.now += seconds
        self.abandoned = [entry for entry in self.abandoned if entry[0] > self.now]
        for name in self.state.expired(self.now):
            if name != self.host:
                self.state.lose(name, self.now)
                self.processes[name].joined, self.processes[name].lost_at = False, self.now
        for process in self.processes.values():
            if not process.joined and self.now - process.lost_at >= AT_SERVER:
                process.in_use = 0  # the server has finished them, and nobody has read the replies

    @precondition(others)
    @rule(data=st.data())
    def oversleep(self, data):
        """Stop a process until others have its slots; then it joins again, and goes on."""
        name = self.pick(data, members=True)
        self.processes[name].stopped = True
        for seconds in (LEASE + 1.0, AT_SERVER + 1.0):
            self.pass_time(seconds)
            self.exchange()
        self.exchange()
        self.processes[name].stopped = False
        if not self.processes[name].joined:
            self.join(name)
        self.exchange()

    @precondition(others)
    @rule(data=st.data())
    def stand_still(self, data):
        """Stop a process that is not the host, or let it go on."""
        process = self.processes[self.pick(data, members=True)]
        process.stopped = not process.stopped

    @rule(data=st.data())
    def join_again(self, data):
        """Let a process join again whose lease was over, or whose host has gone."""
        name = self.pick(data)
        process = self.processes[name]
        if not process.joined and not process.stopped:
            self.join(name)

    @precondition(others)
    @rule(data=st.data())
    def kill(self, data):
        """Kill a process that is not the host: its requests go on at the server for a while."""
        name = self.pick(data, members=True)
        process = self.processes.pop(name)
        if name in self.state.members:
            self.abandoned.append((self.now + AT_SERVER, process.in_use))
            self.state.lose(name, self.now)

    @precondition(others)
    @rule(data=st.data())
    def leave(self, data):
        """End a process in order, with abandoned requests of its own."""
        name = self.pick(data, members=True)
        process = self.processes.pop(name)
        if name in self.state.members:
            self.abandoned.append((self.now + AT_SERVER, process.in_use))
            self.state.leave(name, process.in_use, self.now)

    @precondition(
        lambda self: any(
            not p.stopped and p.joined for n, p in self.processes.items() if n != self.host
        )
    )
    @rule(data=st.data())
    def kill_host(self, data):
        """Kill the host: a member continues, and the others join it one after another."""
        roster = self.state.all_slots()
        gone, _ = self.host, self.processes.pop(self.host)
        # What the killed one had at the server may come on top of the limit.
        self.abandoned.clear()
        heirs = [
            name
            for name, process in self.processes.items()
            if process.joined and not process.stopped
        ]
        self.host = data.draw(st.sampled_from(sorted(heirs)))
        for process in self.processes.values():
            process.joined = False
        self.state = make_state(self.width)
        self.join(self.host)
        self.state.expect(roster, {gone}, self.now, self.now)

    @invariant()
    def the_server_sees_no_more_than_the_limit(self):
        """Requests of all processes, and those of lost ones, stay within the width."""
        if not hasattr(self, "processes"):
            return
        abandoned = sum(in_use for _, in_use in self.abandoned)
        assert sum(process.in_use for process in self.processes.values()) + abandoned <= self.width

    def teardown(self):
        """Check that every slot is in use, evenly, when all messages have arrived."""
        if not hasattr(self, "processes"):
            return
        self.now += 2 * AT_SERVER
        for name, process in self.processes.items():
            process.stopped = False
            process.in_use = 0
            self.join(name)
        for _ in range(4):
            for name, process in self.processes.items():
                while process.inbox:
                    process.share = process.inbox.pop(0)
                report = Report(self.now, self.now, process.share.epoch, 0, 0, 99)
                self.state.report(name, report, self.now)
            self.allocate()
        slots = [
            (process.inbox or [process.share])[-1].slots for process in self.processes.values()
        ]
        assert sum(slots) == self.width
        assert max(slots) - min(slots) <= 1


def test_a_second_host_that_ends_soon_hands_over_those_that_have_not_joined_it_yet():
    """They still send under the shares of the first host, until their leases are over."""
    first = make_state(4)
    for name in ("first", "second", "third", "late"):
        first.join(hello(name))
        first.report(name, Report(0.0, 0.0, 0, 0, 0, 9), 0.0)
    first.allocate(0.0, 0.0)
    second = make_state(4)
    second.join(hello("second"))
    second.expect(first.all_slots(), {"first"}, 0.0, 0.0)
    second.join(hello("third"))
    roster = second.all_slots()
    assert roster["late"] == first.all_slots()["late"] > 0
    assert "first" not in roster  # it was killed: it sends nothing any more


TestProcesses = pytest.mark.slow(Processes.TestCase)
TestProcesses.__doc__ = "The limit holds in every order of joins, messages, standstills and kills."
TestProcesses.settings = settings(max_examples=150, stateful_step_count=50)


class Steady:
    """A host and members that always have work, with messages that arrive at once."""

    def __init__(self, width, names, **options):
        self.state = make_state(width)
        self.shares = {name: SlotShare(0, 0) for name in names}
        self.demand = dict.fromkeys(names, 99)
        self.seconds = dict.fromkeys(names, 0.0)
        self.now = 0.0
        for name in names:
            self.state.join(hello(name, ceiling=width, **options))

    def run(self, seconds):
        """Run for some seconds."""
        for _ in range(int(seconds * 10)):
            self.now += 0.1
            for name, share in self.shares.items():
                in_use = min(share.slots, self.demand[name])
                self.seconds[name] += in_use * 0.1
                report = Report(self.now, self.now, share.epoch, in_use, in_use, self.demand[name])
                self.state.report(name, report, self.now)
            self.shares |= self.state.allocate(self.now, self.now)

    def slots(self):
        """Return name to slots."""
        return {name: share.slots for name, share in self.shares.items()}


@pytest.mark.parametrize(("width", "count"), [(16, 5), (16, 3), (4, 6), (1, 3)])
def test_equal_demand_gets_equal_shares_over_time(width, count):
    """Odd slots take turns: nobody starves where there are fewer slots than processes."""
    steady = Steady(width, [f"p{number}" for number in range(count)])
    steady.run(60)
    assert min(steady.seconds.values()) >= 0.9 * max(steady.seconds.values())
    assert sum(steady.seconds.values()) >= 0.85 * width * 60  # a slot moves in 0.1 s


def test_slots_that_one_does_not_use_go_to_who_needs_them():
    """A process that needs two slots has two, and the rest is the other's."""
    steady = Steady(16, ["busy", "small"])
    steady.demand["small"] = 2
    steady.run(3)
    assert steady.slots() == {"busy": 14, "small": 2}
    steady.demand["small"] = 0
    steady.run(1)
    assert steady.slots() == {"busy": 16, "small": 0}


def test_a_newcomer_gains_no_claim_for_the_time_before_it_came():
    """After a minute alone the first process keeps its half when another one comes."""
    steady = Steady(5, ["first"])
    steady.run(60)
    steady.state.join(hello("late", ceiling=5))
    steady.shares["late"], steady.demand["late"], steady.seconds["late"] = SlotShare(0, 0), 99, 0.0
    steady.seconds["first"] = 0.0
    steady.run(20)
    assert abs(steady.seconds["late"] - steady.seconds["first"]) <= 5


def test_a_ceiling_is_the_clients_own_and_the_gate_learns_up_to_the_sum():
    """A process never has more slots than its ceiling; the others have the rest."""
    state = HostState(LearningController(4), LEASE)
    state.join(hello("a", ceiling=4))
    state.join(hello("b", ceiling=4))
    assert state.account.controller.statistics().ceiling == 8
    state.join(hello("c"))
    assert state.account.controller.statistics().ceiling is None
    state.leave("c", 0, 0.0)
    for name in ("a", "b"):
        state.report(name, Report(0.0, 0.0, 0, 0, 0, 99), 0.0)
    shares = state.allocate(0.0, 0.0)
    assert all(share.slots <= 4 for share in shares.values())


def test_clients_with_a_rate_keep_together_to_the_highest_of_their_rates():
    """The pace of an account is one; a client without a rate is not slowed down."""
    state = make_state(9)
    state.join(hello("slow", rate=2.0))
    state.join(hello("fast", rate=10.0))
    state.join(hello("free"))
    for _ in range(3):
        for name in ("slow", "fast", "free"):
            state.report(name, Report(0.0, 0.0, 0, 0, 0, 99), 0.0)
        shares = state.allocate(0.0, 0.0)
        if shares:
            rates = {name: share.rate for name, share in shares.items()}
    assert rates["slow"] + rates["fast"] == pytest.approx(10.0)
    assert rates["free"] == 0.0


def test_nothing_moves_until_the_members_of_a_killed_host_have_joined_again():
    """Each keeps its share; then the slots of the killed host are reserved for a while."""
    state = make_state(8)
    state.join(hello("heir", share=SlotShare(3, 2), in_use=2))
    state.expect({"dead": 3, "heir": 2, "other": 3}, {"dead"}, 0.0, 0.0)
    state.report("heir", Report(0.0, 0.0, 3, 2, 2, 99), 0.0)
    assert state.allocate(0.1, 0.1) == {}
    state.join(hello("other", share=SlotShare(7, 3), in_use=3))
    state.report("other", Report(0.2, 0.2, 7, 3, 3, 99), 0.2)
    shares = state.allocate(0.2, 0.2)
    assert sum({"heir": 2, "other": 3}.values()) + 3 == 8
    assert shares == {}
    later = AT_SERVER + 0.1
    for name, epoch, slots in (("heir", 3, 2), ("other", 7, 3)):
        state.report(name, Report(later, later, epoch, slots, slots, 99), later)
    assert {name: share.slots for name, share in state.allocate(later, later).items()} == {
        "heir": 4,
        "other": 4,
    }
