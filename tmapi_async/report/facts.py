"""Facts of a report, aggregated from a journal. Their size does not grow with the items."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.run_numbers import missing_run
from tmapi_async.export.changes.category_names import find_names
from tmapi_async.export.endpoint_choice import require_products
from tmapi_async.export.selection import Scope, Selection, resolve
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.tally import RunTally, doubt_about_visit
from tmapi_async.journal.views import RunInfo, StartInfo, VisitInfo

from .change_facts import ChangeFacts, gather_changes
from .item_statistics import ItemStatistics, item_statistics
from .timeline import Moment, timeline

MAX_LISTINGS = 200
MAX_REJECTS = 50
_MAX_REJECT_CHARACTERS = 300
_ORDER = ("failed", "stopped", "shifted", "capped", "contradicted", "empty", "complete")
"""States of a listing, those that deserve a look first."""

_COUNTED = ("complete", "empty", "contradicted", "capped", "shifted", "failed")

_SANDBOX = "sandbox"
"""Host that a journal has in place of the address of `--sandbox`, which is another each time."""


class ListingFact(msgspec.Struct, frozen=True):
    """One listing of the run.

    Attributes:
        listing: Identity of the listing.
        state: "complete", "empty", "contradicted", "capped", "shifted", "failed" or "stopped".
        pages: Pages in the journal.
        items: Items on these pages.
        unique: Distinct items, or None if the number is not known.
        rejects: Rows that could not be decoded.
        cat_id: Its category, or None.
        error: The error of a failed listing, the reason why a shifted one may lack rows, or None.
    """

    listing: str
    state: str
    pages: int
    items: int
    unique: int | None
    rejects: int
    cat_id: int | None
    error: str | None


class RejectFact(msgspec.Struct, frozen=True):
    """A row that could not be decoded, cut to a readable length."""

    listing: str
    page: int
    position: int
    reason: str
    raw: str


class ReportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of a report.

    Attributes:
        journal: File of the journal, as it was given.
        endpoint: Name of the endpoint whose listings and items are reported.
        others: Name of each other endpoint of the run -> number of its listings.
        run: Number of the run whose requests are reported.
        runs: Number of runs in the journal.
        listing_runs: Runs of the reported listings; only `run` if the run was chosen.
        superseded: Listings with a later visit that is not finished.
        started: Start of the run, UTC.
        ended: End of its last listing, or None.
        created: Time when the facts were gathered.
        tally: The listings, counted by state, with their pages and rejects.
        listings: Incomplete listings first, then the largest; at most 200.
        left_out: Number of listings that are not in `listings`.
        counts: Requests of every start of the run, summed.
        starts: Number of starts of the run.
        stopped_by: Reason why a start was stopped, for each stopped start.
        timeline: Rates over time.
        items: Categories, best-selling and cheapest items, and repurchase rates.
        changes: Changes since the visits before, or None.
        names: Category ID -> its name, as far as the journal holds the names.
        unknown: IDs of shown categories that the API does not know, as it answered.
        from_sandbox: True if the latest start of the run was made with `--sandbox`.
        reject_rows: Some of the rejects.
        running: True if a process was writing to the journal.
    """

    journal: str
    endpoint: str
    others: dict[str, int]
    run: int
    runs: int
    listing_runs: tuple[int, ...]
    superseded: int
    started: datetime
    ended: datetime | None
    created: datetime
    tally: RunTally
    listings: list[ListingFact]
    left_out: int
    counts: RequestCounts
    starts: int
    stopped_by: list[str]
    timeline: list[Moment]
    items: ItemStatistics
    changes: ChangeFacts | None
    reject_rows: list[RejectFact]
    names: dict[int, str] = {}
    unknown: frozenset[int] = frozenset()
    from_sandbox: bool = False
    running: bool = False

    @property
    def pages(self) -> int:
        """Pages of the listings in the journal."""
        return self.tally.pages

    @property
    def rejects(self) -> int:
        """Rows of the listings that could not be decoded."""
        return self.tally.rejects

    @property
    def states(self) -> dict[str, int]:
        """State -> number of listings in this state, without states that no listing has."""
        counts = {name: getattr(self.tally, name) for name in _COUNTED} | {
            "stopped": self.tally.left
        }
        return {state: number for state, number in counts.items() if number}

    @property
    def categories(self) -> set[int]:
        """IDs of all categories that the report shows."""
        groups = {int(one.group) for one in self.items.categories if one.group.isdigit()}
        shown = {listing.cat_id for listing in self.listings}
        changes = self.changes.largest if self.changes else []
        shown |= {row["cat_id"] for row in changes}
        return groups | {cat_id for cat_id in shown if cat_id is not None}

    @property
    def unnamed(self) -> list[int]:
        """IDs of the shown categories whose names the API was not asked for, in their order."""
        return sorted(self.categories - self.names.keys() - self.unknown)

    def name_of(self, group: str | int | None) -> str | None:
        """Return the name of a category, or None; `group` may also be an identity of a listing."""
        text = str(group)
        return self.names.get(int(text)) if text.isdigit() else None

    @property
    def complete(self) -> bool:
        """True if every listing was walked to the end that the server reported."""
        return self.tally.complete == self.tally.listings


