"""Selection of the part of a journal to export."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.run_numbers import missing_run
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.views import RunInfo, VisitInfo

from .endpoint_choice import (
    choose_endpoint,
    choose_endpoints,
    endpoint_named,
    refuse_detail_tables,
)

ALL_RUNS = 0
LATEST_RUN = -1
_NAMED_RUNS = 5


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a journal to export.

    Attributes:
        run: Number of a run; 0 for all; -1 for the latest. None for the latest finished visit of
            each listing, over all runs (for all runs, if `since` is given).
        since: Only pages fetched at this time or later, with a time zone; None for all.
        cats: Only listings of these categories; empty for all.
        unique: Only the latest sighting of each item ID, over all selected listings and runs.
        endpoint: Short or full name of the endpoint to export; None if there is only one.
        visits: Only the listings of these visits (`HarvestResult.visits`), in their latest
            finished visit; empty for all. Not together with `run` or `since`.
    """

    run: int | None = None
    since: datetime | None = None
    cats: frozenset[int] = frozenset()
    unique: bool = False
    endpoint: str | None = None
    visits: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.visits and (self.run is not None or self.since is not None):
            raise ExportRefusedError("visits cannot be combined with run or since")
        if self.since is not None and self.since.tzinfo is None:
            raise ExportRefusedError(f"since must have a time zone: {self.since}")
        if self.endpoint is not None:
            endpoint = endpoint_named(self.endpoint)
            if self.unique:
                refuse_detail_tables(endpoint, "unique")


class VisitMarks:
    """Set of the selected visits, with one byte for each visit of the journal."""

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, visit: int) -> None:
        """Add a visit."""
        if visit >= len(self._marks):
            self._marks.extend(bytes(visit + 1 - len(self._marks)))
        self._marks[visit] = 1

    def __contains__(self, visit: object) -> bool:
        return isinstance(visit, int) and visit < len(self._marks) and self._marks[visit] > 0


