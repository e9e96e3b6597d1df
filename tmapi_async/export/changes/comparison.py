"""Comparison of two runs of a journal."""

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
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.endpoint_choice import choose_endpoint
from tmapi_async.export.selection import whole_run
from tmapi_async.export.semantics import semantic_column
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import RunInfo

from .diff import (
    SIGHTING,
    ChangeCounts,
    compare,
    count_changes,
    latest_sightings,
    undivided_listings,
)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Differences between two runs.

    Attributes:
        before: The earlier run.
        after: The later run.
        changes: One row for each item that changed (`CHANGE`).
        change_counts: Number of changes by category, or by listing if it has no category.
        unsure: Items of one run only that count neither as new nor as gone, because their listing
            was not read completely.
        partial: Listings that at least one of the runs did not read completely: walked to the
            server's end, with every row decoded.
        listings: Listings of either run.
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
        """Number of changes in all categories."""
        names = ChangeCounts.__struct_fields__
        return ChangeCounts(
            *(sum(getattr(c, name) for c in self.change_counts.values()) for name in names)
        )


def compare_runs(
    journal: str | Path,
    *,
    before: int | None = None,
    after: int | None = None,
    cats: Collection[int] = (),
    endpoint: str | None = None,
) -> Comparison:
    """Compare two runs of a journal. Needs memory for one short row per item of both runs.

    Args:
        journal: File of the journal; a harvest may be writing to it.
        before: Number of the earlier run; None for the one before `after`.
        after: Number of the later run; None for the latest.
        cats: Only these categories; empty for all.
        endpoint: Short or full name of the endpoint to compare; None if there is only one.

    Raises:
        JournalError: The journal cannot be read.
        ExportRefusedError: The journal does not have two such runs, or no such category or
            endpoint, or rows of several endpoints and no endpoint was chosen.
    """
    categories = frozenset(cats)
    with JournalReader(journal) as reader:
        runs = _two_runs(reader, before, after)
        compared = _endpoint(reader, runs, categories, endpoint)
        old, new = (_sightings(reader, run, categories, compared) for run in runs)
        states = [_listing_states(reader, run, categories, compared) for run in runs]
    complete_before, complete_after = (
        {name for name, state in run.items() if state == "complete"} for run in states
    )
    complete = complete_before & complete_after
    changes, unsure = compare(old, new, complete_before=complete_before, complete_both=complete)
    listings = states[0].keys() | states[1].keys()
    return Comparison(
        before=runs[0],
        after=runs[1],
        changes=changes,
        change_counts=count_changes(old, new, changes),
        unsure=unsure,
        partial=len(listings - complete),
        listings=len(listings),
    )


def _two_runs(
    reader: JournalReader, before: int | None, after: int | None
) -> tuple[RunInfo, RunInfo]:
    runs = {run.id: run for run in reader.runs()}
    latest = ", ".join(str(number) for number in list(runs)[-10:]) or "none"
    for number in (before, after):
        if number is not None and number not in runs:
            raise ExportRefusedError(
                f"{reader.path} has no run {number}: its latest runs are {latest}"
            )
    later = after if after is not None else max(runs, default=None)
    older = [number for number in runs if later is not None and number < later]
    earlier = before if before is not None else max(older, default=None)
    if earlier is None or later is None:
        raise ExportRefusedError(
            f"changes need two runs, and {reader.path} has {len(runs)}: "
            "make another one by `tmapi harvest ... --refresh`"
        )
    if earlier >= later:
        raise ExportRefusedError(f"run {earlier} is not earlier than run {later}")
    return runs[earlier], runs[later]


def _endpoint(
    reader: JournalReader,
    runs: tuple[RunInfo, RunInfo],
    cats: frozenset[int],
    requested: str | None,
) -> Endpoint:
    """Choose the endpoint to compare; one of the runs may have no row of this endpoint."""
    available = {
        visit.listing.endpoint
        for run in runs
        for visit in reader.visits(run.id)
        if not cats or visit.listing.cat_id in cats
    }
    source = f"runs {runs[0].id} and {runs[1].id}"
    if cats and not available:
        names = ", ".join(map(str, sorted(cats)[:10]))
        raise ExportRefusedError(f"neither of {source} has a listing of category {names}")
    return choose_endpoint(available, requested, f"the journal in {source}")


def _sightings(
    reader: JournalReader, run: RunInfo, cats: frozenset[int], endpoint: Endpoint
) -> pa.Table:
    """Return the latest sighting of each item; a run may lack a category of the other run."""
    conversions, batches = Conversions(), list[pa.RecordBatch]()
    selected, roots = pa.array(sorted(cats), pa.int64()), reader.roots()
    for chunk in read_chunks(reader, whole_run(reader, run, endpoint)):
        batch = _sighting_batch(record_batch(chunk, conversions), roots)
        batches.append(
            batch.filter(pc.is_in(batch["cat_id"], value_set=selected)) if cats else batch
        )
    return latest_sightings(pa.Table.from_batches(batches, schema=SIGHTING))


def _sighting_batch(batch: pa.RecordBatch, roots: dict[str, str]) -> pa.RecordBatch:
    keys = [undivided_listings(batch["listing"], roots), batch["cat_id"], batch["item_id"]]
    values = [semantic_column(batch, name) for name in ("title", "price", "sold")]
    return pa.RecordBatch.from_arrays([*keys, *values], schema=SIGHTING)


def _listing_states(
    reader: JournalReader, run: RunInfo, cats: frozenset[int], endpoint: Endpoint
) -> dict[str, str]:
    """Return the identity and state of each listing of a run.

    A listing with rejects has the state "rejects": a row that was not decoded may be any item.
    """
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


def largest_changes(changes: pa.Table, kind: str, limit: int) -> list[dict[str, Any]]:
    """Return the largest changes of a kind, largest first.

    Args:
        changes: Changes (`CHANGE`).
        kind: "dearer", "cheaper" or "sales"; the other kinds have no size.
        limit: Maximum number of rows.

    Returns:
        Rows as dicts; amounts as `Decimal`.
    """
    rows = changes.filter(pc.equal(changes["change"], kind))
    largest: list[dict[str, Any]] = rows.sort_by([_ORDER[kind]]).slice(0, limit).to_pylist()
    return largest
