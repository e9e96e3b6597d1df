"""What a report tells, aggregated from a journal: its size does not grow with the items."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from tmapi_async.errors import ExportRefusedError, InvalidRequestError
from tmapi_async.export.selection import Selection, resolve
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import RunInfo

from .shares import Goods, goods
from .timeline import Moment, timeline

MOST_LISTINGS = 200
MOST_REJECTS = 50
MOST_CHANGES = 15
_LONGEST_REJECT = 300


class ListingFact(msgspec.Struct, frozen=True):
    """One listing of the run.

    Attributes:
        listing: Its identity.
        state: "complete", "capped", "failed" or "stopped".
        pages: Pages held.
        items: Items on them.
        unique: Distinct items, or None where that is not known.
        rejects: Rows that could not be decoded.
        error: What failed it, or None.
    """

    listing: str
    state: str
    pages: int
    items: int
    unique: int | None
    rejects: int
    error: str | None


class RejectFact(msgspec.Struct, frozen=True):
    """A row that could not be decoded, cut to a length that can be shown."""

    listing: str
    page: int
    position: int
    reason: str
    raw: str


class ChangeFacts(msgspec.Struct, frozen=True):
    """What changed since the run before.

    Attributes:
        before: Number of that run.
        total: Kind of change to how many items.
        largest: Kind of change to its largest, as rows of `CHANGE`.
        partial: Listings that not both runs walked to their end.
    """

    before: int
    total: dict[str, int]
    largest: dict[str, list[dict[str, Any]]]
    partial: int


class ReportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report shows.

    Attributes:
        endpoint: Name of the endpoint whose listings and items are told of.
        others: Name of each other endpoint of the run to how many listings it has.
        run: Number of the run.
        runs: How many runs the journal holds.
        began: When it began, UTC.
        ended: When its last listing ended, or None.
        made: When these facts were gathered.
        states: State to how many of its listings are in it.
        pages: Pages held of the run.
        rejects: Rows of the run that could not be decoded.
        listings: The listings that need a look first, then the largest; at most 200.
        left_out: How many listings are not among them.
        requests: Attempts of every start of the run.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Code, or kind of failure, to how often it came.
        starts: How many processes worked on it.
        stopped_by: What stopped them, where something did.
        timeline: What was counted over time.
        goods: Prices, sellers and rates of the items.
        changes: What changed since the run before, or None.
        reject_rows: Some of the rejects.
    """

    endpoint: str
    others: dict[str, int]
    run: int
    runs: int
    began: datetime
    ended: datetime | None
    made: datetime
    states: dict[str, int]
    pages: int
    rejects: int
    listings: list[ListingFact]
    left_out: int
    requests: int
    retries: int
    wasted: int
    codes: dict[str, int]
    starts: int
    stopped_by: list[str]
    timeline: list[Moment]
    goods: Goods
    changes: ChangeFacts | None
    reject_rows: list[RejectFact]

    @property
    def sure(self) -> bool:
        """Whether every listing was walked to the end that the server told."""
        return set(self.states) <= {"complete"}


def gather(
    journal: str | Path, *, run: int | None = None, endpoint: str | None = None
) -> ReportFacts:
    """Gather what a report tells.

    Args:
        journal: The journal's file; it may be written meanwhile.
        run: Number of the run; None for the latest.
        endpoint: Short or full name of the endpoint whose items are told of; None for the only one.

    Raises:
        JournalError: The journal cannot be read.
        InvalidRequestError: It has no such run, or rows of several endpoints of which none was
            chosen.
    """
    with JournalReader(journal) as reader:
        runs = reader.runs()
        chosen = _chosen(reader, runs, run)
        scope = resolve(reader, Selection(run=chosen.id, endpoint=endpoint))
        of = scope.endpoint.name
        starts = [start for start in reader.starts() if start.run == chosen.id]
        listings = _Listings(reader, chosen.id, of)
        totals = [start.totals for start in starts if start.totals]
        return ReportFacts(
            endpoint=of,
            others=listings.others,
            run=chosen.id,
            runs=len(runs),
            began=datetime.fromtimestamp(chosen.started_at, UTC),
            ended=_time(chosen.ended_at),
            made=datetime.now(UTC),
            states=listings.states,
            pages=listings.pages,
            rejects=listings.rejects,
            listings=listings.shown(),
            left_out=listings.left_out,
            requests=sum(total.requests for total in totals),
            retries=sum(total.retries for total in totals),
            wasted=sum(total.wasted for total in totals),
            codes=_summed([total.codes for total in totals]),
            starts=len(starts),
            stopped_by=[start.stopped_by for start in starts if start.stopped_by],
            timeline=timeline([(start.started_at, reader.ticks(start.id)) for start in starts]),
            goods=goods(reader, scope),
            changes=_changes(journal, runs, chosen, of),
            reject_rows=list(islice(_rejects(reader, chosen.id, of), MOST_REJECTS)),
        )