class FigureSums(msgspec.Struct):
    """Sums of pages and of rows, rejects included."""

    pages: int = 0
    rows: int = 0

    def add(self, pages: int, rows: int) -> None:
        """Add pages and their rows."""
        self.pages += pages
        self.rows += rows


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A selection applied to a journal.

    Attributes:
        run: The run to read, or None if the visits or the time select the pages.
        visits: Visits to read, or None for all visits of the run or runs.
        runs: Runs of the selected listings.
        since: Seconds since 1970.
        cats: Categories of the listings; empty for all.
        unique: True to read only the latest sighting of each item.
        endpoint: The endpoint whose rows are read.
        pages: Pages of the selected listings when reading began, including those before `since`.
        tally: The selected listings, counted by state.
        superseded: Selected listings with a later visit, which is not finished.
        left_out: Listings of the same endpoint and categories that are not selected.
        ended: Selected visits of the endpoint that had ended when reading began.
        figures: Figures that these visits recorded at their end.
    """

    run: RunInfo | None
    visits: VisitMarks | None = None
    runs: tuple[int, ...] = ()
    since: float = 0.0
    cats: frozenset[int] = frozenset()
    unique: bool = False
    endpoint: Endpoint
    pages: int = 0
    tally: RunTally = msgspec.field(default_factory=RunTally)
    superseded: int = 0
    left_out: int = 0
    ended: VisitMarks = msgspec.field(default_factory=VisitMarks)
    figures: FigureSums = msgspec.field(default_factory=FigureSums)

    @property
    def description(self) -> str:
        """The run or runs to read, for a message."""
        return describe_runs(self.runs)

    def covers(self, visit: VisitInfo) -> bool:
        """Return True if all pages of a visit are read."""
        return (
            visit.listing.endpoint == self.endpoint.name
            and (not self.cats or visit.listing.cat_id in self.cats)
            and (self.run is None or visit.run == self.run.id)
            and self.has(visit.id)
            and not self.since
        )

    def has(self, visit: int) -> bool:
        """Return True if the pages of a visit of the run, or of any run, are read."""
        return self.visits is None or visit in self.visits


def is_whole(visit: VisitInfo) -> bool:
    """Return True if a visit was walked to its end and every row was decoded.

    A row that was not decoded may be any item.
    """
    return visit.state == "complete" and not visit.rejects


def describe_runs(runs: Sequence[int]) -> str:
    """Return the names of runs, for a message."""
    if not runs:
        return "all runs"
    if len(runs) == 1:
        return f"run {runs[0]}"
    if len(runs) > _NAMED_RUNS:
        return f"{len(runs)} runs from {runs[0]} to {runs[-1]}"
    return f"runs {', '.join(map(str, runs[:-1]))} and {runs[-1]}"


class _ListingSums(msgspec.Struct):
    """Sums over the listings of an endpoint; a journal can have too many to keep each."""

    cats: set[int | None] = msgspec.field(default_factory=set)
    runs: set[int] = msgspec.field(default_factory=set)
    pages: int = 0
    tally: RunTally = msgspec.field(default_factory=RunTally)
    superseded: int = 0
    ended: VisitMarks = msgspec.field(default_factory=VisitMarks)
    figures: FigureSums = msgspec.field(default_factory=FigureSums)

    def add(self, visit: VisitInfo, *, superseded: bool = False, divided: bool = False) -> None:
        """Add a listing, which may be divided, or a part of a divided listing."""
        self.cats.add(visit.listing.cat_id)
        self.runs.add(visit.run)
        self.pages += visit.pages
        if visit.state != "open":
            self.ended.add(visit.id)
            self.figures.add(visit.pages, visit.items + visit.rejects)
        if visit.root is None:  # only the divided listing itself has a state, not each part
            self.tally.add_listing(visit.listing, visit.state, visit.totals, divided=divided)
            self.superseded += superseded


class _Choice:
    """Choice of the visits to read, and the visits that stand for all listings.

    Args:
        reader: The journal.
        run: The run to read, or None for the best visit of each listing.
        requested: Visits of the listings to read; empty for all.
    """

    def __init__(
        self, reader: JournalReader, run: RunInfo | None, requested: frozenset[int]
    ) -> None:
        self.superseded, self.known = VisitMarks(), VisitMarks()
        self._selected, self._requested = VisitMarks(), requested
        for listing in reader.listing_visits():
            self.known.add(listing.best)
            if run is None and (not requested or not requested.isdisjoint(listing.visits)):
                self._selected.add(listing.best)
                if listing.superseded:
                    self.superseded.add(listing.best)

    def has(self, visit: VisitInfo) -> bool:
        """Return True if a visit is selected, or is a part of a selected visit."""
        # A listing may be requested after it served as a part: its visit remains that of the part.
        return (visit.root or visit.id) in self._selected or (
            visit.root is not None and visit.id in self._requested
        )


def resolve(reader: JournalReader, selection: Selection) -> Scope:
    """Apply a selection to a journal.

    Raises:
        ExportRefusedError: The journal has no such run, no such category or endpoint in this run,
            or rows of several endpoints and no endpoint was chosen.
    """
    return resolve_endpoints(reader, selection)[0]


def resolve_endpoints(
    reader: JournalReader, selection: Selection, endpoints: Collection[str] = ()
) -> list[Scope]:
    """Apply a selection to a journal, for several endpoints.

    Args:
        reader: The journal.
        selection: The selection.
        endpoints: Names of endpoints, or `all`; empty for that of the selection.

    Returns:
        A scope for each endpoint.

    Raises:
        ExportRefusedError: See `resolve`.
    """
    run = _run(reader, selection)
    every = run is None and (selection.run is not None or selection.since is not None)
    choice = _Choice(reader, run, selection.visits)
    visits, sums, known = VisitMarks(), dict[str, _ListingSums](), dict[str, int]()
    divided = {division.root for division in reader.divisions()}
    for visit in reader.visits():
        if selection.cats and visit.listing.cat_id not in selection.cats:
            continue
        name = visit.listing.endpoint
        known[name] = known.get(name, 0) + (visit.id in choice.known)
        if every or (choice.has(visit) if run is None else visit.run == run.id):
            visits.add(visit.id)
            sums.setdefault(name, _ListingSums()).add(
                visit, superseded=visit.id in choice.superseded, divided=visit.id in divided
            )
    source = f"run {run.id} of the journal" if run else "the journal"
    if not sums:
        _check_cats(selection.cats, source)
    if endpoints:
        chosen = choose_endpoints(sums, endpoints, source)
    else:
        chosen = [choose_endpoint(sums, selection.endpoint, source)]
    cats = [sums[endpoint.name].cats for endpoint in chosen if endpoint.name in sums]
    _check_cats(selection.cats.difference(*cats), source)
    scopes = []
    for endpoint in chosen:
        selected = sums.get(endpoint.name, _ListingSums())
        scopes.append(
            Scope(
                run=run,
                visits=None if run or every else visits,
                runs=tuple(sorted(selected.runs)),
                since=selection.since.timestamp() if selection.since else 0.0,
                cats=selection.cats,
                unique=selection.unique,
                endpoint=endpoint,
                pages=selected.pages,
                tally=selected.tally,
                superseded=selected.superseded,
                left_out=0 if every else known.get(endpoint.name, 0) - selected.tally.listings,
                ended=selected.ended,
                figures=selected.figures,
            )
        )
    return scopes


def whole_run(
    reader: JournalReader, run: RunInfo, endpoint: Endpoint, cats: frozenset[int] = frozenset()
) -> Scope:
    """Return the scope of all pages of an endpoint in a run; there may be none.

    Args:
        reader: The journal.
        run: The run.
        endpoint: The endpoint.
        cats: Only listings of these categories; empty for all.
    """
    sums = _ListingSums()
    scope = Scope(run=run, runs=(run.id,), cats=cats, endpoint=endpoint)
    for visit in selected_visits(reader, scope):
        sums.add(visit)
    return msgspec.structs.replace(scope, ended=sums.ended, figures=sums.figures)


def selected_visits(reader: JournalReader, scope: Scope) -> Iterator[VisitInfo]:
    """Yield the visits whose pages a scope reads, in the requested order."""
    for visit in reader.visits(scope.run.id if scope.run else ALL_RUNS):
        listing = visit.listing
        if (
            listing.endpoint == scope.endpoint.name
            and scope.has(visit.id)
            and (not scope.cats or listing.cat_id in scope.cats)
        ):
            yield visit


def chosen_visits(
    reader: JournalReader,
    chosen: Container[int],
    endpoint: Endpoint,
    cats: frozenset[int] = frozenset(),
) -> Scope:
    """Return the scope of all pages of some visits of an endpoint, and of their parts."""
    sums, visits = _ListingSums(), VisitMarks()
    for visit in reader.visits():
        if (
            visit.listing.endpoint == endpoint.name
            and (visit.root or visit.id) in chosen
            and (not cats or visit.listing.cat_id in cats)
        ):
            visits.add(visit.id)
            sums.add(visit)
    return Scope(
        run=None,
        visits=visits,
        runs=tuple(sorted(sums.runs)),
        endpoint=endpoint,
        ended=sums.ended,
        figures=sums.figures,
    )


def ended_figures(reader: JournalReader, scope: Scope) -> FigureSums:
    """Return the present figures of the visits that had ended when reading began."""
    figures = FigureSums()
    for visit in reader.visits(scope.run.id if scope.run else ALL_RUNS):
        if visit.id in scope.ended and visit.state != "open":
            figures.add(visit.pages, visit.items + visit.rejects)
    return figures


def _run(reader: JournalReader, selection: Selection) -> RunInfo | None:
    if selection.run in (ALL_RUNS, None):
        return None
    runs = reader.runs()
    if selection.run == LATEST_RUN:
        return runs[-1] if runs else None
    for run in runs:
        if run.id == selection.run:
            return run
    raise ExportRefusedError(missing_run(reader.path, selection.run, [run.id for run in runs]))


def _check_cats(missing: Iterable[int | None], source: str) -> None:
    names = ", ".join(str(cat_id) for cat_id in sorted(missing, key=str)[:10])
    if names:
        raise ExportRefusedError(f"{source} has no listing of category {names}")
