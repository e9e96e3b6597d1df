"""Which pages of a journal are exported, and their items.

Pages are read and decoded once, whatever the number of destinations, in the order in which they
were committed; so the latest sighting of an item is the last one. Works while a harvest writes.
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

from .endpoint_choice import choose, named

CHUNK_PAGES = 128
"""Pages turned into rows at once: some 2,500 rows, enough to make Arrow's own cost vanish."""

ALL_RUNS = 0


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What of a journal is wanted.

    Attributes:
        run: Number of a run; 0 for all; None for the latest (for all, where `since` is given).
        since: Only pages fetched at this time or later, aware; None for all.
        cats: Only listings of these categories; empty for all.
        unique: Only the latest sighting of each item ID, over all listings and runs selected.
        endpoint: Short or full name of the endpoint whose rows are wanted; None for the only one.
    """

    run: int | None = None
    since: datetime | None = None
    cats: frozenset[int] = frozenset()
    unique: bool = False
    endpoint: str | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.since.tzinfo is None:
            raise ExportRefusedError(f"since must have a time zone: {self.since}")
        if self.endpoint is not None:
            named(self.endpoint)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A selection held against a journal.

    Attributes:
        run: The run that is read, or None where all are.
        since: Seconds since 1970.
        cats: As selected.
        unique: As selected.
        endpoint: The one whose rows are read.
        pages: Pages of the listings selected when reading began; those before `since` too.
        unfinished: Listings among them that have not been walked to their end.
        failed: Listings among them that failed.
    """

    run: RunInfo | None
    since: float
    cats: frozenset[int]
    unique: bool
    endpoint: Endpoint
    pages: int
    unfinished: int
    failed: int

    @property
    def about(self) -> str:
        """What is read, in words."""
        return "all runs" if self.run is None else f"run {self.run.id}"


class Chunk(msgspec.Struct):
    """Some pages, decoded.

    Attributes:
        endpoint: The endpoint of all of them.
        pages: The pages.
        items: The items of each that are wanted.
        positions: The 0-based position of each of those items among the rows as sent.
        rejects: Rows of these pages that today's models cannot decode.
    """

    endpoint: Endpoint
    pages: list[StoredPage]
    items: list[list[Any]]
    positions: list[Sequence[int]]
    rejects: int = 0

    @property
    def rows(self) -> int:
        """How many items there are."""
        return sum(map(len, self.items))

    def origins(self) -> Iterator[tuple[Origin, list[Any], Sequence[int]]]:
        """Each page's provenance, items and their positions."""
        for page, items, positions in zip(self.pages, self.items, self.positions, strict=True):
            fetched = datetime.fromtimestamp(page.fetched_at, UTC)
            yield Origin(page.listing, page.number, fetched, page.run), items, positions


class _DecodedListing(msgspec.Struct):
    """What a journal holds of an endpoint, summed: there may be very many listings."""

    cats: set[int | None] = msgspec.field(default_factory=set)
    pages: int = 0
    unfinished: int = 0
    failed: int = 0

    def add(self, visit: VisitInfo) -> None:
        """Count a listing, or a part of one."""
        self.cats.add(visit.listing.cat_id)
        self.pages += visit.pages
        if visit.root is None:  # of what was divided the listing itself tells, not each part
            self.unfinished += visit.state == "open"
            self.failed += visit.state == "failed"


def scope(reader: JournalReader, selection: Selection) -> Scope:
    """Hold a selection against a journal.

    Raises:
        ExportRefusedError: The journal has no such run, or no such category or endpoint in it, or
            rows of several endpoints of which none was chosen.
    """
    run = _run(reader, selection)
    held: dict[str, _DecodedListing] = {}
    for visit in reader.visits(run.id if run else ALL_RUNS):
        if not selection.cats or visit.listing.cat_id in selection.cats:
            held.setdefault(visit.listing.endpoint, _DecodedListing()).add(visit)
    where = f"run {run.id} of the journal" if run else "the journal"
    if not held:
        _check_cats(selection.cats, where)
    endpoint = choose(held, selection.endpoint, where)
    found = held.get(endpoint.name, _DecodedListing())
    _check_cats(selection.cats - found.cats, where)
    return Scope(
        run=run,
        since=selection.since.timestamp() if selection.since else 0.0,
        cats=selection.cats,
        unique=selection.unique,
        endpoint=endpoint,
        pages=found.pages,
        unfinished=found.unfinished,
        failed=found.failed,
    )