def _chosen(reader: JournalReader, runs: list[RunInfo], run: int | None) -> RunInfo:
    for one in runs:
        if one.id == (run or runs[-1].id):
            return one
    held = ", ".join(str(one.id) for one in runs[-10:]) or "none"
    wanted = "no run yet" if run is None else f"no run {run}"
    raise InvalidRequestError(f"{reader.path} has {wanted}: its latest are {held}")


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _summed(counts: list[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for code, number in one.items():
            found[code] = found.get(code, 0) + number
    return dict(sorted(found.items()))


class _Listings:
    """The listings that a run has of an endpoint: sums, and those worth showing. Bounded memory."""

    def __init__(self, reader: JournalReader, run: int, endpoint: str) -> None:
        self.others: dict[str, int] = {}
        self.states: dict[str, int] = {}
        self.pages = self.rejects = self._count = 0
        self._shown: list[ListingFact] = []
        for visit in reader.listings(run):
            name = visit.listing.endpoint
            if name != endpoint:
                self.others[name] = self.others.get(name, 0) + 1
                continue
            state = "stopped" if visit.state == "open" else visit.state
            self.states[state] = self.states.get(state, 0) + 1
            self.pages += visit.pages
            self.rejects += visit.rejects
            self._count += 1
            self._shown.append(
                ListingFact(
                    visit.listing.identity,
                    state,
                    visit.pages,
                    visit.items,
                    visit.unique_items,
                    visit.rejects,
                    visit.error,
                )
            )
            if len(self._shown) > 4 * MOST_LISTINGS:
                self._shown = self.shown()

    def shown(self) -> list[ListingFact]:
        """What needs a look first, then the largest."""
        order = {"failed": 0, "stopped": 1, "capped": 2, "complete": 3}
        ranked = sorted(self._shown, key=lambda fact: (order[fact.state], -fact.items))
        return ranked[:MOST_LISTINGS]

    @property
    def left_out(self) -> int:
        """How many are not shown."""
        return max(0, self._count - MOST_LISTINGS)


def _rejects(reader: JournalReader, run: int, endpoint: str) -> Iterator[RejectFact]:
    for reject in reader.rejects(run):
        if reject.listing.endpoint != endpoint:
            continue
        raw = reject.raw.decode("utf-8", "replace")
        cut = raw if len(raw) <= _LONGEST_REJECT else raw[:_LONGEST_REJECT] + "..."
        yield RejectFact(
            reject.listing.identity, reject.number, reject.position, reject.reason, cut
        )


def _changes(
    journal: str | Path, runs: list[RunInfo], run: RunInfo, endpoint: str
) -> ChangeFacts | None:
    from tmapi_async.export.changes.comparison import compare_runs, largest_changes  # noqa: PLC0415 - as above
    from tmapi_async.export.changes.diff import KINDS  # noqa: PLC0415 - only where there are two runs

    if not any(one.id < run.id for one in runs):
        return None
    try:
        found = compare_runs(journal, after=run.id, endpoint=endpoint)
    except ExportRefusedError:
        return None
    return ChangeFacts(
        before=found.before.id,
        total={kind: getattr(found.total, kind) for kind in KINDS},
        largest={
            kind: largest_changes(found.changes, kind, MOST_CHANGES)
            for kind in ("dearer", "cheaper", "sales")
        },
        partial=found.partial,
    )
