from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.limits.circuit_breaker import (
    MANY_TROUBLES,
    MAX_INTERVAL,
    PROBE_SECONDS,
    CircuitBreaker,
    Permit,
    Trouble,
)


def trouble(
    page: int = 1, listing: int | None = None, sent_at: float = 0.0, **more: Any
) -> Trouble:
    """Return a trouble; each page is a listing of its own unless one is given."""
    listing = page if listing is None else listing
    return Trouble((listing, page), listing, sent_at, more.pop("reason", "why"), **more)


def opened(*, known: bool = True, reached: bool = True) -> CircuitBreaker:
    """Return a breaker that opened at 10 s."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    if known:
        breaker.understood(0.0, 0)
    for number in range(3):
        breaker.failed(10.0, trouble(number, reached=reached))
    assert breaker.is_open
    return breaker


def next_probe(breaker: CircuitBreaker, now: float) -> tuple[float, Permit]:
    """Return when the next probe is due, and its permit."""
    due = breaker.wake_at
    assert due is not None
    now = max(now, due)
    permit = breaker.next_permit(now)
    assert permit is not None
    return now, permit


def test_a_single_page_never_opens_it() -> None:
    """However often one page fails, with a server that was reached, it fails alone."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    breaker.understood(0.0, 0)
    for attempt in range(100):
        assert not breaker.failed(10.0 * attempt, trouble(1, sent_at=10.0 * attempt - 1))
    assert not breaker.holding


def test_replies_that_are_understood_between_keep_it_closed() -> None:
    """A service that answers every third request is not out."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    for number in range(200):
        now = float(number)
        if number % 3 == 2:
            breaker.understood(now, number)
        else:
            breaker.failed(now, trouble(number, sent_at=now - 0.1, reached=number % 2 > 0))
        assert not breaker.holding


def test_fast_failures_open_it_only_if_they_are_many_or_last() -> None:
    """Chance brings a few failures in a row within an instant, but not so many."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    breaker.understood(0.0, 0)
    for number in range(MANY_TROUBLES - 1):
        assert not breaker.failed(10.0, trouble(number, sent_at=9.99))
    assert breaker.failed(10.0, trouble(99, sent_at=9.99))
    breaker = CircuitBreaker(1800.0, from_start=True)
    breaker.understood(0.0, 0)
    breaker.failed(10.0, trouble(1, sent_at=9.9))
    breaker.failed(10.5, trouble(2, sent_at=10.4))
    assert breaker.failed(11.1, trouble(1, sent_at=11.0))
    assert (breaker.since, breaker.opened_at) == (10.0, 11.1)


def test_time_outs_that_come_together_open_it() -> None:
    """Three attempts that waited side by side for a minute show a silence of a minute."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    breaker.understood(0.0, 0)
    for number in range(2):
        assert not breaker.failed(60.0, trouble(number, sent_at=0.0, timed_out=True))
    assert breaker.failed(60.0, trouble(2, sent_at=0.1, timed_out=True))
    assert breaker.since == 0.1


def test_a_page_does_not_fail_while_no_other_comes() -> None:
    """Its last attempt opens the breaker early if other pages are in trouble, too."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    breaker.understood(0.0, 0)
    for _ in range(8):
        breaker.failed(10.0, trouble(1, sent_at=9.9))
    assert not breaker.page_gives_up(10.0)
    assert not breaker.failed(10.0, trouble(2, sent_at=9.9))
    assert breaker.page_gives_up(10.0)
    assert breaker.is_open
    assert breaker.page_gives_up(10.0)


def test_before_the_first_page_three_listings_must_be_in_trouble() -> None:
    """With nothing to compare with, a listing or two may be at fault themselves."""
    breaker = CircuitBreaker(1800.0, from_start=True)
    for number in range(100):
        assert not breaker.failed(100.0 + number, trouble(number, listing=number % 2))
    assert breaker.failed(300.0, trouble(1, listing=2))


@pytest.mark.parametrize(("wait", "from_start"), [(0.0, True), (60.0, False)])
def test_it_stays_closed_where_it_is_not_wanted(wait: float, from_start: bool) -> None:
    """Without a wait, and without `from_start` before the first reply, the retries decide."""
    breaker = CircuitBreaker(wait, from_start=from_start)
    for number in range(100):
        assert not breaker.failed(float(number), trouble(number, reached=False))
    breaker.understood(100.0, 1, is_page=False)
    for number in range(3):
        breaker.failed(200.0, trouble(number, reached=False))
    assert breaker.is_open == (wait > 0)


def test_the_pauses_between_probes_grow_to_a_bound() -> None:
    """One second, two, four, and four from then on: the end is noticed within five seconds."""
    breaker, now, times = opened(reached=False), 10.0, []
    for _ in range(6):
        now, permit = next_probe(breaker, now)
        times.append(now)
        assert permit.kind == "probe"
        assert breaker.next_permit(now + 0.1) is None  # one at most is on its way
        breaker.failed(now + 0.2, trouble(sent_at=now, reached=False), permit)
    assert times == [11.0, 13.0, 17.0, 21.0, 25.0, 29.0]
    assert breaker.interval == MAX_INTERVAL


def test_a_probe_that_hangs_is_followed_by_the_next_at_once() -> None:
    """The pause counts from when a probe was sent; a `Retry-After` is respected."""
    breaker = opened()
    now, permit = next_probe(breaker, 10.0)
    breaker.failed(now + 4.0, trouble(sent_at=now, timed_out=True), permit)
    assert breaker.wake_at == now + 4.0
    now, permit = next_probe(breaker, now + 4.0)
    breaker.failed(now + 0.1, trouble(sent_at=now, retry_after=30.0), permit)
    assert breaker.wake_at == now + 30.0


