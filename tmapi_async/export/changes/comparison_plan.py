"""Comparison of two visits of each listing, group by group, in one process or in several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pyarrow as pa

from tmapi_async.export.chunks import Chunk, check_figures, read_group
from tmapi_async.export.parallel.part_workers import PartWorkers
from tmapi_async.export.selection import FigureSums, Scope
from tmapi_async.journal.reader import JournalReader

from .diff import COMPARED, ChangeCounts, add_counts, compare
from .sightings import ItemPairs, Sightings


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
        groups: Groups of listings: for each scope, the visits that belong to them.
        roots: Identity of a part -> identity of the divided listing that it belongs to.
        complete_before: Identities of the listings that the earlier visit read completely.
        complete_both: Identities of the listings that both visits read completely.
    """

    path: Path
    scopes: list[Scope]
    groups: list[list[list[int]]]
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
        chunks = read_group(reader, self.scopes, self.groups[number], ended, COMPARED)
        before, after = (self._sightings(side) for side in chunks)
        pairs = ItemPairs(before, after, self.complete_before, self.complete_both)
        changes = compare(pairs, self.scopes[0].endpoint)
        counts: dict[str, ChangeCounts] = {}
        add_counts(counts, before, after, changes)
        yield GroupChanges(_message(changes), counts, pairs.unsure, ended)

    def _sightings(self, chunks: Iterator[Chunk]) -> Sightings:
        """Return the latest sighting of each item."""
        sightings = Sightings()
        for chunk in chunks:
            for page, items in zip(chunk.pages, chunk.items, strict=True):
                # An item may be in another part in the next run: price bands are chosen anew.
                identity = page.listing.identity
                sightings.add(self.roots.get(identity, identity), page.listing.cat_id, items)
        return sightings

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
