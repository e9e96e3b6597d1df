"""Read a journal, also while another process writes to it.

Pages are read in the order of their commits, by short queries. A long read transaction would keep
SQLite from copying the write-ahead log back into the file, and the log would grow without bound.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, Unpack

import msgspec

from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.listings import Listing
from tmapi_async.errors import BodyError, CorruptJournalError
from tmapi_async.errors.argument_checks import check_path

from .compression import Decoder, decompress_category
from .lock import writer_pid
from .parts import fold_parts
from .plan import Plan, PlanOptions, make_plan, sum_pages
from .records import EMPTY_TOTALS, Totals, page_number
from .resume import decode_stored
from .schema import connect, verify
from .stored_pages import page_of_row, pages_of_visit, read_listing
from .summaries.costs import PageCosts, RunCost, failed_page_costs, run_costs
from .summaries.sizes import ListingSize, ended_sizes, listing_sizes
from .tables import typed_queries as queries
from .tables.damaged_values import damage_named, translated
from .tables.typed_queries import Query
from .views import (
    Division,
    FailedPage,
    ListingVisits,
    RunInfo,
    StartInfo,
    StoredPage,
    StoredReject,
    Tick,
    TreeInfo,
    VisitInfo,
    tick_of_row,
)

_CHUNK = 256
_COST_CHUNK = 4096
_MAX_CACHED_VISITS = 10_000


class JournalReader:
    """A journal open for reading. Use it in `with`, or `close` it. One thread at a time may use it.

    Args:
        path: The journal's file.

    Raises:
        JournalError: The journal cannot be read. The subclass says why.
    """

    def __init__(self, path: str | Path) -> None:
        check_path("journal", path)
        self.path = Path(path).expanduser().resolve()
        self._connection = connect(self.path, writing=False)
        self._decoder = Decoder(self._connection, self.path)

    def close(self) -> None:
        """Close the journal."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<JournalReader {self.path}>"

    @property
    def writer(self) -> int | None:
        """Number of the process that writes to the journal, 0 if unknown, or None if none does."""
        return writer_pid(self.path)

    @damage_named
    def runs(self) -> list[RunInfo]:
        """Return the runs, oldest first."""
        runs: dict[int, RunInfo] = {}
        for number, started_at, ended_at, state, count in self._query(queries.RUNS):
            run = runs.get(number) or RunInfo(number, started_at / 1000, None, {})
            ended = max(run.ended_at or 0.0, (ended_at or 0) / 1000) or None
            states = {**run.states, state: count} if count else run.states
            runs[number] = msgspec.structs.replace(run, ended_at=ended, states=states)
        return [
            msgspec.structs.replace(run, ended_at=None) if run.states.get("open") else run
            for run in runs.values()
        ]

    @damage_named
    def starts(self) -> list[StartInfo]:
        """Return the starts (processes that wrote to the journal), oldest first."""
        starts = []
        for number, run, started_at, ended_at, stopped_by, host, version, pid in self._query(
            queries.STARTS
        ):
            ticks = self.ticks(number)
            starts.append(
                StartInfo(
                    number,
                    run,
                    started_at / 1000,
                    None if ended_at is None else ended_at / 1000,
                    stopped_by,
                    host,
                    version,
                    pid,
                    ticks[-1] if ticks else None,
                )
            )
        return starts

    @damage_named
    def ticks(self, start: int) -> list[Tick]:
        """Return the counts of a start over time, oldest first: at most about 720 ticks."""
        return [tick_of_row(*row) for row in self._query(queries.TICKS, start)]

    @damage_named
    def visits(self, run: int = 0) -> Iterator[VisitInfo]:
        """Yield the visits of a run (of all runs for 0), in the requested order."""
        after = 0
        while rows := self._query(queries.VISITS, after, run, _CHUNK):
            after = rows[-1][0]
            yield from map(self._visit, rows)

    def _visit(self, row: tuple[Any, ...]) -> VisitInfo:
        visit, run, endpoint, params, state, began_at, *figures = row
        pages, items, unique, rejects, last, total_count, kind, error, root, ended_at = figures
        listing = read_listing(endpoint, params)
        if state == "open":
            kind = error = None
            sums = self._sums(visit) if began_at is not None else EMPTY_TOTALS
            if not sums.pages:
                unique = 0
            elif pages != sums.pages:
                # The stored count of distinct items is older than the last page.
                unique = len(self._item_ids(visit, run, listing))
            pages, items, rejects, last = sums.pages, sums.items, sums.rejects, sums.last_page
        elif None in (pages, items, unique, rejects, last):
            raise CorruptJournalError(self.path, f"visit {visit} has ended and has no figures")
        return VisitInfo(
            id=visit,
            run=run,
            listing=listing,
            state=state,
            begun=began_at is not None,
            pages=pages,
            items=items,
            unique_items=unique,
            rejects=rejects,
            last_page=last,
            total_count=total_count,
            error_kind=kind,
            error=error,
            root=root,
            ended_at=None if ended_at is None or state == "open" else ended_at / 1000,
        )

    @damage_named
    def listings(self, run: int = 0) -> Iterator[VisitInfo]:
        """Yield the requested listings of a run (of all runs for 0).

        A divided listing has the figures of all its parts. The parts themselves are not yielded.
        """
        parts = self.visits(run) if self.has_parts else ()
        return fold_parts(self.visits(run), parts, self.divisions(), self.distinct)

    @damage_named
    def listing_visits(self) -> Iterator[ListingVisits]:
        """Yield the visits of each listing over all runs. Visits of parts are not yielded."""
        for _, visits in itertools.groupby(self._visits_by_listing(), key=lambda row: row[0]):
            rows = [(rank, visit) for _, _, visit, rank in visits]
            yield ListingVisits(tuple(visit for _, visit in rows), max(rows)[1])

    def _visits_by_listing(self) -> Iterator[tuple[int, int, int, int]]:
        after = (0, 0)
        while rows := self._query(queries.VISITS_BY_LISTING, *after, _CHUNK):
            after = rows[-1][:2]
            yield from rows

    @property
    def has_parts(self) -> bool:
        """True if a listing of the journal was divided."""
        return bool(self._query(queries.HAS_PARTS))

    @damage_named
    def divisions(self) -> list[Division]:
        """Return the results of divided listings, as far as their division has ended."""
        return [
            Division(root, bool(complete), *figures)
            for root, complete, *figures in self._query(queries.DIVISIONS)
        ]

    @damage_named
    def roots(self) -> dict[str, str]:
        """Return a map: identity of each part -> identity of the divided listing."""
        return dict(self._query(queries.ROOTS))

    @damage_named
    def distinct(self, visits: Iterable[VisitInfo]) -> int:
        """Return the number of distinct items of several visits together. Reads all their pages."""
        item_ids: set[int] = set()
        for visit in visits:
            item_ids |= self._item_ids(visit.id, visit.run, visit.listing)
        return len(item_ids)

    @damage_named
    def pages(
        self,
        *,
        run: int = 0,
        visits: Container[int] | None = None,
        cat_id: int | None = None,
        since: float = 0.0,
        after: int = 0,
        until: int | None = None,
    ) -> Iterator[StoredPage]:
        """Yield the stored pages, in the order of their commits.

        Args:
            run: Only pages of this run; 0 for all.
            visits: Only pages of these visits; None for all.
            cat_id: Only pages of listings of this category; None for all.
            since: Only pages fetched at this time or later, seconds since 1970.
            after: Only pages with a larger `seq`, to continue an earlier reading.
            until: Only pages up to this `seq`; None for all.

        Yields:
            One page at a time. Memory does not grow with the number of pages.

        Raises:
            BodyError: A body is damaged.
        """
        earliest = round(since * 1000)
        cache: dict[int, tuple[int, Listing]] = {}
        while until is None or after < until:
            most = _CHUNK if until is None else min(_CHUNK, until - after)
            if not (rows := self._query(queries.PAGES_AFTER, after, earliest, most)):
                return
            after = rows[-1][0]
            for row in rows:
                if until is not None and row[0] > until:
                    return
                if visits is not None and row[1] not in visits:
                    continue
                number, listing = cache.get(row[1]) or self._look_up(row[1], cache)
                if run in (0, number) and (cat_id is None or listing.cat_id == cat_id):
                    yield page_of_row(row, number, listing, self._decoder)

    @damage_named
    def last_page(self) -> int:
        """Return the `seq` of the page that was committed last, 0 if there is none."""
        return int(self._query(queries.LAST_PAGE)[0][0] or 0)

    @damage_named
    def pages_of(self, visits: Iterable[int]) -> Iterator[StoredPage]:
        """Yield the stored pages of some visits, in the order of their commits.

        Args:
            visits: Numbers of the visits. Memory grows by 32 bytes for each of their pages.

        Yields:
            One page at a time.

        Raises:
            BodyError: A body is damaged.
        """
        cache: dict[int, tuple[int, Listing]] = {}
        numbers = [
            seq for visit in visits for (seq,) in self._query(queries.NUMBERS_OF_VISIT, visit)
        ]
        numbers.sort()
        size = queries.NUMBERED_PAGES
        for start in range(0, len(numbers), size):
            chunk = numbers[start : start + size]
            chunk += [0] * (size - len(chunk))  # no page has the number 0
            for row in self._query(queries.PAGES_NUMBERED, *chunk):
                number, listing = cache.get(row[1]) or self._look_up(row[1], cache)
                yield page_of_row(row, number, listing, self._decoder)

    def _look_up(self, visit: int, visits: dict[int, tuple[int, Listing]]) -> tuple[int, Listing]:
        if len(visits) >= _MAX_CACHED_VISITS:
            visits.clear()
        rows = self._query(queries.VISIT, visit)
        if not rows:
            raise CorruptJournalError(
                self.path, f"a page belongs to visit {visit}, which is missing"
            )
        run, endpoint, params = rows[0]
        visits[visit] = run, read_listing(endpoint, params)
        return visits[visit]

    @damage_named
    def rejects(self, run: int = 0) -> Iterator[StoredReject]:
        """Yield the undecodable rows of a run (of all runs for 0), in commit order."""
        after = (0, -1)
        while rows := self._query(queries.REJECTS, *after, run, _CHUNK):
            after = rows[-1][:2]
            for seq, position, endpoint, params, number, *rest in rows:
                listing = read_listing(endpoint, params)
                yield StoredReject(seq, position, listing, page_number(number), *rest)

    @damage_named
    def failed_pages(self, run: int = 0) -> list[FailedPage]:
        """Return the pages of a run (of all runs for 0) that failed."""
        return [
            FailedPage(number, read_listing(endpoint, params), *rest)
            for number, endpoint, params, *rest in self._query(queries.FAILED_PAGES, run)
        ]

    @damage_named
    def costs(self) -> list[RunCost]:
        """Return the cost of each run in requests. Reads all pages, without their bodies."""
        failed = map(failed_page_costs, self.failed_pages())
        return run_costs(self.starts(), itertools.chain(self._page_costs(), failed))

    def _page_costs(self) -> Iterator[PageCosts]:
        cache: dict[int, tuple[int, Listing]] = {}
        after = 0
        while rows := self._query(queries.PAGE_COSTS, after, _COST_CHUNK):
            after = max(row[0] for row in rows)
            for _, visit, run, *figures in rows:
                _, listing = cache.get(visit) or self._look_up(visit, cache)
                yield PageCosts(run, listing, *figures)

    @damage_named
    def plan(self, listings: Iterable[Listing], **options: Unpack[PlanOptions]) -> Plan:
        """Return the work of a start that requests these listings. Nothing is written.

        Args:
            listings: Requested listings. Repeated listings count once.
            **options: Options of the plan.
        """
        return make_plan(self._connection, listings, **options)

    @damage_named
    def sizes(self, plan: Plan) -> list[ListingSize]:
        """Return the sizes of the unfinished listings of a plan, as far as they are known."""
        with translated(self.path):
            return list(listing_sizes(self._connection, plan.unfinished))

    @damage_named
    def ended_sizes(self, endpoint: str) -> dict[int, int]:
        """Return a map: pages -> number of visits of an endpoint that ended with so many pages."""
        with translated(self.path):
            return ended_sizes(self._connection, endpoint)

    @damage_named
    def tree(self) -> TreeInfo | None:
        """Return a summary of the category tree in the journal, or None if there is none."""
        answers, oldest, latest = self._query(queries.TREE)[0]
        if not answers:
            return None
        broken_off = self._query(queries.BROKEN_OFF)[0][0] > 0
        return TreeInfo(answers, oldest / 1000, latest / 1000, broken_off)

    def category_answers(self) -> Iterator[tuple[int, bytes]]:
        """Yield the stored answers of the category tree: category (0: first level) and body."""
        for cat_id, frame in self._query(queries.CATEGORY_BODIES):
            yield cat_id, decompress_category(self.path, cat_id, frame)

    def verify(self) -> None:
        """Read and check the whole file, every body included.

        Raises:
            JournalError: `CorruptJournalError` or `BodyError`: the file is damaged.
        """
        verify(self._connection, self.path)
        for _ in itertools.chain(self.pages(), self.category_answers()):
            pass

    def _item_ids(self, visit: int, run: int, listing: Listing) -> set[int]:
        if listing.endpoint not in ENDPOINTS:
            return set()  # a newer version wrote it
        try:
            with translated(self.path):
                pages = pages_of_visit(self._connection, self._decoder, visit, run, listing)
                return decode_stored(pages).item_ids
        except BodyError:
            return set()  # the next start fails the listing; a reader shows the rest

    def _sums(self, visit: int) -> Totals:
        with translated(self.path):
            return sum_pages(self._connection, visit)

    def _query(self, query: Query, *values: object) -> list[Any]:
        with translated(self.path):
            return query.fetch(self._connection, *values)
