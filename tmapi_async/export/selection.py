"""Selection of the pages of a journal to export, and decoding of their items.

Pages are read and decoded once for all destinations, in the order of their commits: the latest
sighting of an item is therefore the last one. Reading works while a harvest writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import msgspec

from tmapi_async.api.decoding import decoder
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.rows import Origin
from tmapi_async.errors import BodyError, ExportRefusedError
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import RunInfo, StoredPage, VisitInfo

from .endpoint_choice import choose_endpoint, endpoint_named

CHUNK_PAGES = 128
"""Pages turned into rows at once: some 2,500 rows, so that Arrow's fixed cost does not matter."""

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
            endpoint_named(self.endpoint)


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


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A selection applied to a journal.

    Attributes:
        run: The run to read, or None if the visits or the time select the pages.
        visits: Visits to read, or None for all visits of the run or runs.
        runs: Runs of the selected listings.
        since: Seconds since 1970.
        cats: Category IDs of the selection.
        unique: The selection's `unique`.
        endpoint: The endpoint whose rows are read.
        pages: Pages of the selected listings when reading began, including those before `since`.
        unfinished: Selected listings that were not walked to their end.
        failed: Selected listings that failed.
        superseded: Selected listings with a later visit, which is not finished.
        left_out: Listings of the same endpoint and categories that are not selected.
    """

    run: RunInfo | None
    visits: VisitMarks | None = None
    runs: tuple[int, ...] = ()
    since: float = 0.0
    cats: frozenset[int] = frozenset()
    unique: bool = False
    endpoint: Endpoint
    pages: int = 0
    unfinished: int = 0
    failed: int = 0
    superseded: int = 0
    left_out: int = 0

    @property
    def description(self) -> str:
        """The run or runs to read, for a message."""
        return describe_runs(self.runs)

    def has(self, visit: int) -> bool:
        """Return True if the pages of a visit of the run, or of any run, are read."""
        return self.visits is None or visit in self.visits


def describe_runs(runs: Sequence[int]) -> str:
    """Return the names of runs, for a message."""
    if not runs:
        return "all runs"
    if len(runs) == 1:
        return f"run {runs[0]}"
    if len(runs) > _NAMED_RUNS:
        return f"{len(runs)} runs from {runs[0]} to {runs[-1]}"
    return f"runs {', '.join(map(str, runs[:-1]))} and {runs[-1]}"


class Chunk(msgspec.Struct):
    """Decoded pages of one endpoint.

    Attributes:
        endpoint: The endpoint of all pages.
        pages: The pages.
        items: The selected items of each page.
        positions: The 0-based position of each of these items among the rows that were sent.
        rejects: Rows of these pages that the present models cannot decode.
    """

    endpoint: Endpoint
    pages: list[StoredPage]
    items: list[list[Any]]
    positions: list[Sequence[int]]
    rejects: int = 0

    @property
    def rows(self) -> int:
        """Number of items."""
        return sum(map(len, self.items))

    def origins(self) -> Iterator[tuple[Origin, list[Any], Sequence[int]]]:
        """Yield the provenance, the items and their positions, page by page."""
        for page, items, positions in zip(self.pages, self.items, self.positions, strict=True):
            fetched = datetime.fromtimestamp(page.fetched_at, UTC)
            yield Origin(page.listing, page.number, fetched, page.run), items, positions


class _ListingSums(msgspec.Struct):
    """Sums over the listings of an endpoint; a journal can have too many to keep each."""

    cats: set[int | None] = msgspec.field(default_factory=set)
    runs: set[int] = msgspec.field(default_factory=set)
    pages: int = 0
    unfinished: int = 0
    failed: int = 0
    superseded: int = 0
    listings: int = 0

    def add(self, visit: VisitInfo, *, superseded: bool) -> None:
        """Add a listing, or a part of a divided listing."""
        self.cats.add(visit.listing.cat_id)
        self.runs.add(visit.run)
        self.pages += visit.pages
        if visit.root is None:  # only the divided listing itself has a state, not each part
            self.listings += 1
            self.unfinished += visit.state == "open"
            self.failed += visit.state == "failed"
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
    run = _run(reader, selection)
    every = run is None and (selection.run is not None or selection.since is not None)
    choice = _Choice(reader, run, selection.visits)
    visits, sums, known = VisitMarks(), dict[str, _ListingSums](), dict[str, int]()
    for visit in reader.visits():
        if selection.cats and visit.listing.cat_id not in selection.cats:
            continue
        name = visit.listing.endpoint
        known[name] = known.get(name, 0) + (visit.id in choice.known)
        if every or (choice.has(visit) if run is None else visit.run == run.id):
            visits.add(visit.id)
            superseded = visit.id in choice.superseded
            sums.setdefault(name, _ListingSums()).add(visit, superseded=superseded)
    source = f"run {run.id} of the journal" if run else "the journal"
    if not sums:
        _check_cats(selection.cats, source)
    endpoint = choose_endpoint(sums, selection.endpoint, source)
    selected = sums.get(endpoint.name, _ListingSums())
    _check_cats(selection.cats - selected.cats, source)
    return Scope(
        run=run,
        visits=None if run or every else visits,
        runs=tuple(sorted(selected.runs)),
        since=selection.since.timestamp() if selection.since else 0.0,
        cats=selection.cats,
        unique=selection.unique,
        endpoint=endpoint,
        pages=selected.pages,
        unfinished=selected.unfinished,
        failed=selected.failed,
        superseded=selected.superseded,
        left_out=0 if every else known.get(endpoint.name, 0) - selected.listings,
    )


def whole_run(run: RunInfo, endpoint: Endpoint) -> Scope:
    """Return the scope of all pages of an endpoint in a run; there may be none."""
    return Scope(run=run, runs=(run.id,), endpoint=endpoint)


def _run(reader: JournalReader, selection: Selection) -> RunInfo | None:
    if selection.run in (ALL_RUNS, None):
        return None
    runs = reader.runs()
    if selection.run == LATEST_RUN:
        return runs[-1] if runs else None
    for run in runs:
        if run.id == selection.run:
            return run
    latest = ", ".join(str(run.id) for run in runs[-10:]) or "none"
    raise ExportRefusedError(
        f"{reader.path} has no run {selection.run}: its latest runs are {latest}"
    )


def _check_cats(missing: Iterable[int | None], source: str) -> None:
    names = ", ".join(str(cat_id) for cat_id in sorted(missing, key=str)[:10])
    if names:
        raise ExportRefusedError(f"{source} has no listing of category {names}")


def read_chunks(
    reader: JournalReader, scope: Scope, *, on_pages: Callable[[int], None] = lambda _: None
) -> Iterator[Chunk]:
    """Read and decode the selected pages as a stream.

    For unique items the pages are read twice. The first reading fills a temporary SQLite database
    (on disk beyond a small cache) with the row of each item's latest sighting; the second needs
    one byte of memory per row.

    Args:
        reader: The journal.
        scope: The pages to read.
        on_pages: Called with a number of pages read while nothing is yielded.

    Raises:
        JournalError: A page cannot be read.
    """
    if not scope.unique:
        yield from _chunks(reader, scope)
        return
    is_latest, last_page = _latest_sightings(reader, scope, on_pages)
    row = 0
    for chunk in _chunks(reader, scope, until=last_page):
        for page, items in enumerate(chunk.items):
            latest_rows = [index for index in range(len(items)) if is_latest[row + index]]
            row += len(items)
            if len(latest_rows) < len(items):
                positions = chunk.positions[page]
                chunk.items[page] = [items[index] for index in latest_rows]
                chunk.positions[page] = [positions[index] for index in latest_rows]
        yield chunk


def _chunks(reader: JournalReader, scope: Scope, until: int | None = None) -> Iterator[Chunk]:
    pending: list[StoredPage] = []
    for page in _pages(reader, scope):
        if until is not None and page.seq > until:
            break  # committed after the first reading
        pending.append(page)
        if len(pending) >= CHUNK_PAGES:
            yield _decoded(pending, reader, scope.endpoint)
            pending = []
    if pending:
        yield _decoded(pending, reader, scope.endpoint)


def _pages(reader: JournalReader, scope: Scope) -> Iterator[StoredPage]:
    run = scope.run.id if scope.run else ALL_RUNS
    cats = scope.cats
    # SQLite filters by a single category; several are filtered here.
    cat_id = next(iter(cats)) if len(cats) == 1 else None
    for page in reader.pages(run=run, visits=scope.visits, since=scope.since, cat_id=cat_id):
        if page.listing.endpoint == scope.endpoint.name and (
            not cats or cat_id is not None or page.listing.cat_id in cats
        ):
            yield page


def _decoded(pages: list[StoredPage], reader: JournalReader, endpoint: Endpoint) -> Chunk:
    chunk = Chunk(endpoint, pages, [], [])
    decode = decoder(endpoint.name).decode
    for page in pages:
        try:
            success, rejects = decode(page.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BodyError(reader.path, f"{page.listing} page {page.number}: {error}") from None
        items = success.data.items
        chunk.items.append(items)
        chunk.positions.append(range(len(items)))
        if rejects:
            gaps = {reject.position for reject in rejects}
            chunk.rejects += len(gaps)
            rows = range(len(items) + len(gaps))
            chunk.positions[-1] = [position for position in rows if position not in gaps]
    return chunk


_SIGHTINGS = "CREATE TABLE sightings (item_id INTEGER PRIMARY KEY, row INTEGER NOT NULL)"


def _latest_sightings(
    reader: JournalReader, scope: Scope, on_pages: Callable[[int], None]
) -> tuple[bytearray, int]:
    """Find the rows to keep for unique items.

    Returns:
        For each row 1 if it is the latest sighting of its item, else 0; and the last page read.
    """
    rows = last_page = 0
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = -65536")
        database.execute(_SIGHTINGS)
        database.execute("BEGIN")
        for chunk in _chunks(reader, scope):
            ids = [item.item_id for items in chunk.items for item in items]
            sightings = zip(ids, range(rows, rows + len(ids)), strict=True)
            database.executemany("INSERT OR REPLACE INTO sightings VALUES (?, ?)", sightings)
            rows += len(ids)
            last_page = chunk.pages[-1].seq
            on_pages(len(chunk.pages))
        is_latest = bytearray(rows)
        for (row,) in database.execute("SELECT row FROM sightings"):
            is_latest[row] = 1
    return is_latest, last_page