def test_troubles_of_older_attempts_change_nothing_while_it_is_open() -> None:
    """Attempts that were on their way are excused, and do not put the probe off."""
    breaker = opened()
    due = breaker.wake_at
    assert breaker.failed(10.5, trouble(7))
    assert breaker.wake_at == due
    assert not breaker.waited(10.0)
    assert breaker.waited(15.0) == 5.0


def test_it_resumes_gently() -> None:
    """Each reply lets two more pass: no herd, and no long way either."""
    breaker = opened()
    now, probe = next_probe(breaker, 10.0)
    breaker.understood(now, 1, probe)
    waves, permits = [], [permit for _ in range(9) if (permit := breaker.next_permit(now))]
    while len(waves) < 4:
        waves.append(len(permits))
        for permit in permits:
            breaker.understood(now, 1, permit)
        permits = [permit for _ in range(99) if (permit := breaker.next_permit(now))]
    assert waves == [2, 4, 8, 16]
    for permit in permits:
        breaker.give_back(now, permit)
    breaker.none_waits()
    assert not breaker.holding
    assert not breaker.alert
    assert breaker.waited(99.0) == 1.0


def test_an_old_reply_that_is_understood_ends_the_outage() -> None:
    """Whichever attempt it answers: the service works."""
    breaker = opened()
    now, probe = next_probe(breaker, 10.0)
    breaker.understood(now, 5)
    assert breaker.state == "resuming"
    breaker.failed(now + 4, trouble(sent_at=now), probe)
    assert breaker.next_permit(now + 4) is not None


def test_a_permit_that_is_given_back_goes_to_another() -> None:
    """A cancelled prober does not let the others wait for ever."""
    breaker = opened()
    now, probe = next_probe(breaker, 10.0)
    breaker.give_back(now, probe)
    breaker.give_back(now, probe)  # has no effect
    now, probe = next_probe(breaker, now)
    assert probe.probes
    breaker.understood(now, 1, probe)
    permit = breaker.next_permit(now)
    assert permit is not None
    assert breaker.next_permit(now) is not None
    assert breaker.next_permit(now) is None
    breaker.give_back(now, permit)
    assert breaker.next_permit(now) is not None


def test_a_known_page_tells_pages_at_fault_from_a_service_that_is_out() -> None:
    """If it comes, the pages in trouble are not taken for an outage again."""
    breaker, now, kinds = opened(), 10.0, []
    for number in range(4):
        now, permit = next_probe(breaker, now)
        kinds.append(permit.kind)
        if permit.kind == "known":
            breaker.understood(now, 0, permit)
        else:
            breaker.failed(now, trouble(number, sent_at=now), permit)
    assert kinds == ["probe", "probe", "probe", "known"]
    breaker.none_waits()
    for number in range(3):
        assert not breaker.failed(now + 100 * number, trouble(number))
    assert not breaker.holding
    # Other listings, and a connection that is refused, are evidence again.
    for number in range(3):
        breaker.failed(now + 500, trouble(number, reached=False))
    assert breaker.is_open


def test_a_known_page_is_not_needed_where_no_server_is_reached() -> None:
    """No page is at fault for a refused connection, and a known page is paid for twice."""
    breaker, now = opened(reached=False), 10.0
    for number in range(40):
        now, permit = next_probe(breaker, now)
        assert permit.kind == "probe"
        breaker.failed(now, trouble(number, sent_at=now, reached=False), permit)


def test_a_few_probes_are_patient() -> None:
    """A service that is slow after an outage is noticed, too; most probes stay short."""
    breaker, now, limits = opened(), 10.0, []
    while now < 3600.0:
        now, permit = next_probe(breaker, now)
        limits.append(breaker.probe_seconds(0.0))
        now += limits[-1]
        breaker.failed(now, trouble(sent_at=now - limits[-1], timed_out=True), permit)
    patient = [limit for limit in limits if limit > PROBE_SECONDS]
    assert patient == [8.0, 16.0, 32.0, 64.0, 128.0]
    assert sum(patient) < 0.1 * sum(limits)
    assert breaker.probe_seconds(30.0) >= 60.0


def test_giving_up_starts_afresh() -> None:
    """After the wait, the next attempts are sent as if nothing had been."""
    breaker = opened()
    assert breaker.gives_up_at == 1810.0
    breaker.give_up(1810.0)
    assert not breaker.holding
    assert breaker.waited(5000.0) == 1800.0
    assert not breaker.failed(2000.0, trouble(1, sent_at=1999.0))


@given(st.lists(st.sampled_from(["ok", "fail", "cancel", "wait"]), max_size=60), st.integers(0, 9))
def test_it_never_lets_two_probe_and_never_gets_stuck(steps: list[str], seed: int) -> None:
    """Whatever the outcomes: one probe at most, and good replies close it in the end."""
    breaker, now, choose = opened(), 10.0, random.Random(seed)  # noqa: S311 - not a secret
    permits: list[Permit] = []
    for step in steps:
        now += choose.choice((0.0, 0.1, 5.0))
        if step == "wait" or not permits:
            permit = breaker.next_permit(now)
            permits += [permit] if permit is not None else []
        elif step == "ok":
            breaker.understood(now, 1, permits.pop())
        elif step == "fail":
            breaker.failed(now, trouble(sent_at=now), permits.pop())
        else:
            breaker.give_back(now, permits.pop())
        if breaker.is_open:
            assert sum(permit.probes and not permit.used for permit in permits) <= 1 + (
                breaker.probes == 0
            )
    for permit in permits:
        breaker.give_back(now, permit)
    for _ in range(20):
        now += 300.0
        permit = breaker.next_permit(now)
        if permit is None:
            break
        breaker.understood(now, 1, permit)
        breaker.none_waits()
    assert not breaker.holding
