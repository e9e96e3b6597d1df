"""Save every page that can be read from a damaged journal into a new one.

A page is saved if its body decodes, and its visit and its listing are known. Items, rejects and the
next page are read from the body again. A visit that lost a page is open in the new journal, so that
the next start requests only the missing pages.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.journal.compression import Decoder, decompress, decompress_category
from tmapi_async.journal.records import PAGE_CODE, page_number
from tmapi_async.journal.resume import decode_stored
from tmapi_async.journal.schema import connect, finish, transaction
from tmapi_async.journal.sqlite_errors import storage_errors_named
from tmapi_async.journal.stored_pages import pages_of_visit, read_listing
from tmapi_async.journal.tables.damaged_values import translated

from .damage import DAMAGE
from .damaged_rows import DamagedTables, open_damaged

MAX_NAMES = 50
"""Listings with lost pages that a result names. It counts all of them."""

_BATCH = 256
_MAX_INTEGER = 2**53
_STATES = ("open", "complete", "capped", "failed")
_REOPEN = """
UPDATE visit SET state = 'open', ended_at = NULL, pages = NULL, items = NULL, unique_items = NULL,
       rejects = NULL, last_page = NULL, error_kind = NULL, error = NULL,
       began_at = coalesce(began_at, (SELECT min(fetched_at) FROM page WHERE visit = visit.id))
WHERE id = ?
"""
_RECOUNT = "UPDATE visit SET items = ?, unique_items = ?, rejects = ? WHERE id = ?"
_SUMS = """
SELECT visit.id, visit.run, state, visit.pages, visit.items, visit.rejects, identity, endpoint,
       params, count(page.seq), coalesce(sum(page.items), 0), coalesce(sum(page.rejects), 0)
