"""Comparison of two visits of each listing, group by group, in one process or in several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pyarrow as pa

from tmapi_async.api.listings import Listing
from tmapi_async.export.chunks import GroupListing, check_figures
from tmapi_async.export.parallel.part_workers import PartWorkers
from tmapi_async.export.selection import FigureSums, Scope
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import StoredPage

from .diff import ChangeCounts, add_counts, compare
from .item_reader import ItemReader, VisitDifferences
from .sightings import ItemPairs, Sightings

MOST_PAIRED_ROWS = 8000
"""Rows of both visits of a listing whose pages are paired: some of its pages are in memory."""


class GroupChanges(msgspec.Struct, frozen=True):
    """Changes in a group of listings.

    Attributes:
        changes: The changes, as a stream of Arrow.
        counts: Number of changes by category, or by listing if it has no category.
        unsure: Number of items of one visit only that count neither as new nor as gone.
        ended: For each scope, figures of the pages read.
    """

    changes: bytes
    counts: dict[str, ChangeCounts]
    unsure: int
    ended: list[FigureSums]

    @property
    def table(self) -> pa.Table:
        """The changes as a table."""
        with pa.ipc.open_stream(self.changes) as stream:
            return stream.read_all()


class ComparisonPlan(msgspec.Struct, frozen=True):
    """The visits to compare. Each group of listings is a part that one process compares.

    Attributes:
        path: The journal.
        scopes: The earlier and the later visits.
        groups: Groups of listings.
        roots: Identity of a part -> identity of the divided listing that it belongs to.
        complete_before: Identities of the listings that the earlier visit read completely.
        complete_both: Identities of the listings that both visits read completely.
    """

    path: Path
    scopes: list[Scope]
    groups: list[list[GroupListing]]
    roots: dict[str, str]
    complete_before: set[str]
    complete_both: set[str]

    @property
    def parts(self) -> int:
        """Number of groups."""
        return len(self.groups)

    def read(self, reader: JournalReader, number: int) -> Iterator[GroupChanges]:
        """Compare a group of listings."""
        ended = [FigureSums() for _ in self.scopes]
        before, after = self._sightings(reader, self.groups[number], ended)
        pairs = ItemPairs(before, after, self.complete_before, self.complete_both)
        changes = compare(pairs, self.scopes[0].endpoint)
        counts: dict[str, ChangeCounts] = {}
        add_counts(counts, before, after, changes)
        yield GroupChanges(_message(changes), counts, pairs.unsure, ended)

    def _sightings(
        self, reader: JournalReader, group: list[GroupListing], ended: list[FigureSums]
    ) -> tuple[Sightings, Sightings]:
        """Return the latest sighting of each item of a group, in both visits."""
        before, after = Sightings(), Sightings()
        items = ItemReader(reader, self.scopes[0].endpoint)
        for listing in group:
            earlier, later = (
                items.pages(scope, visits, figures)
                for scope, visits, figures in zip(self.scopes, listing.visits, ended, strict=True)
            )
            single = all(len(visits) == 1 for visits in listing.visits)
            if single and listing.distinct and listing.rows <= MOST_PAIRED_ROWS:
                self._add_differences(before, after, items.differences(earlier, later))
            else:
                self._add(before, earlier, items)
                self._add(after, later, items)
        return before, after

    def _add_differences(
        self, before: Sightings, after: Sightings, found: VisitDifferences
    ) -> None:
        for side, listing, items in zip((before, after), found.listings, found.items, strict=True):
            if listing is not None:
                side.add(self._root(listing), listing.cat_id, items, found.alike)

    def _add(self, side: Sightings, pages: Iterator[StoredPage], reader: ItemReader) -> None:
        for page in pages:
            side.add(self._root(page.listing), page.listing.cat_id, reader.items(page))

    def _root(self, listing: Listing) -> str:
        # An item may be in another part in the next run: price bands are chosen anew.
        return self.roots.get(listing.identity, listing.identity)

    def compare_all(self, reader: JournalReader, jobs: int) -> Iterator[GroupChanges]:
        """Compare all groups.

        Args:
            reader: The journal.
            jobs: Number of processes; 1 for this process alone.

        Raises:
            JournalError: A page cannot be read, or the pages do not agree with the figures of the
                journal.
        """
        read = [FigureSums() for _ in self.scopes]
        for group in self._groups(reader, min(jobs, self.parts)):
            for total, figures in zip(read, group.ended, strict=True):
                total.add(figures.pages, figures.rows)
            yield group
        for scope, figures in zip(self.scopes, read, strict=True):
            check_figures(reader, scope, figures)

    def _groups(self, reader: JournalReader, jobs: int) -> Iterator[GroupChanges]:
        if jobs > 1:
            with closing(PartWorkers(reader, self, jobs)) as workers:
                yield from workers.results()
        else:
            for number in range(self.parts):
                yield from self.read(reader, number)


def _message(changes: pa.Table) -> bytes:
    output = pa.BufferOutputStream()
    with pa.ipc.new_stream(output, changes.schema) as stream:
        stream.write_table(changes)
    return bytes(output.getvalue())