def gather(
    journal: str | Path, *, run: int | None = None, endpoint: str | None = None
) -> ReportFacts:
    """Gather the facts of a report.

    Args:
        journal: File of the journal; a harvest may be writing to it.
        run: Number of the run. None for the latest finished visit of each listing, over all runs;
            requests are then those of the latest run, and changes those of each listing's last two
            visits.
        endpoint: Short or full name of the endpoint to report; None if there is only one.

    Raises:
        JournalError: The journal cannot be read.
        InvalidRequestError: The journal has no such run, or rows of several endpoints and no
            endpoint was chosen.
    """
    with JournalReader(journal) as reader:
        runs = reader.runs()
        run_info = _run_info(reader, runs, run)
        scope = resolve(reader, Selection(run=run, endpoint=endpoint))
        require_products(scope.endpoint, "a report")
        name = scope.endpoint.name
        starts = [start for start in reader.starts() if start.run == run_info.id]
        listings = _ListingFacts(reader, scope)
        items = item_statistics(reader, scope)
        facts = ReportFacts(
            journal=str(journal),
            endpoint=name,
            others=listings.others,
            run=run_info.id,
            runs=len(runs),
            listing_runs=scope.runs or (run_info.id,),
            superseded=scope.superseded,
            started=datetime.fromtimestamp(run_info.started_at, UTC),
            ended=_time(run_info.ended_at),
            created=datetime.now(UTC),
            tally=listings.tally,
            listings=listings.selected(),
            left_out=listings.left_out,
            counts=_counts(starts),
            starts=len(starts),
            stopped_by=[start.stopped_by for start in starts if start.stopped_by],
            timeline=timeline([(start.started_at, reader.ticks(start.id)) for start in starts]),
            items=items,
            changes=gather_changes(journal, runs, run, name, items.ranked),
            reject_rows=list(islice(_rejects(reader, scope), MAX_REJECTS)),
            running=reader.writer is not None,
            from_sandbox=bool(starts) and starts[-1].host == _SANDBOX,
        )
        return _named(facts, reader)


def add_names(facts: ReportFacts, journal: str | Path) -> ReportFacts:
    """Return the facts with the names of categories that the journal holds now.

    Raises:
        JournalError: The journal cannot be read.
    """
    with JournalReader(journal) as reader:
        return _named(facts, reader)


def _named(facts: ReportFacts, reader: JournalReader) -> ReportFacts:
    names, unknown = find_names(reader, facts.categories)
    return msgspec.structs.replace(facts, names=names, unknown=unknown)


def _run_info(reader: JournalReader, runs: list[RunInfo], run: int | None) -> RunInfo:
    for info in runs:
        if info.id == (run or runs[-1].id):
            return info
    if not runs:
        raise InvalidRequestError(f"{reader.path} has no run yet")
    raise InvalidRequestError(missing_run(reader.path, run, [info.id for info in runs]))


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _counts(starts: list[StartInfo]) -> RequestCounts:
    totals = [start.totals for start in starts if start.totals]
    return RequestCounts.total(
        RequestCounts(tick.requests, tick.retries, tick.wasted, tick.codes) for tick in totals
    )


class _ListingFacts:
    """Sums over the listings of a scope, and the listings to show. Bounded memory."""

    def __init__(self, reader: JournalReader, scope: Scope) -> None:
        self.others: dict[str, int] = {}
        self.tally = RunTally()
        self._candidates: list[ListingFact] = []
        for visit in reader.listings(scope.run.id if scope.run else 0):
            name = visit.listing.endpoint
            if not scope.has(visit.id):
                continue
            if name == scope.endpoint.name:
                self._add(visit)
            else:
                self.others[name] = self.others.get(name, 0) + 1

    def _add(self, visit: VisitInfo) -> None:
        state = "stopped" if visit.state == "open" else doubt_about_visit(visit) or visit.state
        self.tally.add_visit(visit)
        self._candidates.append(
            ListingFact(
                visit.listing.identity,
                state,
                visit.pages,
                visit.items,
                visit.unique_items,
                visit.rejects,
                visit.listing.cat_id,
                visit.error,
            )
        )
        if len(self._candidates) > 4 * MAX_LISTINGS:
            self._candidates = self.selected()

    def selected(self) -> list[ListingFact]:
        """Return incomplete listings first, then the largest."""
        ranked = sorted(self._candidates, key=lambda fact: (_ORDER.index(fact.state), -fact.items))
        return ranked[:MAX_LISTINGS]

    @property
    def left_out(self) -> int:
        """Number of listings that are not shown."""
        return max(0, self.tally.listings - MAX_LISTINGS)


def _rejects(reader: JournalReader, scope: Scope) -> Iterator[RejectFact]:
    for reject in reader.rejects(scope.run.id if scope.run else 0):
        if reject.listing.endpoint != scope.endpoint.name or not scope.has(reject.visit):
            continue
        raw = reject.raw.decode("utf-8", "replace")
        excerpt = (
            raw if len(raw) <= _MAX_REJECT_CHARACTERS else raw[:_MAX_REJECT_CHARACTERS] + "..."
        )
        yield RejectFact(
            reject.listing.identity, reject.number, reject.position, reject.reason, excerpt
        )
