"""Listings of a journal as a table, and the failures among them."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from operator import itemgetter

from tmapi_async.api.endpoints import ITEM_ENDPOINTS
from tmapi_async.api.listings import Listing
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.tally import RunTally, doubt_about_visit
from tmapi_async.journal.views import FailedPage, VisitInfo

from .tables import format_table

MAX_LISTINGS = 40
"""Listings, or failures, that are shown unless all of them are asked for."""

MAX_COMPLETE = 12
"""Complete listings, or products to fetch, that are shown one by one; more of them are summed."""

_ITEM_ENDPOINTS = frozenset(endpoint.name for endpoint in ITEM_ENDPOINTS.values())

_HEADINGS = ("listing", "state", ">pages", ">items", ">unique", ">repeats", ">rejects", "reason")
_WORST_FIRST = {"failed": 0, "open": 1, "shifted": 2, "capped": 3, "complete": 4}  # by state


def listing_state(visit: VisitInfo, *, running: bool) -> str:
    """Return the state of a listing as a user reads it.

    Args:
        visit: The listing.
        running: A process is writing to the journal now.
    """
    if visit.state != "open":
        return doubt_about_visit(visit) or visit.state
    if running:
        return "open" if visit.begun else "waiting"
    return "stopped" if visit.begun else "not begun"


def format_listings(
    visits: Iterable[VisitInfo], *, running: bool, every: bool, width: int | None = None
) -> list[str]:
    """Return the listings as the lines of a table.

    Args:
        visits: The listings.
        running: A process is writing to the journal now.
        every: Show all of them, in their own order; otherwise at most forty, the worst first, and
            by their sum complete ones, and products to fetch, if there are more than a dozen. Empty
            and contradicted ones are always shown.
        width: Cells of the terminal; None for any width.
    """
    shown: list[tuple[int, VisitInfo]] = []
    groups: dict[tuple[str, str], _SummedListings] = {}
    count = 0
    for visit in visits:
        names = None if every else _group_names(visit, running=running)
        if names is None:
            shown.append((count, visit))
        else:
            groups.setdefault(names, _SummedListings()).add(count, visit)
        count += 1
    small = [names for names, group in groups.items() if group.visits <= MAX_COMPLETE]
    for names in small:
        shown += groups.pop(names).first
    rows = [visit for _, visit in sorted(shown, key=itemgetter(0))]
    if not every and len(rows) > MAX_LISTINGS:
        rows = sorted(rows, key=_rank)[:MAX_LISTINGS]
    cells = [_row(visit, running=running) for visit in rows]
    cells += [group.row(*names) for names, group in groups.items()]
    # Without reasons the table fits on a terminal of 80 columns.
    columns = len(_HEADINGS) if any(visit.error_kind for visit in rows) else len(_HEADINGS) - 1
    lines = format_table(_HEADINGS[:columns], [row[:columns] for row in cells], width)
    summed = sum(group.visits for group in groups.values())
    hidden = count - len(rows) - summed
    if hidden:
        lines.append(f"... and {hidden:,} more")
    if hidden or summed:
        lines.append("to see every listing, run tmapi status FILE --all")
    return lines


def lines_of_visits(
    journal: JournalReader, ids: Container[int], width: int | None
) -> tuple[list[str], list[str]]:
    """Return the listings of some visits as a table, and the failures among them.

    Memory does not grow with the complete listings, nor with the products that wait.

    Args:
        journal: The journal.
        ids: Numbers of the visits.
        width: Cells of the terminal; None for any width.

    Raises:
        JournalError: The journal cannot be read.
    """
    pages = list(journal.failed_pages())
    failing = {page.listing for page in pages}
    requested: set[Listing] = set()
    troubled: list[VisitInfo] = []

    def visits() -> Iterator[VisitInfo]:
        for visit in journal.listings():
            if visit.id not in ids:
                continue
            if visit.listing in failing:
                requested.add(visit.listing)
            if visit.state in ("failed", "shifted"):
                troubled.append(visit)
            yield visit

    table = format_listings(visits(), running=False, every=False, width=width)
    return table, format_failures(troubled, [page for page in pages if page.listing in requested])


class _SummedListings:
    """Sums over listings that are alike. A journal may have a million of them.

    Attributes:
        visits: Number of listings.
        first: The first of them, each with its place among all listings.
    """

    def __init__(self) -> None:
        self.visits = 0
        self.first: list[tuple[int, VisitInfo]] = []
        self._totals = RunTally()

    def add(self, place: int, visit: VisitInfo) -> None:
        """Add a listing."""
        self.visits += 1
        self._totals.add(visit.totals)
        if self.visits <= MAX_COMPLETE:
            self.first.append((place, visit))

    def row(self, noun: str, state: str) -> Sequence[object]:
        """Return the sums as a row of the table."""
        sums = self._totals
        repeats = sums.items - sums.unique_items
        name = f"{self.visits:,} {noun}"
        return (name, state, sums.pages, sums.items, sums.unique_items, repeats, sums.rejects, "")


def _group_names(visit: VisitInfo, *, running: bool) -> tuple[str, str] | None:
    """Return noun and state of the listings that are like this one, or None.

    Complete ones are alike. A product that waits for its only request is like every other one.
    """
    if _is_plain(visit):
        return "complete listings", "complete"
    if visit.state == "open" and visit.listing.endpoint in _ITEM_ENDPOINTS:
        return "products", listing_state(visit, running=running)
    return None


def _is_plain(visit: VisitInfo) -> bool:
    """Return True if a listing is complete and nothing about it deserves a look."""
    return visit.state == "complete" and doubt_about_visit(visit) is None


def _rank(visit: VisitInfo) -> tuple[int, bool]:
    return _WORST_FIRST[visit.state], doubt_about_visit(visit) is None


def _row(visit: VisitInfo, *, running: bool) -> Sequence[object]:
    return (
        visit.listing.identity,
        listing_state(visit, running=running),
        visit.pages,
        visit.items,
        visit.unique_items,
        visit.items - visit.unique_items,
        visit.rejects,
        visit.error_kind,
    )


def format_failures(visits: Collection[VisitInfo], pages: Sequence[FailedPage]) -> list[str]:
    """Return one line, with the reason, for each page and listing that failed or was shifted.

    Args:
        visits: The listings.
        pages: The failed pages of those listings.
    """
    lines = [f"failed: {_page_failure(page)}" for page in pages]
    named = {page.listing for page in pages}
    lines += [
        f"failed: {visit.error}"
        if visit.listing.identity in (visit.error or "")
        else f"failed: {visit.listing}: {visit.error}"
        for visit in visits
        if visit.state == "failed" and visit.listing not in named
    ]
    lines += [f"{visit.listing}: {visit.error}" for visit in visits if visit.state == "shifted"]
    if len(lines) > MAX_LISTINGS:
        lines[MAX_LISTINGS:] = [f"... and {len(lines) - MAX_LISTINGS:,} more reasons"]
    return lines


def _page_failure(page: FailedPage) -> str:
    name = f"{page.listing} page {page.number}"
    return page.error if name in page.error else f"{name}: {page.error}"
