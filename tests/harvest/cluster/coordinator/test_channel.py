"""A line that falls silent is given up, and what its seat may still do is waited for."""

from __future__ import annotations

import time

from tmapi_async import TMAPI
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.coordinator.account import LEASE, make_accounts
from tmapi_async.harvest.cluster.coordinator.channel import Channel
from tmapi_async.harvest.cluster.worker.worker_session import BEAT, WorkerSession
from tmapi_async.limits.budget import Budget


class Wire:
    """A connection that only notes that it was cut."""

    cut = False

    def abort(self):
        """Cut it."""
        self.cut = True


class Idle:
    """A crawl that has nothing to do."""

    def pump(self):
        """Do nothing."""


async def test_a_seat_that_is_not_heard_of_is_given_up():
    """Not before a lease has passed; until then it is told, each second, that all is well."""
    wire = Wire()
    channel, now = Channel("session 1", "tcp://w", 0, wire, LEASE), time.monotonic()
    channel.look(now + BEAT / 2)
    assert not channel._due.is_set()
    channel.look(now + BEAT + 0.1)
    assert channel._due.is_set()
    assert not wire.cut
    channel.look(now + LEASE + 0.1)
    assert (wire.cut, channel.over) == (True, True)


def account(concurrency=8, **options):
    """An account with two seats that have all of its slots."""
    (made,) = make_accounts([TMAPI("token", concurrency=concurrency, **options)])
    for session in ("a", "b"):
        made.join(session, 0)
    return made


def slots(shares):
    """Seat to slots."""
    return {session: share.slots for session, share in shares.items()}


def test_the_slots_of_a_lost_seat_come_back_when_the_server_is_done():
    """The lease of a seat that is given up is over: only its requests go on for a while."""
    made = account()
    assert slots(made.allocate(0.0, {"a": 9, "b": 9})) == {"a": 4, "b": 4}
    made.leave("b", 100.0, in_use=None)
    # No answer was seen yet, so ten seconds are assumed.
    assert made.allocate(109.9, {"a": 9}) == {}
    assert slots(made.allocate(110.0, {"a": 9})) == {"a": 8}


def test_a_seat_that_says_good_bye_leaves_its_slots_at_once():
    """What it had in use is kept back, and no more."""
    made = account()
    made.allocate(0.0, {"a": 9, "b": 9})
    made.leave("b", 100.0, in_use=1)
    assert slots(made.allocate(100.0, {"a": 9})) == {"a": 7}


def test_a_lost_seat_counts_as_having_spent_what_it_was_allowed():
    """A budget is dealt with the shares, and none of it twice."""
    made = account(max_requests=Budget(10))
    shares = made.allocate(0.0, {"a": 9, "b": 9})
    allowed = {session: share.allowed for session, share in shares.items()}
    assert 0 < sum(allowed.values()) <= 10
    made.leave("b", 0.0, in_use=None)
    report = protocol.SessionReport(
        0.0, 1, 0, 0, allowed["a"], allowed["a"], RequestCounts(allowed["a"])
    )
    made.apply_report("a", report, 0.0, 0.0)
    assert made.budget_allocator.spent == sum(allowed.values())


async def test_what_was_said_long_ago_does_not_keep_a_seat_going():
    """A lease runs from the seat's own word that was heard, not from when the answer is read."""
    api = TMAPI("token")
    session_request = protocol.SessionRequest(
        "session 1", 0, "digest", None, api.settings, False, LEASE
    )
    session = WorkerSession(session_request, "token", Wire(), lambda: 0)
    made, crawl = session.gate.shared.lease, Idle()
    session._handle(protocol.SlotShare(1, 4), crawl)
    session._handle(protocol.Acknowledgement(0, made - LEASE - 60), crawl)
    assert session.gate.shared.lease == made
    assert session.gate.shared.width(made) == 4
    assert session.gate.shared.width(made + 0.1) == 0
    session._handle(protocol.Acknowledgement(0, made + 1), crawl)
    assert session.gate.shared.lease == made + 1 + LEASE
