"""Changes since the visits before, for a report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.changes.comparison import Comparison, compare_runs
from tmapi_async.export.changes.diff import KINDS, ChangeCounts
from tmapi_async.export.selection import describe_runs
from tmapi_async.journal.views import RunInfo

from .item_ranking import RankedItem

MAX_CHANGES = 20
"""Changes of one kind that are shown."""

MAX_FIRST = 3
"""Best sellers with a lower price that stand at the top."""

ItemKey: TypeAlias = tuple[str, int]
"""Identity of a listing, and the ID of an item in it."""


class ChangeFacts(msgspec.Struct, frozen=True):
    """Changes since the visit before of each listing, or since the run before a chosen one.

    Attributes:
        before: Name of the run or runs of the earlier visits.
        total: Kind of change -> number of items.
        largest: The largest changes of each kind, kind after kind, as rows of `CHANGE`.
        of_items: Changes of the ranked items, as rows of `CHANGE`.
        counts: Number of changes by category, or by listing if it has no category.
        partial: Listings that at least one of the two visits did not read completely.
        left_out: Listings that were not compared: they have one visit only.
    """

    before: str
    total: dict[str, int]
    largest: list[dict[str, Any]]
    of_items: dict[ItemKey, dict[str, Any]]
    counts: dict[str, ChangeCounts]
    partial: int
    left_out: int

    def of(self, item: RankedItem) -> dict[str, Any] | None:
        """Return the change of an item, or None.

        The visits that are compared may be older than the shown one: such a change is left out.
        """
        change = self.of_items.get((item.listing, item.item_id))
        if change is None or change["price_after"] != item.price:
            return None
        return change

    def first(self, kind: str) -> list[dict[str, Any]]:
        """Return the first changes of a kind, as rows of `CHANGE`."""
        return [row for row in self.largest if row["change"] == kind][:MAX_FIRST]

    def cheaper(self, items: Iterable[RankedItem]) -> list[RankedItem]:
        """Return the best sellers with a lower price than before, those that sell most first."""
        best = {item.item_id: item for item in items if item.best}
        cheaper = [
            item
            for item in best.values()
            if (change := self.of(item)) and change["change"] == "cheaper"
        ]
        return sorted(cheaper, key=lambda item: -(item.sold or 0))[:MAX_FIRST]


def gather_changes(
    journal: Path | str,
    runs: list[RunInfo],
    run: int | None,
    endpoint: str,
    items: Iterable[RankedItem],
) -> ChangeFacts | None:
    """Compare the visits of a report with the ones before; return None if there are none.

    Args:
        journal: File of the journal.
        runs: Its runs.
        run: Number of the run, or None for the latest visits of each listing.
        endpoint: Name of the endpoint.
        items: Items whose changes are needed.

    Raises:
        JournalError: The journal cannot be read.
    """
    if len(runs) < 2 or run == runs[0].id:  # noqa: PLR2004 - a run and one before it
        return None
    try:
        comparison = compare_runs(journal, after=run, endpoint=endpoint)
    except ExportRefusedError:
        return None
    return ChangeFacts(
        before=describe_runs(comparison.runs_before),
        total={kind: getattr(comparison.total, kind) for kind in KINDS},
        largest=[row for kind in KINDS for row in comparison.largest(kind, MAX_CHANGES)],
        of_items=_changes_of(comparison, {(item.listing, item.item_id) for item in items}),
        counts=comparison.change_counts,
        partial=comparison.partial,
        left_out=comparison.left_out,
    )


def _changes_of(comparison: Comparison, keys: set[ItemKey]) -> dict[ItemKey, dict[str, Any]]:
    ids = pa.array(sorted({item_id for _, item_id in keys}), pa.int64())
    changes: dict[ItemKey, dict[str, Any]] = {}
    for batch in comparison.store.batches():
        for row in batch.filter(pc.is_in(batch["item_id"], value_set=ids)).to_pylist():
            key = (row["listing"], row["item_id"])
            if key in keys and row["change"] != "gone":
                changes[key] = row
    return changes
