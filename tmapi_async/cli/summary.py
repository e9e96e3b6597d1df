"""The summary that ends every command, and the exit code it means."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tmapi_async.crawl.outcomes import WalkStatistics
from tmapi_async.errors import AuthenticationError, BalanceError, BudgetSpentError, TMAPIError

StoppedBy: TypeAlias = Literal["balance", "auth", "budget", "signal", "disk"]

_WHY: dict[StoppedBy | None, str] = {
    "balance": "stopped since the balance is spent",
    "auth": "stopped since the token was refused",
    "budget": "stopped since the request budget is spent",
    "signal": "interrupted",
    "disk": "stopped since the disk is full",
}

OK, UNEXPECTED, USAGE, PARTIAL, REFUSED = 0, 1, 2, 3, 4


class Summary(msgspec.Struct, kw_only=True):
    """What a command did; the keys are part of the command-line contract.

    Attributes:
        listings: Listings asked for.
        complete: Walked to the end that the server told.
        capped: Ended exactly at a result ceiling, or at `--max-pages` with more to come.
        failed: Given up.
        stopped: Not walked to the end, because all work ended.
        pages: Pages received.
        items: Items on them.
        unique_items: Distinct items within a listing, summed.
        rejects: Rows that could not be decoded.
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Code, or kind of failure, to how often it came.
        seconds: How long it took.
        pages_per_second: Pages received a second.
        stopped_by: What ended all work, or null.
    """

    listings: int
    complete: int = 0
    capped: int = 0
    failed: int = 0
    stopped: int = 0
    pages: int = 0
    items: int = 0
    unique_items: int = 0
    rejects: int = 0
    requests: int = 0
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = {}
    seconds: float = 0.0
    pages_per_second: float = 0.0
    stopped_by: StoppedBy | None = None

    @classmethod
    def of(
        cls,
        statistics: WalkStatistics,
        *,
        listings: int,
        seconds: float,
        stopped_by: StoppedBy | None,
    ) -> Summary:
        """Sum up a walk over `listings` listings that took `seconds`."""
        known = {
            name: getattr(statistics, name)
            for name in cls.__struct_fields__
            if name in WalkStatistics.__struct_fields__
        }
        ended = statistics.complete + statistics.capped + statistics.failed
        known.update(
            listings=listings,
            stopped=listings - ended,
            seconds=round(seconds, 3),
            pages_per_second=round(statistics.pages / seconds, 1) if seconds else 0.0,
            stopped_by=stopped_by,
        )
        return cls(**known)

    def json(self) -> str:
        """The summary as one JSON object on one line."""
        return msgspec.json.encode(self).decode()

    def lines(self) -> list[str]:
        """The summary for a person."""
        ended = [f"{self.complete} complete"]
        ended += [
            f"{number} {name}"
            for name, number in (
                ("capped", self.capped),
                ("failed", self.failed),
                ("stopped", self.stopped),
            )
            if number
        ]
        unique = "" if self.unique_items == self.items else f" ({self.unique_items:,} unique)"
        rejects = f", {self.rejects:,} rejects" if self.rejects else ""
        codes = ", ".join(f"{code} x {number:,}" for code, number in sorted(self.codes.items()))
        what = (
            f"{self.listings:,} listings: {', '.join(ended)}; "
            f"{self.pages:,} pages, {self.items:,} items{unique}{rejects}"
        )
        how = (
            f"{self.requests:,} requests ({self.retries:,} retries, {self.wasted:,} wasted) in "
            f"{self.seconds:.1f} s, {self.pages_per_second:,} pages a second"
            f"{'; ' if codes else ''}{codes}"
        )
        why = _WHY.get(self.stopped_by)
        return [f"{why}; {what}" if why else what, how]

    def exit_code(self) -> int:
        """The exit code of the command-line contract."""
        if self.stopped_by in ("balance", "auth"):
            return REFUSED
        if self.stopped_by or self.failed or self.stopped:
            return PARTIAL
        return OK


def stopped_by(error: BaseException | None) -> StoppedBy | None:
    """What ended all work, judged by the error that a walk was ended with."""
    kinds: tuple[tuple[type[TMAPIError], StoppedBy], ...] = (
        (AuthenticationError, "auth"),
        (BalanceError, "balance"),
        (BudgetSpentError, "budget"),
    )
    for kind, name in kinds:
        if isinstance(error, kind):
            return name
    return None
