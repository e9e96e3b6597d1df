"""Limits of an account come back when its sessions end, and none is given out twice."""

from __future__ import annotations

from tmapi_async import TMAPI
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.coordinator.account import make_accounts
from tmapi_async.limits.budget import Budget


def account(concurrency=8, **options):
    """Return an account with two sessions."""
    (made,) = make_accounts([TMAPI("token", concurrency=concurrency, **options)])
    for session in ("a", "b"):
        made.add_session(session, 0)
    return made


def slots(shares):
    """Return session to slots."""
    return {session: share.slots for session, share in shares.items()}


def test_the_slots_of_a_lost_session_come_back_when_the_server_is_done():
    """The lease of a session that is given up is over: only its requests go on for a while."""
    shared = account()
    assert slots(shared.allocate(0.0, {"a": 9, "b": 9})) == {"a": 4, "b": 4}
    shared.remove_session("b", 100.0, in_use=None)
    # No answer was seen yet, so ten seconds are assumed.
    assert shared.allocate(109.9, {"a": 9}) == {}
    assert slots(shared.allocate(110.0, {"a": 9})) == {"a": 8}


def test_a_session_that_ends_in_order_leaves_its_slots_at_once():
    """Only the slots that it still had in use are reserved."""
    shared = account()
    shared.allocate(0.0, {"a": 9, "b": 9})
    shared.remove_session("b", 100.0, in_use=1)
    assert slots(shared.allocate(100.0, {"a": 9})) == {"a": 7}


def test_a_lost_session_counts_as_having_spent_its_allowance():
    """The budget is divided with the shares, and none of it twice."""
    shared = account(max_requests=Budget(10))
    shares = shared.allocate(0.0, {"a": 9, "b": 9})
    allowed = {session: share.allowed for session, share in shares.items()}
    assert 0 < sum(allowed.values()) <= 10
    shared.remove_session("b", 0.0, in_use=None)
    counts = RequestCounts(allowed["a"])
    report = protocol.SessionReport(0.0, 0.0, 1, 0, 0, allowed["a"], allowed["a"], counts)
    shared.apply_report("a", report, 0.0, 0.0)
    assert shared.budget.spent == sum(allowed.values())