FROM visit JOIN listing ON listing.id = visit.listing LEFT JOIN page ON page.visit = visit.id
GROUP BY visit.id ORDER BY visit.id
"""


class RepairResult(msgspec.Struct):
    """Contents of the new journal, and what was lost.

    Attributes:
        listings: Visits saved: a listing counts once for each run.
        pages: Pages saved.
        items: Items on these pages.
        rejects: Rows on them that cannot be decoded.
        categories: Answers of the category tree saved.
        lost_listings: Visits lost with all their pages.
        lost_pages: Pages lost, as far as the journal can tell how many there were.
        lost_categories: Answers of the category tree lost.
        unreadable: Places of the file that cannot be read. Those of an index lose nothing.
        incomplete: Listings that lost pages and are open in the new journal.
        names: Descriptions of the first of them, at most `MAX_NAMES`.
    """

    listings: int = 0
    pages: int = 0
    items: int = 0
    rejects: int = 0
    categories: int = 0
    lost_listings: int = 0
    lost_pages: int = 0
    lost_categories: int = 0
    unreadable: int = 0
    incomplete: int = 0
    names: list[str] = []

    @property
    def lossless(self) -> bool:
        """True if nothing is known to be lost."""
        return not (
            self.lost_listings or self.lost_pages or self.lost_categories or self.incomplete
        )


def repair(
    path: Path, copy: Path, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> RepairResult:
    """Save every page that can be read into a new journal.

    Args:
        path: The damaged journal. It is not changed.
        copy: File to create. It must not exist.
        progress: Called with the number of saved pages, and of the pages known to the journal.

    Returns:
        The saved contents, and the losses.

    Raises:
        JournalError: The file is not recognised as a journal, or the new one cannot be written.
    """
    path = path.expanduser().resolve()
    with (
        translated(path),
        contextlib.closing(open_damaged(path)) as source,
        storage_errors_named(copy),
    ):
        target = connect(copy, writing=True)
        try:
            target.execute("PRAGMA synchronous = OFF")  # the caller syncs the whole file
            return _Repair(DamagedTables(source, path), target, copy, progress).run()
        finally:
            finish(target)


class _Repair:
    def __init__(
        self,
        tables: DamagedTables,
        target: sqlite3.Connection,
        copy: Path,
        progress: Callable[[int, int], None],
    ) -> None:
        self._tables = tables
        self._target = target
        self._copy = copy
        self._progress = progress
        self._decoder = Decoder(target, copy)
        self._listings: dict[int, Listing] = {}
        self._visits: dict[int, tuple[int, int]] = {}  # visit -> its run and its listing
        self._runs: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._version = ""
        self._host = ""
        self._latest = 0
        self._result = RepairResult()

    def run(self) -> RepairResult:
        with transaction(self._target):
            self._save_runs()
            self._save_listings()
            self._save_visits()
            self._save_dictionaries()
        self._save_pages()
        with transaction(self._target):
            self._save_small_tables()
            self._save_seams()
            self._save_categories()
            lost = self._lost_pages()
            self._settle_visits(lost)
        self._result.unreadable = self._tables.damages
        return self._result

    def _insert(self, table: str, *values: object) -> bool:
        """Insert a row. Return False if it breaks a rule of the table."""
        marks = ", ".join("?" * len(values))
        sql = f"INSERT OR IGNORE INTO {table} VALUES ({marks})"  # noqa: S608 - constants
        try:
            return self._target.execute(sql, values).rowcount > 0
        except (OverflowError, sqlite3.IntegrityError, sqlite3.InterfaceError):
            return False

    def _save_runs(self) -> None:
        for number, started_at, version in self._tables.rows("run"):
            if _count(started_at) and isinstance(version, str):
                self._add_run(number, started_at, version)
        for number, run, started_at, *rest in self._tables.rows("start"):
            ended_at, stopped_by, host, version, pid = rest
            if not (_count(run) and _count(started_at) and isinstance(host, str)):
                continue
            self._add_run(run, started_at, str(version))
            self._host = host
            if self._insert("start", number, run, started_at, _integer(ended_at),
                            _text(stopped_by), host, str(version), _integer(pid) or 0):  # fmt: skip
                self._starts[number] = run

    def _add_run(self, number: int, started_at: int, version: str) -> None:
        if number not in self._runs and self._insert("run", number, started_at, version):
            self._runs[number] = started_at
            self._version = version

    def _add_start(self, number: int, run: int, at: int) -> None:
        """Make sure that the start of a page is there."""
        if number not in self._starts:
            self._insert("start", number, run, at, at, None, self._host, self._version, 0)
            self._starts[number] = run

    def _save_listings(self) -> None:
        lookup = "SELECT 1 FROM listing WHERE identity = ? AND id = ?"
        for number, identity, endpoint, params in self._tables.rows("listing"):
            try:
                listing = read_listing(endpoint, params)
                known = listing.identity
            except DAMAGE:
                continue
            # The identity is stored twice, in the table and in its index. If the parameters agree
            # with neither, they are damaged, and the pages must not go to another listing.
            if known != identity and not self._tables.has(lookup, known, number):
                continue
            if self._insert("listing", number, known, endpoint, params):
                self._listings[number] = listing

    def _save_visits(self) -> None:
        for number, run, listing, state, *figures in self._tables.rows("visit"):
            if listing not in self._listings or not _count(run):
                continue
            *numbers, kind, error = figures
            whole = state in _STATES and all(_integer(n) == n for n in numbers)
            self._add_visit(
                (number, run, listing, state, *numbers, _text(kind), _text(error))
                if whole
                else (number, run, listing, "open", *[None] * len(figures))
            )
        # The index of the unique visits has the visits whose rows cannot be read.
        index = "SELECT id, run, listing FROM visit INDEXED BY sqlite_autoindex_visit_1"
        lost: set[int] = set()
        for number, run, listing in self._tables.scan(index):
            if number in self._visits:
                continue
            if listing in self._listings and _count(run):
                self._add_visit((number, run, listing, "open", *[None] * 11))
            else:
                lost.add(number)
        self._result.lost_listings = len(lost)

    def _add_visit(self, row: tuple[Any, ...]) -> None:
        number, run, listing = row[:3]
        self._add_run(run, int(time.time() * 1000), self._version)
        if self._insert("visit", *row):
            self._visits[number] = (run, listing)
            self._result.listings += 1

    def _save_dictionaries(self) -> None:
        for number, endpoint, content in self._tables.rows("dictionary"):
            try:
                zstandard.ZstdCompressionDict(decompress(zstandard.ZstdDecompressor(), content))
            except DAMAGE:
                continue
            self._insert("dictionary", number, str(endpoint), content)

    def _save_pages(self) -> None:
        total = 0
        for row in self._tables.scan("SELECT count(*) FROM page"):
            total = row[0]
        rows = self._tables.rows("page")
        more = True
        while more:
            with transaction(self._target):
                more = self._save_batch(rows)
            self._progress(self._result.pages, total)

    def _save_batch(self, rows: Iterator[tuple[Any, ...]]) -> bool:
        for count, row in enumerate(rows, 1):
            with contextlib.suppress(*DAMAGE):  # the page is lost: `_lost_pages` counts it
                self._save_page(*row)
            if count == _BATCH:
                return True
        return False

    def _save_page(self, seq: int, visit: int, number: int, *rest: Any) -> None:
        start, fetched_at, attempts, latency, *_, dictionary, frame = rest
        if visit not in self._visits or not _count(abs(number)):
            return
        run, listing_id = self._visits[visit]
        listing = self._listings[listing_id]
        body = self._decoder.decode(dictionary, frame)
        if not 0 < (_integer(fetched_at) or 0) < _MAX_INTEGER // 1000:
            fetched_at = self._latest or self._runs[run]
        page = _decode(listing, number, body, fetched_at)
        if page is None:
            return
        start = start if _count(start) else max(self._starts, default=1)
        self._add_start(start, run, fetched_at)
        if not self._insert(
            "page", seq, visit, number, start, fetched_at, _integer(attempts) or 1,
            _integer(latency) or 0, PAGE_CODE, page.page_size, page.has_next_page,
            page.total_count, len(page.items), len(page.rejects), dictionary, frame,
        ):  # fmt: skip
            return
        for reject in page.rejects:
            self._insert("reject", seq, reject.position, reject.reason, reject.raw)
        self._latest = fetched_at
        self._result.pages += 1
        self._result.items += len(page.items)
        self._result.rejects += len(page.rejects)

    def _save_small_tables(self) -> None:
        scan = self._tables.scan
        for row in scan("SELECT * FROM tick"):
            with contextlib.suppress(*DAMAGE):
                msgspec.json.decode(row[-1], type=dict[str, int])
                if row[0] in self._starts and all(_integer(n) == n for n in row[:-1]):
                    self._insert("tick", *row)
        for row in scan("SELECT * FROM failed_page"):
            visit, _, start, *_ = row
            if visit in self._visits and start in self._starts:
                self._insert("failed_page", *row)
        for visit, root in scan("SELECT visit, root FROM part NOT INDEXED"):
            if visit in self._visits and root in self._visits:
                self._insert("part", visit, root)
        for row in scan("SELECT * FROM division"):
            if row[0] in self._visits and all(_integer(n) == n for n in row[:-1]):
                self._insert("division", *row[:-1], str(row[-1]))

    def _save_seams(self) -> None:
        if not self._tables.has("SELECT 1 FROM sqlite_master WHERE name = 'seam'"):
            return  # an older version wrote the journal
        for row in self._tables.scan("SELECT * FROM seam"):
            if row[0] in self._visits and row[1] in self._starts:
                self._insert("seam", *row[:-1], _text(row[-1]))

    def _save_categories(self) -> None:
        looks = set()
        for row in self._tables.rows("look"):
            if _count(row[2]) and self._insert("look", row[0], _text(row[1]), *row[2:]):
                looks.add(row[0])
        before = self._tables.damages
        for cat_id, look, fetched_at, frame in self._tables.rows("category"):
            with contextlib.suppress(*DAMAGE):
                msgspec.json.decode(decompress_category(self._copy, cat_id, frame))
                if look in looks and self._insert("category", cat_id, look, fetched_at, frame):
                    self._result.categories += 1
                    continue
            self._result.lost_categories += 1
        self._result.lost_categories += self._tables.damages - before

    def _lost_pages(self) -> dict[int, int]:
        """Return the number of pages of each visit that the index names and that are not saved."""
        saved = "SELECT 1 FROM page WHERE visit = ? AND number = ?"
        lost: dict[int, int] = {}
        index = "SELECT visit, number FROM page INDEXED BY page_place"
        for visit, number in self._tables.scan(index):
            with contextlib.suppress(OverflowError, sqlite3.InterfaceError):
                if self._target.execute(saved, (visit, number)).fetchone() is None:
                    lost[visit] = lost.get(visit, 0) + 1
        return lost

    def _settle_visits(self, lost: dict[int, int]) -> None:
        """Reopen the visits that lost pages, and recount the others where counts differ."""
        roots = dict(self._target.execute("SELECT visit, root FROM part"))
        reopened: set[int] = set()
        for row in self._target.execute(_SUMS).fetchall():
            visit, run, state, pages, items, rejects, identity, *rest = row
            endpoint, params, saved, saved_items, saved_rejects = rest
            missing = max(lost.pop(visit, 0), (pages or 0) - saved if state != "open" else 0)
            if missing:
                self._name(f"{identity} (run {run})", missing, saved)
            if missing or (state != "open" and pages != saved):
                reopened.add(visit)
            elif state != "open" and (items, rejects) != (saved_items, saved_rejects):
                self._recount(visit, run, read_listing(endpoint, params))
        for visit in reopened | {roots[visit] for visit in reopened if visit in roots}:
            self._target.execute(_REOPEN, (visit,))
            self._target.execute("DELETE FROM division WHERE root = ?", (visit,))
        self._result.incomplete = len(reopened)
        self._result.lost_pages += sum(lost.values())  # of visits that are lost themselves

    def _name(self, name: str, missing: int, saved: int) -> None:
        self._result.lost_pages += missing
        if len(self._result.names) < MAX_NAMES:
            self._result.names.append(f"{name}: {saved} of {saved + missing} pages saved")

    def _recount(self, visit: int, run: int, listing: Listing) -> None:
        totals = decode_stored(
            pages_of_visit(self._target, self._decoder, visit, run, listing)
        ).totals
        values = (totals.items, totals.unique_items, totals.rejects, visit)
        self._target.execute(_RECOUNT, values)


def _decode(listing: Listing, number: int, body: bytes, fetched_at: int) -> Page[Any] | None:
    if listing.endpoint not in ENDPOINTS:
        return None
    now = datetime.fromtimestamp(fetched_at / 1000, UTC)
    page = read_reply(
        Reply(PAGE_CODE, {}, body), PageRequest(listing, page_number(number)), now=now
    )
    return page if isinstance(page, Page) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _count(value: object) -> bool:
    """Return True for a positive integer, as are all numbers of rows and pages, and all times."""
    return isinstance(value, int) and 0 < value < _MAX_INTEGER


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
