"""Comparison of two visits of each listing of a journal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.argument_checks import check_type
from tmapi_async.errors.run_numbers import missing_run
from tmapi_async.export.chunks import listing_groups
from tmapi_async.export.endpoint_choice import choose_endpoint, require_products
from tmapi_async.export.parallel.jobs import check_jobs, default_jobs
from tmapi_async.export.selection import Scope, chosen_visits, is_whole, whole_run
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import RunInfo, VisitInfo

from .change_store import ChangeStore
from .comparison_plan import ComparisonPlan
from .diff import CHANGE, ChangeCounts, merge_counts, sort_counts
from .visit_pairs import pair_visits


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Differences between two visits of each listing.

    Attributes:
        before: The earlier run, or None if the earlier visits are of several runs.
        after: The later run, or None if the later visits are of several runs.
        store: The changes, one row for each item that changed (`CHANGE`).
        change_counts: Number of changes by category, or by listing if it has no category.
        unsure: Items of one visit only that count neither as new nor as gone, because their listing
            was not read completely.
        partial: Listings that at least one of the visits did not read completely: walked to the
            server's end, with every row decoded.
        listings: Listings compared; if the runs were named, listings of either run.
        left_out: Listings that were not compared because they have one visit only.
        skipped: Listings with a later visit that was not walked to its end, and is not compared.
        runs_before: Runs of the earlier visits.
        runs_after: Runs of the later visits.
        named: True if whole runs were compared, because they were named.
    """

    before: RunInfo | None
    after: RunInfo | None
    store: ChangeStore
    change_counts: dict[str, ChangeCounts]
    unsure: int
    partial: int
    listings: int
    left_out: int = 0
    skipped: int = 0
    runs_before: tuple[int, ...] = ()
    runs_after: tuple[int, ...] = ()
    named: bool = False

    @property
    def changes(self) -> pa.Table:
        """All changes as one table in memory, ordered by listing, kind and item.

        `store.batches()` yields them in batches, which need little memory however many they are.
        """
        return self.store.table()

    def largest(self, kind: str, limit: int) -> list[dict[str, Any]]:
        """Return the largest changes of a kind, largest first.

        Args:
            kind: A kind of change. The largest new and gone items are those that sell most.
            limit: Maximum number of rows.

        Returns:
            Rows as dicts; amounts as `Decimal`.
        """
        largest: pa.Table = CHANGE.empty_table()
        for batch in self.store.batches():
            of_kind = pa.Table.from_batches([batch.filter(pc.equal(batch["change"], kind))])
            largest = pa.concat_tables([largest, of_kind]).sort_by([_ORDER[kind]]).slice(0, limit)
        rows: list[dict[str, Any]] = largest.to_pylist()
        return rows

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
    jobs: int | None = 1,
) -> Comparison:
    """Compare two visits of each listing. Memory does not grow with the number of items.

    By default the last two visits of each listing that were walked to the end are compared, in
    whichever runs they are. If a run is named, two whole runs are compared.

    Args:
        journal: File of the journal; a harvest may be writing to it.
        before: Number of the earlier run; None for the one before `after` if that is named.
        after: Number of the later run; None for the latest if `before` is named.
        cats: Only these categories; empty for all.
        endpoint: Short or full name of the endpoint to compare; None if there is only one.
        jobs: Number of processes that read and compare; 1 for this process alone, None for two
            processes if the journal is large.

    Raises:
        JournalError: The journal cannot be read.
        ExportRefusedError: The journal does not have two such runs, or no listing with two visits,
            or no such category or endpoint, or rows of several endpoints and no endpoint was
            chosen; or the number of processes makes no sense.
    """
    check_type("before", before, int, "the number of a run")
    check_type("after", after, int, "the number of a run")
    check_type("cats", cats, Collection, "a collection of category IDs", optional=False)
    check_type("endpoint", endpoint, str, "the name of an endpoint")
    check_jobs(jobs)
    with JournalReader(journal) as reader:
        comparer = _Comparer(reader, frozenset(cats), endpoint, jobs)
        if before is None and after is None:
            return comparer.compare_visits()
        return comparer.compare_whole_runs(*_two_runs(reader, before, after))