def everything(run: RunInfo, endpoint: Endpoint) -> Scope:
    """All pages of an endpoint that a run has, which may be none."""
    return Scope(
        run=run,
        since=0.0,
        cats=frozenset(),
        unique=False,
        endpoint=endpoint,
        pages=0,
        unfinished=0,
        failed=0,
    )


def _run(reader: JournalReader, selection: Selection) -> RunInfo | None:
    runs = reader.runs()
    if selection.run == ALL_RUNS or (selection.run is None and selection.since is not None):
        return None
    if selection.run is None:
        return runs[-1] if runs else None
    for run in runs:
        if run.id == selection.run:
            return run
    held = ", ".join(str(run.id) for run in runs[-10:]) or "none"
    raise ExportRefusedError(f"{reader.path} has no run {selection.run}: its latest are {held}")


def _check_cats(missing: Iterable[int | None], where: str) -> None:
    names = ", ".join(str(cat_id) for cat_id in sorted(missing, key=str)[:10])
    if names:
        raise ExportRefusedError(f"there is nothing of category {names} in {where}")


def chunks(
    reader: JournalReader, found: Scope, *, tick: Callable[[int], None] = lambda _: None
) -> Iterator[Chunk]:
    """Read and decode what is wanted, streamed.

    For unique items the pages are read twice; in between, a temporary SQLite database holds the
    place of the latest sighting of each item (on disk beyond a small cache), and then one byte for
    each row is held in memory.

    Args:
        reader: The journal.
        found: What is wanted of it.
        tick: Called with the number of pages now and then while nothing is yielded.

    Raises:
        JournalError: A page cannot be read.
    """
    if not found.unique:
        yield from _chunks(reader, found)
        return
    latest, last = _latest(reader, found, tick)
    row = 0
    for chunk in _chunks(reader, found, until=last):
        for n, items in enumerate(chunk.items):
            kept = [i for i in range(len(items)) if latest[row + i]]
            row += len(items)
            if len(kept) < len(items):
                chunk.items[n] = [items[i] for i in kept]
                chunk.positions[n] = [chunk.positions[n][i] for i in kept]
        yield chunk


def _chunks(reader: JournalReader, found: Scope, until: int | None = None) -> Iterator[Chunk]:
    waiting: list[StoredPage] = []
    for page in _pages(reader, found):
        if until is not None and page.seq > until:
            break  # committed since the latest sightings were looked for
        waiting.append(page)
        if len(waiting) >= CHUNK_PAGES:
            yield _decoded(waiting, reader, found.endpoint)
            waiting = []
    if waiting:
        yield _decoded(waiting, reader, found.endpoint)


def _pages(reader: JournalReader, found: Scope) -> Iterator[StoredPage]:
    run = found.run.id if found.run else ALL_RUNS
    only = next(iter(found.cats)) if len(found.cats) == 1 else None
    for page in reader.pages(run=run, since=found.since, cat_id=only):
        if page.listing.endpoint == found.endpoint.name and (
            len(found.cats) < 2 or page.listing.cat_id in found.cats  # noqa: PLR2004 - see above
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
            chunk.positions[-1] = [n for n in range(len(items) + len(gaps)) if n not in gaps]
    return chunk


_SIGHTINGS = "CREATE TABLE seen (item_id INTEGER PRIMARY KEY, row INTEGER NOT NULL)"


def _latest(
    reader: JournalReader, found: Scope, tick: Callable[[int], None]
) -> tuple[bytearray, int]:
    """For each row whether it is its item's latest sighting; and the last page looked at."""
    rows = last = 0
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = -65536")
        database.execute(_SIGHTINGS)
        database.execute("BEGIN")
        for chunk in _chunks(reader, found):
            ids = [item.item_id for items in chunk.items for item in items]
            seen = zip(ids, range(rows, rows + len(ids)), strict=True)
            database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", seen)
            rows += len(ids)
            last = chunk.pages[-1].seq
            tick(len(chunk.pages))
        latest = bytearray(rows)
        for (row,) in database.execute("SELECT row FROM seen"):
            latest[row] = 1
    return latest, last
