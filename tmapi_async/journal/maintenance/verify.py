"""Read all of a journal and check that everything in it agrees.

Nothing is written, and no lock is held for long: a harvest may write meanwhile. Each visit is read
in a transaction of its own, so that its figures and its pages are of one moment.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.listings import Listing
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.compression import Decoder, decompress, decompress_category
from tmapi_async.journal.records import page_number
from tmapi_async.journal.resume import decode_page
from tmapi_async.journal.schema import (
    all_value_problems,
    check_version,
    connect_unchecked,
    schema_differences,
)
from tmapi_async.journal.stored_pages import page_of_row, read_listing
from tmapi_async.journal.tables.damaged_values import translated
from tmapi_async.journal.tables.typed_queries import PAGE_COLUMNS

from .damage import DAMAGE, InterruptedReadError, describe_damage

MAX_PROBLEMS = 50
"""Problems that a verification describes. It counts all of them."""

_CHUNK = 256
_VISIT = """
SELECT visit.id, visit.run, state, visit.pages, visit.items, visit.rejects, identity, endpoint,
       params
FROM visit JOIN listing ON listing.id = visit.listing
WHERE visit.id > ? ORDER BY visit.id LIMIT 1
"""
_PAGES = f"""
SELECT {PAGE_COLUMNS}, (SELECT count(*) FROM reject WHERE reject.seq = page.seq)
FROM page WHERE visit = ? ORDER BY number
"""  # noqa: S608 - constants of this package
_ITEMS = PAGE_COLUMNS.replace(",", " ").split().index("items")
_CATEGORIES = "SELECT cat_id, body FROM category WHERE cat_id > ? ORDER BY cat_id LIMIT ?"
_CODES = msgspec.json.Decoder(dict[str, int])


class Check(msgspec.Struct):
    """Result of one kind of check.

    Attributes:
        name: Name of the check.
        subject: Things that were checked, such as "39 pages".
        problems: Number of problems.
    """

    name: str
    subject: str
    problems: int = 0


class Verification(msgspec.Struct):
    """Result of reading a whole journal.

    Attributes:
        checks: Result of each check.
        problems: Number of problems.
        texts: Descriptions of the first problems, at most `MAX_PROBLEMS`.
        listings: Visits read: a listing counts once for each run.
        pages: Pages read.
        items: Items on these pages, as the journal counts them.
        rejects: Rows on them that could not be decoded, as the journal counts them.
    """

    checks: list[Check] = []
    problems: int = 0
    texts: list[str] = []
    listings: int = 0
    pages: int = 0
    items: int = 0
    rejects: int = 0

    @property
    def ok(self) -> bool:
        """True if no check found a problem."""
        return not self.problems


class _VisitCheck(msgspec.Struct):
    """A visit that is read, and the sums over its pages: as stored, and decoded again."""

    name: str
    run: int
    listing: Listing
    problems: list[str] = []
    pages: int = 0
    items: int = 0
    rejects: int = 0
    decoded_items: int = 0
    decoded_rejects: int = 0
    damaged: bool = False


class Verifier:
    """A verification of one journal. Call `run` once.

    Args:
        path: The journal's file.

    Attributes:
        result: Result so far. Another thread may look at it to show the progress.
        total_pages: Number of pages in the journal at the beginning, or 0 before they are counted.

    Raises:
        JournalError: There is no such journal, or a version of this package wrote it that this one
            cannot read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self.result = Verification()
        self.total_pages = 0
        self._interrupted = False
        with translated(self.path):
            self._connection = connect_unchecked(self.path)
        try:
            with translated(self.path):
                check_version(self._connection, self.path)
        except BaseException:
            self._connection.close()
            raise
        self._decoder = Decoder(self._connection, self.path)

    def interrupt(self) -> None:
        """Make `run` raise `InterruptedReadError` soon. Any thread may call this method."""
        self._interrupted = True
        with contextlib.suppress(sqlite3.ProgrammingError):  # the connection is closed: `run` ended
            self._connection.interrupt()

    def run(self) -> Verification:
        """Check everything.

        Returns:
            The result. Damage of any kind is a problem in the result, never an exception.

        Raises:
            InterruptedReadError: `interrupt` was called.
            JournalError: The file is busy or cannot be opened.
        """
        try:
            self._check("file structure", self._structure)
            self._check("tables", self._tables)
            self._check("references", self._references)
            self._check("dictionaries", self._dictionaries)
            self._check("pages", self._visits)
            self._check("category tree", self._categories)
            self._check("history", self._history)
        finally:
            self._connection.close()
        return self.result

    def _check(self, name: str, function: Callable[[], Iterator[str]]) -> None:
        """Run a check: a generator that changes `subject` of the check and yields problems."""
        self._current = Check(name, "")
        self.result.checks.append(self._current)
        try:
            for problem in function():
                self._note(problem)
        except DAMAGE as error:
            self._note(f"cannot be read further: {describe_damage(self.path, error)}")

    def _note(self, problem: str) -> None:
        self._current.problems += 1
        self.result.problems += 1
        if len(self.result.texts) < MAX_PROBLEMS:
            self.result.texts.append(f"{self._current.name}: {problem}")

    def _structure(self) -> Iterator[str]:
        self._current.subject = f"{self.path.stat().st_size:,} bytes"
        for (finding,) in self._connection.execute("PRAGMA integrity_check(100)"):
            if finding != "ok":
                yield " ".join(str(finding).split())

    def _tables(self) -> Iterator[str]:
        differences = schema_differences(self._connection)
        yield from differences
        if not differences:
            yield from all_value_problems(self._connection)

    def _references(self) -> Iterator[str]:
        rows = self._connection.execute("PRAGMA foreign_key_check")
        for table, rowid, parent, _ in rows:
            place = f"row {rowid} of" if rowid is not None else "a row of"
            yield f"{place} the table {table} refers to a missing row of {parent}"

    def _dictionaries(self) -> Iterator[str]:
        numbers = [row[0] for row in self._connection.execute("SELECT id FROM dictionary")]
        self._current.subject = f"{len(numbers):,}"
        query = "SELECT content FROM dictionary WHERE id = ?"
        for number in numbers:
            try:
                (content,) = self._connection.execute(query, (number,)).fetchone()
                zstandard.ZstdCompressionDict(decompress(zstandard.ZstdDecompressor(), content))
            except DAMAGE as error:
                yield f"dictionary {number}: {describe_damage(self.path, error)}"

    def _visits(self) -> Iterator[str]:
        count = self._connection.execute("SELECT count(*) FROM page").fetchone()
        self.total_pages = count[0]
        after: int | None = 0
        while after is not None:
            self._connection.execute("BEGIN")
            try:
                problems, after = self._next_visit(after)
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            yield from problems
        result = self.result
        self._current.subject = (
            f"{quantity(result.pages, 'page')} of {quantity(result.listings, 'listing')}, "
            f"{quantity(result.items, 'item')}, {quantity(result.rejects, 'reject')}"
        )

    def _next_visit(self, after: int) -> tuple[list[str], int | None]:
        """Check the visit with the next number. Return problems and the number, or None."""
        row = self._connection.execute(_VISIT, (after,)).fetchone()
        if row is None:
            return [], None
        visit, run, state, *figures, identity, endpoint, params = row
        self.result.listings += 1
        name = f"{identity} (run {run})"
        try:
            check = _VisitCheck(name, run, read_listing(endpoint, params))
        except DAMAGE as error:
            text = describe_damage(self.path, error)
            return [f"{name}: its parameters cannot be read: {text}"], visit
        if check.listing.identity != identity:
            check.problems.append(f"{name}: its parameters are those of {check.listing.identity}")
        try:
            for page in self._connection.execute(_PAGES, (visit,)):
                self._read_page(page, check)
        except DAMAGE as error:
            text = describe_damage(self.path, error)
            check.problems.append(f"{name}: its pages cannot be read further: {text}")
        else:
            if state != "open":
                check.problems += _compare(check, figures)
        return check.problems, visit

    def _read_page(self, row: tuple[Any, ...], check: _VisitCheck) -> None:
        if self._interrupted:
            raise InterruptedReadError
        check.pages += 1
        self.result.pages += 1
        try:
            problem = self._page_problem(row, check)
        except DAMAGE as error:
            check.damaged = True
            problem = describe_damage(self.path, error)
        if problem is not None:
            check.problems.append(f"{check.name} page {page_number(row[2])}: {problem}")

    def _page_problem(self, row: tuple[Any, ...], check: _VisitCheck) -> str | None:
        """Return the problem of a page, or None. Raises any of `DAMAGE`."""
        *columns, stored_rejects = row
        items, rejects = columns[_ITEMS : _ITEMS + 2]
        check.items += items
        check.rejects += rejects
        self.result.items += items
        self.result.rejects += rejects
        page = page_of_row(tuple(columns), check.run, check.listing, self._decoder)
        if stored_rejects != rejects:
            return f"{stored_rejects} rejects are stored, {rejects} are counted"
        if check.listing.endpoint not in ENDPOINTS:
            return None  # a newer version wrote it
        decoded = decode_page(page)
        if decoded is None:
            check.damaged = True
            return "its reply cannot be decoded as a page"
        check.decoded_items += len(decoded.items)
        check.decoded_rejects += len(decoded.rejects)
        rows, counted = len(decoded.items) + len(decoded.rejects), items + rejects
        return None if rows == counted else f"its reply has {rows} rows, {counted} are counted"

    def _categories(self) -> Iterator[str]:
        after, count = -1, 0
        while rows := self._connection.execute(_CATEGORIES, (after, _CHUNK)).fetchall():
            after = rows[-1][0]
            for cat_id, frame in rows:
                count += 1
                try:
                    msgspec.json.decode(decompress_category(self.path, cat_id, frame))
                except DAMAGE as error:
                    yield f"category {cat_id}: {describe_damage(self.path, error)}"
        self._current.subject = quantity(count, "answer")

    def _history(self) -> Iterator[str]:
        (starts,) = self._connection.execute("SELECT count(*) FROM start").fetchone()
        self._current.subject = quantity(starts, "start")
        for start, n, codes in self._connection.execute("SELECT start, n, codes FROM tick"):
            try:
                _CODES.decode(codes)
            except DAMAGE as error:
                yield f"second {n} of start {start}: {describe_damage(self.path, error)}"


def _compare(check: _VisitCheck, figures: list[Any]) -> Iterator[str]:
    """Compare the figures of an ended visit with its pages.

    A start that continued a visit after an upgrade has counted the rows as the newer version
    decodes them, so those counts are right as well.
    """
    pages, items, rejects = figures
    if pages != check.pages:
        yield f"{check.name}: its figures say {pages} pages, {check.pages} are stored"
    if items != check.items and (check.damaged or items != check.decoded_items):
        yield f"{check.name}: its figures say {items} items, its pages hold {check.items}"
    if rejects != check.rejects and (check.damaged or rejects != check.decoded_rejects):
        yield f"{check.name}: its figures say {rejects} rejects, its pages hold {check.rejects}"
