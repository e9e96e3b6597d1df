"""Progress and result of an export. Plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tmapi_async.export.sinks import DestinationResult
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.summaries.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tmapi_async.export.selection import Scope


class ExportProgress(msgspec.Struct, frozen=True):
    """Progress of an export.

    Attributes:
        pages: Pages read so far; for unique items, of both readings.
        of: Pages to read; an upper bound if `since` is given.
        rows: Rows written so far.
        seconds: Seconds since the export began.
    """

    pages: int
    of: int
    rows: int
    seconds: float

    def __str__(self) -> str:
        speed = self.rows / self.seconds if self.seconds else 0.0
        return (
            f"pages read: {self.pages:,} of {self.of:,}, rows written: {self.rows:,} "
            f"({speed:,.0f} per second), time: {self.seconds:.0f} s"
        )


class ExportSummary(msgspec.Struct, kw_only=True):
    """Result of an export.

    Attributes:
        journal: The journal.
        run: The run whose rows were exported, or None for several.
        runs: Runs of the exported listings.
        endpoint: Name of the endpoint whose rows were read, the first one if there are several;
            empty before it is known.
        listings_unfinished: Selected listings that were not walked to their end: more rows will
            come.
        listings_failed: Selected listings that failed: some of their pages are missing.
        listings_superseded: Selected listings with a later visit that is not finished; the rows of
            their latest finished visit were exported.
        listings_left_out: Listings of the same endpoint and categories that were not exported,
            because the run or the command does not contain them.
        pages: Pages whose rows were exported.
        rows: Rows written to each destination.
        rejects: Rows of these pages that the present models cannot decode; the journal keeps them.
        unread: Column -> number of values that are null although the API sent something. The text
            that was sent is in the column `..._text`.
        bounds: Column -> number of values that are not plain numbers (`"100000+"`), or are rates
            below 1, which may be fractions. Their text is in the column `..._text` too.
        seconds: Duration of the export.
        rows_per_second: Rows written per second.
        stopped_by: None, `signal`, `disk` or `error`. If it is set, only the destinations in
            `destinations` were changed.
        destinations: Results of the completed destinations.
        listings_complete: Selected listings that were read to their end.
        listings_capped: Selected listings that ended at a ceiling or a maximum number of pages.
        listings_shifted: Selected listings walked in two sittings, between which rows came.
        listings_empty: Complete listings without any item.
        listings_contradicted: Complete listings with fewer different rows than their own total.
        suspects: Names of the first of those empty and contradicted listings.
        verdict: Kind of the verdict over the selected listings, such as "complete" or "capped".
        endpoints: Short names of all endpoints whose rows were read.
    """

    journal: str
    run: int | None = None
    runs: list[int] = []
    endpoint: str = ""
    listings_unfinished: int = 0
    listings_failed: int = 0
    listings_superseded: int = 0
    listings_left_out: int = 0
    pages: int = 0
    rows: int = 0
    rejects: int = 0
    unread: dict[str, int] = {}
    bounds: dict[str, int] = {}
    seconds: float = 0.0
    rows_per_second: float = 0.0
    stopped_by: str | None = None
    destinations: list[DestinationResult] = []
    listings_complete: int = 0
    listings_capped: int = 0
    listings_shifted: int = 0
    listings_empty: int = 0
    listings_contradicted: int = 0
    suspects: tuple[str, ...] = ()
    verdict: str = ""
    endpoints: list[str] = []

    def describe(self, scopes: Sequence[Scope], *, running: bool) -> Verdict:
        """Set what is known before the first row is read, and return the verdict.

        Args:
            scopes: Parts of the journal that are read: one for each endpoint.
            running: True if a harvest is writing to the journal.
        """
        tally = RunTally()
        # The elements of details have the listings of the details themselves.
        distinct = {scope.endpoint.name: scope for scope in scopes}.values()
        for scope in distinct:
            tally.include(scope.tally)
        verdict = Verdict.of(tally, running=running)
        self.verdict = verdict.kind
        self.runs = sorted({run for scope in scopes for run in scope.runs})
        self.run = self.runs[0] if len(self.runs) == 1 else None
        self.endpoint = scopes[0].endpoint.name
        self.endpoints = [scope.endpoint.short for scope in scopes]
        self.listings_unfinished, self.listings_failed = tally.left, tally.failed
        self.listings_complete, self.listings_capped = tally.complete, tally.capped
        self.listings_shifted, self.listings_empty = tally.shifted, tally.empty
        self.listings_contradicted, self.suspects = tally.contradicted, tally.suspects
        self.listings_superseded = sum(scope.superseded for scope in distinct)
        self.listings_left_out = sum(scope.left_out for scope in distinct)
        return verdict
