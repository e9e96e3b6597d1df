"""Decide when an API that answers nothing any more is left alone, and when to try it again. No I/O.

Trouble of the line or of the whole service is not trouble of each page. Without a circuit breaker
every page would use up its attempts during an outage, and fail.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal, TypeAlias

import msgspec

MIN_UNSENT = 3
"""Attempts in a row that reached no server, after which the API counts as out."""

MIN_TROUBLES = 3
"""Troubles in a row after which it does if nothing was understood for `MIN_SILENCE` seconds."""

MIN_SILENCE = 1.0

MANY_TROUBLES = 16
"""Troubles in a row after which it does however fast they came."""

MIN_LISTINGS = 3
"""Listings in trouble that are needed while no page has ever come from this API."""

FIRST_INTERVAL = 1.0
"""Seconds between the first two probes; doubles with each one."""

MAX_INTERVAL = 4.0
"""Most seconds between two probes: work goes on within five seconds after the outage."""

PROBE_SECONDS = 4.0
"""Shortest time limit of a probe."""

_PATIENT_SECONDS = 8.0
_PATIENT_SHARE = 12  # short probes take so many times as long as a patient one
_MAX_SUSPECTS = 1000

PermitKind: TypeAlias = Literal["probe", "known", "resume"]
State: TypeAlias = Literal["closed", "open", "probing", "resuming"]


class Trouble(msgspec.Struct, frozen=True, gc=False):
    """Failure of one attempt that may be the fault of the line or of the whole service.

    Attributes:
        page: Page that was requested.
        listing: Listing of the page.
        sent_at: Clock time at which the attempt was sent.
        reason: Failure in words.
        reached: False if no server was reached, so that the page cannot be at fault.
        timed_out: True if a server was reached, and sent no reply in time.
        retry_after: Seconds that the server asked to wait.
    """

    page: Hashable
    listing: Hashable
    sent_at: float
    reason: str
    reached: bool = True
    timed_out: bool = False
    retry_after: float = 0.0


class Permit:
    """Leave to send one attempt while the breaker is not closed.

    Attributes:
        kind: "probe": the only attempt at this time. "known": as a probe, but the attempt asks for
            a page that came before, to tell trouble of the service from trouble of the pages.
            "resume": the API answers again.
        used: True once the outcome of the attempt was reported.
    """

    __slots__ = ("kind", "used")

    def __init__(self, kind: PermitKind) -> None:
        self.kind = kind
        self.used = False

    @property
    def probes(self) -> bool:
        """True for the only attempt at a time."""
        return self.kind != "resume"


class _Evidence:
    """Troubles in a row: no reply was understood between them."""

    __slots__ = ("first_at", "last_sent_at", "listings", "pages", "troubles", "unsent")

    def __init__(self) -> None:
        self.troubles = self.unsent = 0
        self.first_at = self.last_sent_at = 0.0
        self.pages: set[Hashable] = set()
        self.listings: set[Hashable] = set()

    def add(self, now: float, trouble: Trouble) -> None:
        if not self.troubles:
            self.first_at = now
            self.last_sent_at = trouble.sent_at
        self.troubles += 1
        self.unsent += not trouble.reached
        self.last_sent_at = max(self.last_sent_at, trouble.sent_at)
        for seen, one in ((self.pages, trouble.page), (self.listings, trouble.listing)):
            if len(seen) < MANY_TROUBLES:
                seen.add(one)

    @property
    def since(self) -> float:
        """Time since which nothing was understood, as far as these troubles show."""
        return min(self.first_at, self.last_sent_at)

    def suffices(self, now: float, *, known: bool) -> bool:
        """Return True if the API is out.

        Args:
            now: Clock time.
            known: True if a page came before, so that a known page can be requested.
        """
        if self.unsent >= MIN_UNSENT:
            return True
        lasts = self.troubles >= MIN_TROUBLES and now - self.since >= MIN_SILENCE
        return (lasts or self.troubles >= MANY_TROUBLES) and self.is_general(known=known)

    def is_general(self, *, known: bool) -> bool:
        """Return True if no single page can be at fault."""
        return len(self.pages) > 1 if known else len(self.listings) >= MIN_LISTINGS


class CircuitBreaker:
    """Holds back attempts while nothing that the API says is understood.

    1. *Closed*: attempts are sent. Some troubles in a row, of more than one page, open the breaker.
       A single page in trouble never does, unless no server was reached.
    2. *Open*: nothing is sent until the next probe is due.
    3. *Probing*: one attempt is on its way. If it fails, the breaker is open for longer; any reply
       that is understood lets it resume. Where a server is reached, some probes ask for a page that
       came before: if that page comes, the pages in trouble are at fault, and not the service.
    4. *Resuming*: each reply that is understood lets two more attempts pass, until none waits.

    The caller passes the clock time in.

    Args:
        wait: Seconds after which an outage is given up; 0 keeps the breaker closed for ever.
        from_start: True to open even if no reply was ever understood.

    Attributes:
        wait: Seconds after which an outage is given up.
        state: State, as described above.
        holding: True unless the breaker is closed: attempts need a permit.
        alert: True if a reply that was understood must be reported.
        known: True once a page came, so that a known page can be requested.
        since: Time since which nothing was understood; of the last outage.
        opened_at: Time at which the breaker opened.
        interval: Seconds between two probes.
        probes: Number of probes in the last outage.
        reason: Last trouble, in words.
    """

    __slots__ = (
        "_credit", "_evidence", "_from_start", "_patient_seconds", "_probe_at", "_reached",
        "_short_seconds", "_suspects", "_understood", "_waited", "alert", "holding", "interval",
        "known", "opened_at", "probes", "reason", "since", "state", "wait",
    )  # fmt: skip

    def __init__(self, wait: float, *, from_start: bool) -> None:
        self.wait = wait
        self.state: State = "closed"
        self.holding = False
        self.alert = True  # until the first reply
        self.known = False
        self.since = self.opened_at = 0.0
        self.interval = FIRST_INTERVAL
        self.probes = 0
        self.reason = ""
        self._from_start = from_start
        self._understood = False
        self._evidence = _Evidence()
        self._suspects: set[Hashable] = set()  # listings whose pages are at fault themselves
        self._credit = 0
        self._probe_at = 0.0
        self._reached = False
        self._waited = 0.0
        self._short_seconds, self._patient_seconds = 0.0, _PATIENT_SECONDS

    @property
    def is_open(self) -> bool:
        """True while the API counts as out."""
        return self.state in ("open", "probing")

    @property
    def gives_up_at(self) -> float:
        """Time at which this outage is given up."""
        return self.opened_at + self.wait

    def waited(self, now: float) -> float:
        """Return the seconds of all outages so far."""
        return self._waited + (now - self.opened_at if self.is_open else 0.0)

    # -- outcomes of attempts

    def understood(
        self, now: float, listing: Hashable, permit: Permit | None = None, *, is_page: bool = True
    ) -> None:
        """Record a reply that the API gave, refusals included. Needed only while `alert`."""
        self._understood = True
        self.known |= is_page
        if permit is not None:
            permit.used = True
        if self.is_open:
            if permit is not None and permit.kind == "known":
                self._suspect(self._evidence.listings)
            self._end_outage(now)
            self._set_state("resuming")
            self._credit = 2
        elif self.state == "resuming":
            self._credit += 2
        if permit is None or permit.kind != "known":
            self._suspects.discard(listing)
        self._evidence = _Evidence()
        self._set_state(self.state)

    def failed(self, now: float, trouble: Trouble, permit: Permit | None = None) -> bool:
        """Record a trouble.

        Returns:
            True if the API counts as out: the page is not at fault.
        """
        self.reason = trouble.reason
        self._reached = trouble.reached
        if permit is not None:
            permit.used = True
        if self.is_open:
            if permit is not None and permit.probes:
                self._probe_failed(now, trouble, permit)
            return True
        if permit is not None and not permit.probes:
            self._credit += 1
        if trouble.reached and trouble.listing in self._suspects:
            return False
        self._evidence.add(now, trouble)
        self.alert = True
        if self._may_open() and self._evidence.suffices(now, known=self.known):
            self._open(now)
        return self.is_open

    def page_gives_up(self, now: float) -> bool:
        """Open rather than let a page fail, if nothing was understood since others are in trouble.

        Returns:
            True if the API counts as out: the page must not fail.
        """
        evidence = self._evidence
        is_general = evidence.troubles >= MIN_TROUBLES and evidence.is_general(known=self.known)
        if self.state == "closed" and is_general and self._may_open():
            self._open(now)
        return self.is_open

    def _suspect(self, listings: set[Hashable]) -> None:
        if len(self._suspects) > _MAX_SUSPECTS:
            self._suspects.clear()
        self._suspects |= listings

    def _may_open(self) -> bool:
        return self.wait > 0 and (self._from_start or self._understood)

    def _open(self, now: float) -> None:
        self._set_state("open")
        self.since, self.opened_at = self._evidence.since, now
        self.interval, self.probes = FIRST_INTERVAL, 0
        self._probe_at = now + self.interval
        self._short_seconds, self._patient_seconds = 0.0, _PATIENT_SECONDS

    def _probe_failed(self, now: float, trouble: Trouble, permit: Permit) -> None:
        if permit.kind == "probe":
            self._evidence.add(now, trouble)
        if trouble.timed_out:
            self._count_timed_out(now - trouble.sent_at)
        self._set_state("open")
        self.interval = min(2 * self.interval, MAX_INTERVAL)
        self._probe_at = max(now, trouble.sent_at + max(self.interval, trouble.retry_after))

    def _count_timed_out(self, seconds: float) -> None:
        if self._is_patient:
            self._short_seconds = 0.0
            self._patient_seconds *= 2
        else:
            self._short_seconds += seconds

    def _end_outage(self, now: float) -> None:
        self._waited += now - self.opened_at

    def _set_state(self, state: State) -> None:
        self.state = state
        self.holding = state != "closed"
        self.alert = self.holding or not self.known or bool(self._suspects)

    # -- permits

    def next_permit(self, now: float) -> Permit | None:
        """Return a permit for an attempt that waits, or None if it must go on waiting."""
        if self.state == "open" and now >= self._probe_at:
            self._set_state("probing")
            self.probes += 1
            # Not one of the first: a page that comes twice is paid for twice.
            asks_known = self.known and self._reached and self.probes % 8 == 4  # noqa: PLR2004
            return Permit("known" if asks_known else "probe")
        if self.state == "resuming" and self._credit > 0:
            self._credit -= 1
            return Permit("resume")
        return Permit("resume") if self.state == "closed" else None

    def give_back(self, now: float, permit: Permit) -> None:
        """Take back a permit; another attempt may have it if its outcome was not reported."""
        if permit.used:
            return
        permit.used = True
        if self.state == "probing" and permit.probes:
            self._set_state("open")
            self.probes -= 1
            self._probe_at = now
        elif self.state == "resuming" and not permit.probes:
            self._credit += 1

    def renew(self, now: float) -> None:
        """Begin to wait again, after a time in which no attempt waited."""
        if self.state == "open" and now >= self.gives_up_at:
            self.opened_at = self._probe_at = now

    def none_waits(self) -> None:
        """Close the breaker if it resumes and could let more attempts pass than there are."""
        if self.state == "resuming" and self._credit > 0:
            self._set_state("closed")

    def give_up(self, now: float) -> None:
        """End the outage without an answer: the next attempts are sent as if nothing had been."""
        self._end_outage(now)
        self._evidence = _Evidence()
        self._set_state("closed")

    @property
    def wake_at(self) -> float | None:
        """Time at which an attempt that waits may get a permit, or is given up; None if never."""
        if self.state == "open":
            return min(self._probe_at, self.gives_up_at)
        return self.gives_up_at if self.state == "probing" else None

    def probe_seconds(self, usual_latency: float) -> float:
        """Return the time limit of the next probe.

        Short, so that the end of the outage is noticed soon. A service may be slow after an outage,
        so a few probes are patient: ever more patient, and ever less often.

        Args:
            usual_latency: Seconds in which nearly all replies came, or 0.
        """
        if self._is_patient:
            return max(self._patient_seconds, 2 * usual_latency)
        return max(PROBE_SECONDS, 2 * usual_latency)

    @property
    def _is_patient(self) -> bool:
        return self._short_seconds >= _PATIENT_SHARE * self._patient_seconds

    def __repr__(self) -> str:
        return f"<CircuitBreaker: {self.state}>"
