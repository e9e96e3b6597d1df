"""Reading and decoding of the selected pages of a journal.

Pages are read and decoded once for all destinations, in the order of their commits: the latest
sighting of an item is therefore the last one. Reading works while a harvest writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from tmapi_async.api.decoding import Success, decoder, field_decoder
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.rows import Origin, name_products
from tmapi_async.api.values import Reject
from tmapi_async.errors import BodyError, CorruptJournalError
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import StoredPage

from .detail_tables.elements import DetailTable
from .selection import ALL_RUNS, FigureSums, Scope, ended_figures, selected_visits

CHUNK_PAGES = 16
"""Pages decoded at once: some 300 items, which stay in the cache of the processor (400 KB) until
their columns are taken."""

_CHUNK_BYTES = 1 << 24
"""Bytes of bodies after which a chunk ends earlier; usual pages have a tenth of that."""

GROUP_ROWS = 50_000
"""Rows of a group of listings. A larger listing is a group of its own."""


class GroupListing(msgspec.Struct):
    """Visits of a listing and of its parts.

    Attributes:
        visits: For each scope, numbers of the visits.
        rows: Number of their items.
        distinct: True if each visit has ended, and recorded that it has no item twice and no
            reject.
    """

    visits: list[list[int]]
    rows: int = 0
    distinct: bool = True


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
        JournalError: A page cannot be read, or the pages do not agree with the figures of the
            journal.
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
    read = FigureSums()
    # Until the last page of the first reading: later ones were committed meanwhile.
    pages = _pages(reader, scope, until=until)
    yield from _chunks_of(pages, reader, scope, read)
    if until is None:
        check_figures(reader, scope, read)


def _chunks_of(
    pages: Iterable[StoredPage],
    reader: JournalReader,
    scope: Scope,
    read: FigureSums,
    columns: frozenset[str] | None = None,
) -> Iterator[Chunk]:
    """Decode pages in chunks, and add the figures of the ended visits among them to `read`."""
    pending: list[StoredPage] = []
    size = 0
    for page in pages:
        pending.append(page)
        size += len(page.body)
        if page.visit in scope.ended:
            read.add(1, page.items + page.rejects)
        if len(pending) >= CHUNK_PAGES or size >= _CHUNK_BYTES:
            yield _decoded(pending, reader, scope.endpoint, columns)
            pending, size = [], 0
    if pending:
        yield _decoded(pending, reader, scope.endpoint, columns)


def read_range(
    reader: JournalReader, scope: Scope, after: int, until: int, ended: FigureSums
) -> Iterator[Chunk]:
    """Read and decode the selected pages of a range, for a scope without `unique`.

    Args:
        reader: The journal.
        scope: The pages to read.
        after: Number before that of the first page.
        until: Number of the last page.
        ended: Figures of the ended visits among them, which this function adds to.

    Raises:
        JournalError: A page cannot be read.
    """
    yield from _chunks_of(_pages(reader, scope, after, until), reader, scope, ended)


def read_by_listing(
    reader: JournalReader,
    scopes: Sequence[Scope],
    roots: dict[str, str],
    columns: frozenset[str] | None = None,
) -> Iterator[list[Iterator[Chunk]]]:
    """Read and decode the selected pages in groups of whole listings.

    A consumer that has to see all rows of a listing at once then needs the memory of one group. The
    listings are in the order of their first visits, so that the pages of a group are close in the
    file.

    Args:
        reader: The journal.
        scopes: Parts of the journal to read side by side, without `since` and `unique`.
        roots: Identity of a part -> identity of the divided listing that it belongs to.
        columns: Columns of the items that are needed, which takes less time; None for all.

    Yields:
        For each group, the chunks of each scope. Read all of them before the next group.

    Raises:
        JournalError: A page cannot be read, or the pages do not agree with the figures of the
            journal.
    """
    read = [FigureSums() for _ in scopes]
    for group in listing_groups(reader, scopes, roots):
        yield read_group(reader, scopes, group, read, columns)
    for scope, figures in zip(scopes, read, strict=True):
        check_figures(reader, scope, figures)


def read_group(
    reader: JournalReader,
    scopes: Sequence[Scope],
    group: Sequence[GroupListing],
    ended: Sequence[FigureSums],
    columns: frozenset[str] | None = None,
) -> list[Iterator[Chunk]]:
    """Read and decode the pages of a group of listings; return the chunks of each scope.

    Args:
        reader: The journal.
        scopes: Parts of the journal to read side by side.
        group: The listings of the group; see `listing_groups`.
        ended: For each scope, figures of the ended visits, which reading adds to.
        columns: Columns of the items that are needed, which takes less time; None for all.
    """
    return [
        _chunks_of(reader.pages_of(visits), reader, scope, figures, columns)
        for scope, visits, figures in zip(scopes, _joined(group), ended, strict=True)
    ]


def _joined(group: Sequence[GroupListing]) -> Iterator[list[int]]:
    """Yield the visits of all listings of a group, for each scope."""
    for visits in zip(*(listing.visits for listing in group), strict=True):
        yield list(chain.from_iterable(visits))


def listing_groups(
    reader: JournalReader, scopes: Sequence[Scope], roots: dict[str, str]
) -> Iterator[list[GroupListing]]:
    """Yield groups of listings.

    Args:
        reader: The journal.
        scopes: Parts of the journal to read side by side.
        roots: Identity of a part -> identity of the divided listing that it belongs to.
    """
    listings: dict[str, GroupListing] = {}
    for number, scope in enumerate(scopes):
        for visit in selected_visits(reader, scope):
            identity = visit.listing.identity
            root = roots.get(identity, identity)
            listing = listings.setdefault(root, GroupListing([[] for _ in scopes]))
            listing.rows += visit.items
            listing.visits[number].append(visit.id)
            listing.distinct &= (
                visit.id in scope.ended and not visit.rejects and visit.unique_items == visit.items
            )
    group: list[GroupListing] = []
    rows = 0
    for listing in listings.values():
        if rows and rows + listing.rows > GROUP_ROWS:
            yield group
            group, rows = [], 0
        rows += listing.rows
        group.append(listing)
    yield group


def check_figures(reader: JournalReader, scope: Scope, read: FigureSums) -> None:
    """Compare the pages that were read with the figures that the ended visits recorded.

    SQLite does not notice every damage: a page of the file may be read as one with fewer rows.

    Raises:
        CorruptJournalError: Pages are missing, or there are too many.
    """
    if scope.since or read == scope.figures:
        return
    if ended_figures(reader, scope) != scope.figures:
        return  # a harvest has continued one of the visits meanwhile
    raise CorruptJournalError(
        reader.path,
        f"{read.rows:,} rows on {read.pages:,} pages were read, but the finished listings have "
        f"{scope.figures.rows:,} rows on {scope.figures.pages:,} pages",
    )


def _pages(
    reader: JournalReader, scope: Scope, after: int = 0, until: int | None = None
) -> Iterator[StoredPage]:
    run = scope.run.id if scope.run else ALL_RUNS
    cats = scope.cats
    # SQLite filters by a single category; several are filtered here.
    cat_id = next(iter(cats)) if len(cats) == 1 else None
    for page in reader.pages(
        run=run, visits=scope.visits, since=scope.since, cat_id=cat_id, after=after, until=until
    ):
        if page.listing.endpoint == scope.endpoint.name and (
            not cats or cat_id is not None or page.listing.cat_id in cats
        ):
            yield page


def _decoded(
    pages: list[StoredPage],
    reader: JournalReader,
    endpoint: Endpoint,
    columns: frozenset[str] | None = None,
) -> Chunk:
    """Decode pages: all of each row, or only these columns of the rows that are as usual."""
    chunk = Chunk(endpoint, pages, [], [])
    decode = decoder(endpoint.name).decode
    fields = None if columns is None else field_decoder(endpoint.name, columns)
    for page in pages:
        narrow = None if fields is None or page.rejects else fields.decode(page.body)
        if narrow is not None and len(narrow) == page.items:
            chunk.items.append(narrow)
            chunk.positions.append(range(len(narrow)))
            continue
        items, rejects = decode_page(page, decode, reader)
        chunk.items.append(items)
        chunk.positions.append(range(len(items)))
        if rejects:
            gaps = {reject.position for reject in rejects}
            chunk.rejects += len(gaps)
            rows = range(len(items) + len(gaps))
            chunk.positions[-1] = [position for position in rows if position not in gaps]
    if isinstance(endpoint, DetailTable):
        chunk.items = list(map(endpoint.elements, chunk.items))
        chunk.positions = [range(len(items)) for items in chunk.items]
    return chunk


def decode_page(
    page: StoredPage,
    decode: Callable[[bytes], tuple[Success[Any], list[Reject]]],
    reader: JournalReader,
) -> tuple[list[Any], list[Reject]]:
    """Return the items and the rejects of a page: as many as when the page was stored.

    Args:
        page: The page.
        decode: Decodes all of each row; see `decoder`.
        reader: The journal.

    Raises:
        BodyError: The page cannot be read, or has another number of rows.
    """
    try:
        success, rejects = decode(page.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(reader.path, f"{page.listing} page {page.number}: {error}") from None
    items = success.data.items
    name_products(page.listing, items)
    if len(items) + len(rejects) != page.items + page.rejects:
        raise BodyError(
            reader.path,
            f"{page.listing} page {page.number}: {len(items) + len(rejects)} rows in the body, "
            f"{page.items + page.rejects} were counted when the page was stored",
        )
    return items, rejects


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
            ids = [item.row_id for items in chunk.items for item in items]
            sightings = zip(ids, range(rows, rows + len(ids)), strict=True)
            database.executemany("INSERT OR REPLACE INTO sightings VALUES (?, ?)", sightings)
            rows += len(ids)
            last_page = chunk.pages[-1].seq
            on_pages(len(chunk.pages))
        is_latest = bytearray(rows)
        for (row,) in database.execute("SELECT row FROM sightings"):
            is_latest[row] = 1
    return is_latest, last_page
