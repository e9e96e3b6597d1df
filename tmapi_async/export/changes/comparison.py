"""Two runs of a journal, held against each other."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.arrow import record_batch
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.endpoint_choice import choose
from tmapi_async.export.selection import chunks, everything
from tmapi_async.export.semantics import meant
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import RunInfo

from .kinds import SIGHTING, ChangeCounts, change_counts, compare, latest, whole


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two runs.

    Attributes:
        before: The earlier run.
        after: The later run.
        changes: One row for each item that changed (`CHANGE`).
        tallies: How much changed, category by category (listing by listing, where it has none).
        unsure: Items that one run alone has, in listings that do not let us say why.
        partial: Listings that not both runs walked to the end that the server told, with every
            row read.
        listings: Listings that either run has.
    """

    before: RunInfo
    after: RunInfo
    changes: pa.Table
    change_counts: dict[str, ChangeCounts]
    unsure: int
    partial: int
    listings: int

    @property
    def total(self) -> ChangeCounts:
        """How much changed in all."""
        names = ChangeCounts.__struct_fields__
        return ChangeCounts(
            *(sum(getattr(t, name) for t in self.change_counts.values()) for name in names)
        )


def compare_runs(
    journal: str | Path,
    *,
    before: int | None = None,
    after: int | None = None,
    cats: Collection[int] = (),
    endpoint: str | None = None,
) -> Comparison:
    """Say what changed between two runs of a journal. Holds one row for each item of both.

    Args:
        journal: The journal's file; it may be written meanwhile.
        before: Number of the earlier run; None for the one before `after`.
        after: Number of the later run; None for the latest.
        cats: Only these categories; empty for all.
        endpoint: Short or full name of the endpoint whose rows are compared; None for the only one.

    Raises:
        JournalError: The journal cannot be read.
        ExportRefusedError: It does not have two such runs, or nothing
            of a category or endpoint, or rows of several endpoints of which none was chosen.
    """
    with JournalReader(journal) as reader:
        earlier, later = _two_runs(reader, before, after)
        wanted = frozenset(cats)
        of = _endpoint(reader, (earlier, later), wanted, endpoint)
        old, new = (_sightings(reader, run, wanted, of) for run in (earlier, later))
        walked = [_walked(reader, run, wanted, of) for run in (earlier, later)]
    ends = [{name for name, state in run.items() if state == "complete"} for run in walked]
    changes, unsure = compare(old, new, walked_before=ends[0], walked_both=ends[0] & ends[1])
    every = walked[0].keys() | walked[1].keys()
    return Comparison(
        before=earlier,
        after=later,
        changes=changes,
        change_counts=change_counts(old, new, changes),
        unsure=unsure,
        partial=len(every - (ends[0] & ends[1])),
        listings=len(every),
    )


def _two_runs(
    reader: JournalReader, before: int | None, after: int | None
) -> tuple[RunInfo, RunInfo]:
    runs = {run.id: run for run in reader.runs()}
    held = ", ".join(str(number) for number in list(runs)[-10:]) or "none"
    for number in (before, after):
        if number is not None and number not in runs:
            raise ExportRefusedError(f"{reader.path} has no run {number}: its latest are {held}")
    later = after if after is not None else max(runs, default=None)
    older = [number for number in runs if later is not None and number < later]
    earlier = before if before is not None else max(older, default=None)
    if earlier is None or later is None:
        raise ExportRefusedError(
            f"changes need two runs, and {reader.path} holds {len(runs)}: "
            "`tmapi harvest ... --refresh` makes another one"
        )
    if earlier >= later:
        raise ExportRefusedError(f"run {earlier} is not earlier than run {later}")
    return runs[earlier], runs[later]


def _endpoint(
    reader: JournalReader, runs: tuple[RunInfo, RunInfo], cats: frozenset[int], wanted: str | None
) -> Endpoint:
    """The endpoint whose rows are compared; one of the runs may have none of them."""
    held = {
        visit.listing.endpoint
        for run in runs
        for visit in reader.visits(run.id)
        if not cats or visit.listing.cat_id in cats
    }
    where = f"runs {runs[0].id} and {runs[1].id}"
    if cats and not held:
        names = ", ".join(map(str, sorted(cats)[:10]))
        raise ExportRefusedError(f"there is nothing of category {names} in {where}")
    return choose(held, wanted, where)


def _sightings(
    reader: JournalReader, run: RunInfo, cats: frozenset[int], endpoint: Endpoint
) -> pa.Table:
    """The latest sighting of each item of a run; a run may lack a category that the other has."""
    found = everything(run, endpoint)
    conversions, parts = Conversions(), list[pa.RecordBatch]()
    only, roots = pa.array(sorted(cats), pa.int64()), reader.roots()
    for chunk in chunks(reader, found):
        batch = record_batch(chunk, conversions)
        table = _compared(batch, roots)
        parts.append(table.filter(pc.is_in(table["cat_id"], value_set=only)) if cats else table)
    return latest(pa.Table.from_batches(parts, schema=SIGHTING))


def _compared(batch: pa.RecordBatch, roots: dict[str, str]) -> pa.RecordBatch:
    same = [whole(batch["listing"], roots), batch["cat_id"], batch["item_id"]]
    told = [meant(batch, name) for name in ("title", "price", "sold")]
    return pa.RecordBatch.from_arrays([*same, *told], schema=SIGHTING)


def _walked(
    reader: JournalReader, run: RunInfo, cats: frozenset[int], endpoint: Endpoint
) -> dict[str, str]:
    """Identity to state, of the listings of a run; a row that could not be read may be any item."""
    return {
        visit.listing.identity: "rejects" if visit.rejects else visit.state
        for visit in reader.listings(run.id)
        if visit.listing.endpoint == endpoint.name and (not cats or visit.listing.cat_id in cats)
    }


_ORDER = {
    "dearer": ("price_change_percent", "descending"),
    "cheaper": ("price_change_percent", "ascending"),
    "sales": ("sold_growth", "descending"),
}


def largest(changes: pa.Table, kind: str, most: int) -> list[dict[str, Any]]:
    """The largest changes of a kind, largest first.

    Args:
        changes: Changes (`CHANGE`).
        kind: "dearer", "cheaper" or "sales"; of the others none is larger.
        most: How many at most.

    Returns:
        Rows as dicts; money as `Decimal`.
    """
    rows = changes.filter(pc.equal(changes["change"], kind))
    found: list[dict[str, Any]] = rows.sort_by([_ORDER[kind]]).slice(0, most).to_pylist()
    return found