class _Comparer:
    """Compares what one journal holds of one endpoint.

    Args:
        reader: The journal.
        cats: Categories to compare; empty for all.
        requested: Name of the endpoint to compare, or None.
        jobs: Number of processes, or None to decide by the number of pages.
    """

    def __init__(
        self,
        reader: JournalReader,
        cats: frozenset[int],
        requested: str | None,
        jobs: int | None,
    ) -> None:
        self._reader = reader
        self._jobs = jobs
        self._cats = cats
        self._requested = requested

    def compare_visits(self) -> Comparison:
        """Compare the last two visits of each listing that were walked to the end."""
        reader = self._reader
        runs = {run.id: run for run in reader.runs()}
        if len(runs) < 2:  # noqa: PLR2004 - an earlier and a later one
            raise _too_few_runs(reader, len(runs))
        endpoint = self._endpoint(0, "the journal")
        visits = pair_visits(visit for visit in reader.listings() if self._has(visit, endpoint))
        if not visits.pairs:
            raise ExportRefusedError(
                f"no listing of {reader.path} has two visits: make another one by "
                "`tmapi harvest ... --refresh`"
            )
        pairs = visits.pairs
        scopes = [
            chosen_visits(reader, {pair[side].id for pair in pairs.values()}, endpoint)
            for side in (0, 1)
        ]
        whole_before = {name for name, (earlier, _) in pairs.items() if earlier.whole}
        whole_after = {name for name, (_, later) in pairs.items() if later.whole}
        runs_before, runs_after = visits.runs(0), visits.runs(1)
        return self._comparison(
            scopes,
            whole_before,
            whole_after,
            before=runs[runs_before[0]] if len(runs_before) == 1 else None,
            after=runs[runs_after[0]] if len(runs_after) == 1 else None,
            listings=len(pairs),
            partial=visits.partial,
            left_out=visits.once,
            skipped=visits.skipped,
            runs_before=runs_before,
            runs_after=runs_after,
        )

    def compare_whole_runs(self, before: RunInfo, after: RunInfo) -> Comparison:
        """Compare everything that two runs hold."""
        reader, runs = self._reader, (before, after)
        source = f"runs {before.id} and {after.id}"
        endpoint = self._endpoint((before.id, after.id), source)
        scopes = [whole_run(reader, run, endpoint, self._cats) for run in runs]
        whole: list[set[str]] = []
        listings: set[str] = set()
        for run in runs:
            visits = [visit for visit in reader.listings(run.id) if self._has(visit, endpoint)]
            listings.update(visit.listing.identity for visit in visits)
            whole.append({visit.listing.identity for visit in visits if is_whole(visit)})
        return self._comparison(
            scopes,
            *whole,
            before=before,
            after=after,
            listings=len(listings),
            partial=len(listings - (whole[0] & whole[1])),
            runs_before=(before.id,),
            runs_after=(after.id,),
            named=True,
        )

    def _comparison(
        self,
        scopes: Sequence[Scope],
        whole_before: set[str],
        whole_after: set[str],
        **figures: Any,
    ) -> Comparison:
        """Compare the listings of two scopes, group by group."""
        store, counts, unsure = ChangeStore(), dict[str, ChangeCounts](), 0
        reader, roots = self._reader, self._reader.roots()
        groups = list(listing_groups(reader, scopes, roots))
        whole_both = whole_before & whole_after
        plan = ComparisonPlan(reader.path, list(scopes), groups, roots, whole_before, whole_both)
        jobs = self._jobs or default_jobs(sum(scope.figures.pages for scope in scopes))
        for group in plan.compare_all(reader, jobs):
            store.add(group.table)
            merge_counts(counts, group.counts)
            unsure += group.unsure
        return Comparison(store=store, change_counts=sort_counts(counts), unsure=unsure, **figures)

    def _has(self, visit: VisitInfo, endpoint: Endpoint) -> bool:
        return visit.listing.endpoint == endpoint.name and (
            not self._cats or visit.listing.cat_id in self._cats
        )

    def _endpoint(self, runs: int | tuple[int, ...], source: str) -> Endpoint:
        """Choose the endpoint to compare; one of the runs may have no row of this endpoint."""
        numbers = (runs,) if isinstance(runs, int) else runs
        available = {
            visit.listing.endpoint
            for run in numbers
            for visit in self._reader.visits(run)
            if not self._cats or visit.listing.cat_id in self._cats
        }
        if self._cats and not available:
            names = ", ".join(map(str, sorted(self._cats)[:10]))
            found = source if isinstance(runs, int) else f"neither of {source}"
            verb = "has no" if isinstance(runs, int) else "has a"
            raise ExportRefusedError(f"{found} {verb} listing of category {names}")
        within = source if isinstance(runs, int) else f"the journal in {source}"
        endpoint = choose_endpoint(available, self._requested, within)
        require_products(endpoint, "a comparison")
        return endpoint


def _two_runs(
    reader: JournalReader, before: int | None, after: int | None
) -> tuple[RunInfo, RunInfo]:
    runs = {run.id: run for run in reader.runs()}
    for number in (before, after):
        if number is not None and number not in runs:
            raise ExportRefusedError(missing_run(reader.path, number, list(runs)))
    later = after if after is not None else max(runs, default=None)
    older = [number for number in runs if later is not None and number < later]
    earlier = before if before is not None else max(older, default=None)
    if earlier is None or later is None:
        raise _too_few_runs(reader, len(runs))
    if earlier >= later:
        raise ExportRefusedError(f"run {earlier} is not earlier than run {later}")
    return runs[earlier], runs[later]


def _too_few_runs(reader: JournalReader, number: int) -> ExportRefusedError:
    return ExportRefusedError(
        f"changes need two runs, and {reader.path} has {number}: "
        "make another one by `tmapi harvest ... --refresh`"
    )


_ORDER = {
    "new": ("sold_after", "descending"),
    "gone": ("sold_before", "descending"),
    "dearer": ("price_change_percent", "descending"),
    "cheaper": ("price_change_percent", "ascending"),
    "sales": ("sold_growth", "descending"),
}
