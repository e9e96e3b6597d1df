"""The summary at the end of every command, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from tmapi_async.crawl.outcomes import WalkStatistics
from tmapi_async.errors import (
    AuthenticationError,
    BalanceError,
    BudgetSpentError,
    OutageError,
    TMAPIError,
)
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.summaries.verdict import SHIFTED, Verdict
from tmapi_async.journal.views import Tick
from tmapi_async.limits.outage_queue import duration

from .exit_codes import OK, PARTIAL, REFUSED

StoppedBy: TypeAlias = Literal["balance", "auth", "budget", "signal", "disk", "outage"]

_REASONS: dict[StoppedBy | None, str] = {
    "balance": "stopped because the account's balance is spent",
    "auth": "stopped because the API refused the token",
    "budget": "stopped because the request budget is spent",
    "signal": "interrupted",
    "disk": "stopped because the journal cannot be written",
    "outage": "stopped because the API does not answer",
}


class Summary(msgspec.Struct, kw_only=True):
    """Result of a command; the keys are part of the command-line contract.

    Attributes:
        listings: Listings of the command.
        complete: Listings read to the end that the server reports.
        capped: Listings that ended exactly at a result ceiling, or at `--max-pages` with more to
            come.
        shifted: Listings walked in two sittings, between which rows may have been missed.
        failed: Listings given up.
        stopped: Listings not read to the end, because all work ended.
        pages: Pages received.
        items: Items on those pages.
        unique_items: Distinct items within a listing, summed.
        rejects: Rows that could not be decoded.
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        second_looks: Requests of stored pages, to see if rows moved since an earlier start.
        codes: Number of replies by code, or by kind of failure.
        unreached: Attempts that reached no server. The budget is not charged for them.
        waited: Seconds for which the API did not answer, so that nothing else was sent.
        cache_hits: Pages taken from the cache, without a request.
        seconds: Duration.
        pages_per_second: Pages received per second.
        stopped_by: Reason why all work ended early, or null.
        empty: Complete listings without any item.
        contradicted: Complete listings with fewer different rows than their own total says.
        suspects: Names of the first of those empty and contradicted listings.
    """

    listings: int
    complete: int = 0
    capped: int = 0
    shifted: int = 0
    failed: int = 0
    stopped: int = 0
    pages: int = 0
    items: int = 0
    unique_items: int = 0
    rejects: int = 0
    requests: int = 0
    retries: int = 0
    wasted: int = 0
    second_looks: int = 0
    codes: dict[str, int] = {}
    unreached: int = 0
    waited: float = 0.0
    cache_hits: int = 0
    seconds: float = 0.0
    pages_per_second: float = 0.0
    stopped_by: StoppedBy | None = None
    empty: int = 0
    contradicted: int = 0
    suspects: tuple[str, ...] = ()

    @classmethod
    def from_walk(
        cls,
        statistics: WalkStatistics,
        *,
        listings: int,
        seconds: float,
        stopped_by: StoppedBy | None,
    ) -> Summary:
        """Return the summary of a walk over `listings` listings that took `seconds`."""
        fields = {
            name: getattr(statistics, name)
            for name in cls.__struct_fields__
            if name in WalkStatistics.__struct_fields__
        }
        ended = statistics.complete + statistics.capped + statistics.shifted + statistics.failed
        fields.update(
            listings=listings,
            stopped=listings - ended,
            seconds=round(seconds, 3),
            pages_per_second=round(statistics.pages / seconds, 1) if seconds else 0.0,
            stopped_by=stopped_by,
        )
        return cls(**fields)

    @classmethod
    def from_tally(cls, tally: RunTally, **requests: Any) -> Summary:
        """Return the summary of the listings in a journal.

        Args:
            tally: The listings.
            **requests: The other figures.
        """
        fields = {
            name: getattr(tally, name)
            for name in cls.__struct_fields__
            if name in RunTally.__struct_fields__
        }
        return cls(**fields, stopped=tally.left, **requests)

    @classmethod
    def from_ticks(
        cls, tally: RunTally, ticks: Sequence[Tick], *, stopped_by: StoppedBy | None
    ) -> Summary:
        """Return the summary of a run.

        Args:
            tally: The listings of the run.
            ticks: Last counts of each of its starts.
            stopped_by: Reason why the last start ended early, or None.
        """
        codes: dict[str, int] = {}
        for tick in ticks:
            for code, count in tick.codes.items():
                codes[code] = codes.get(code, 0) + count
        seconds = sum(tick.elapsed for tick in ticks)
        pages = sum(tick.pages for tick in ticks)
        return cls.from_tally(
            tally,
            requests=sum(tick.requests for tick in ticks),
            retries=sum(tick.retries for tick in ticks),
            wasted=sum(tick.wasted for tick in ticks),
            codes=codes,
            seconds=round(seconds, 3),
            pages_per_second=round(pages / seconds, 1) if seconds else 0.0,
            stopped_by=stopped_by,
        )

    def json(self, *, running: bool = False) -> str:
        """Return the summary as one JSON object on one line, with the kind of the verdict.

        Args:
            running: A process is reading the listings now.
        """
        return msgspec.json.encode(self.fields(running=running)).decode()

    def fields(self, *, running: bool = False) -> dict[str, Any]:
        """Return the keys and values of the JSON object.

        Args:
            running: A process is reading the listings now.
        """
        return {**msgspec.structs.asdict(self), "verdict": self.judge(running=running).kind}

    def judge(self, *, running: bool = False) -> Verdict:
        """Return the verdict over the listings.

        Args:
            running: A process is reading the listings now.
        """
        return Verdict(
            complete=self.complete,
            capped=self.capped,
            shifted=self.shifted,
            failed=self.failed,
            unfinished=self.stopped,
            empty=self.empty,
            contradicted=self.contradicted,
            suspects=self.suspects,
            running=running,
        )

    def lines(self, *, running: bool = False) -> list[str]:
        """Return the summary as text: one line for the listings, one for the requests.

        Args:
            running: A process is reading the listings now, so those that are open are not stopped.
        """
        reason = None if running else _REASONS.get(self.stopped_by)
        listings = self._listing_line("to be read" if running else "stopped")
        return [f"{reason}; {listings}" if reason else listings, self._request_line()]

    def _listing_line(self, unfinished: str) -> str:
        endings = [f"{self.complete:,} complete"]
        endings += [
            f"{number:,} {name}"
            for name, number in (
                ("of them empty", self.empty),
                ("of them contradicted by the API's own total", self.contradicted),
                ("capped", self.capped),
                (SHIFTED, self.shifted),
                ("failed", self.failed),
                (unfinished, self.stopped),
            )
            if number
        ]
        unique = "" if self.unique_items == self.items else f" ({self.unique_items:,} unique)"
        cached = f" ({self.cache_hits:,} from the cache)" if self.cache_hits else ""
        rejects = f", {quantity(self.rejects, 'reject')}" if self.rejects else ""
        return (
            f"{quantity(self.listings, 'listing')}: {', '.join(endings)}; "
            f"{quantity(self.pages, 'page')}{cached}, "
            f"{quantity(self.items, 'item')}{unique}{rejects}"
        )

    def _request_line(self) -> str:
        codes = ", ".join(f"{code} x {number:,}" for code, number in sorted(self.codes.items()))
        retries = quantity(self.retries, "retry", "retries")
        unreached = f", {self.unreached:,} reached no server" if self.unreached else ""
        waited = f", {duration(self.waited)} of them without an answer" if self.waited else ""
        looks = f", {self.second_looks:,} to compare with earlier starts"
        return (
            f"{quantity(self.requests, 'request')} ({retries}, {self.wasted:,} wasted{unreached}"
            f"{looks if self.second_looks else ''}) in "
            f"{self.seconds:.1f} s{waited}, {self.pages_per_second:,} pages per second"
            f"{'; codes: ' if codes else ''}{codes}"
        )

    def exit_code(self, *, fail_empty: bool = False) -> int:
        """Return the exit code of the command-line contract.

        Args:
            fail_empty: Treat a listing without any item as one that failed.
        """
        if self.stopped_by in ("balance", "auth"):
            return REFUSED
        if self.stopped_by or self.judge().kind == "incomplete":
            return PARTIAL
        if fail_empty and self.empty:
            return PARTIAL
        return OK


def stopped_by(error: BaseException | None) -> StoppedBy | None:
    """Return the reason for the end of all work, derived from the error that ended a walk."""
    kinds: tuple[tuple[type[TMAPIError], StoppedBy], ...] = (
        (AuthenticationError, "auth"),
        (BalanceError, "balance"),
        (BudgetSpentError, "budget"),
        (OutageError, "outage"),
    )
    for kind, name in kinds:
        if isinstance(error, kind):
            return name
    return None
