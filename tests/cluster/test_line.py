"""A line that falls silent is given up, and what its seat may still do is waited for."""

from __future__ import annotations

import time

from tmapi_async import TMAPI
from tmapi_async.harvest.cluster import messages as say
from tmapi_async.harvest.cluster.ledger import make_accounts
from tmapi_async.harvest.cluster.line import Line
from tmapi_async.harvest.cluster.seat import BEAT, LEASE
from tmapi_async.limits.gate import Budget


class Wire:
    """A connection that only notes that it was cut."""

    cut = False

    def abort(self):
        """Cut it."""
        self.cut = True


async def test_a_seat_that_is_not_heard_of_is_given_up():
    """Not before a lease has passed; until then it is told, each second, that all is well."""
    wire = Wire()
    line, now = Line("seat 1", "tcp://w", 0, wire), time.monotonic()
    line.look(now + BEAT / 2)
    assert not line._due.is_set()
    line.look(now + BEAT + 0.1)
    assert line._due.is_set()
    assert not wire.cut
    line.look(now + LEASE + 0.1)
    assert (wire.cut, line.silent, line.over) == (True, True, True)


def account(concurrency=8, **options):
    """An account with two seats that have all of its slots."""
    (made,) = make_accounts([TMAPI("token", concurrency=concurrency, **options)])
    for seat in ("a", "b"):
        made.join(seat, 0)
    return made


def slots(shares):
    """Seat to slots."""
    return {seat: share.slots for seat, share in shares.items()}


def test_the_slots_of_a_lost_seat_come_back_when_the_server_is_done():
    """One whose line broke is done soon; one that fell silent has a lease left before that."""
    for silent, seconds in ((False, 10.0), (True, 10.0 + LEASE)):
        made = account()
        assert slots(made.deal(0.0, {"a": 9, "b": 9})) == {"a": 4, "b": 4}
        made.leave("b", 100.0, in_use=None, silent=silent)
        # No answer was seen yet, so ten seconds are assumed.
        assert made.deal(100.0 + seconds - 0.1, {"a": 9}) == {}
        assert slots(made.deal(100.0 + seconds, {"a": 9})) == {"a": 8}


def test_a_seat_that_says_good_bye_leaves_its_slots_at_once():
    """What it had in use is kept back, and no more."""
    made = account()
    made.deal(0.0, {"a": 9, "b": 9})
    made.leave("b", 100.0, in_use=1, silent=False)
    assert slots(made.deal(100.0, {"a": 9})) == {"a": 7}


def test_a_lost_seat_counts_as_having_spent_what_it_was_allowed():
    """A budget is dealt with the shares, and none of it twice."""
    made = account(max_requests=Budget(10))
    shares = made.deal(0.0, {"a": 9, "b": 9})
    allowed = {seat: share.allowed for seat, share in shares.items()}
    assert 0 < sum(allowed.values()) <= 10
    made.leave("b", 0.0, in_use=None, silent=False)
    report = say.Report(0.0, 1, 0, 0, allowed["a"], allowed["a"], say.Counted(allowed["a"]))
    made.take_in("a", report, 0.0, 0.0)
    assert made.purse.spent == sum(allowed.values())
