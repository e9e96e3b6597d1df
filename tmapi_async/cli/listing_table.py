"""Listings of a journal as a table, and the failures among them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tmapi_async.api.endpoints import ITEM_ENDPOINTS
from tmapi_async.journal.summaries.tally import doubt_about_visit
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
    listings = list(visits)
    groups = {} if every else _alike(listings, running=running)
    summed = {visit.id for group in groups.values() for visit in group}
    shown = [visit for visit in listings if visit.id not in summed]
    if not every and len(shown) > MAX_LISTINGS:
        shown = sorted(shown, key=_rank)[:MAX_LISTINGS]
    rows = [_row(visit, running=running) for visit in shown]
    rows += [_sum_row(group, *names) for names, group in groups.items()]
    # Without reasons the table fits on a terminal of 80 columns.
    columns = len(_HEADINGS) if any(visit.error_kind for visit in shown) else len(_HEADINGS) - 1
    lines = format_table(_HEADINGS[:columns], [row[:columns] for row in rows], width)
    hidden = len(listings) - len(shown) - len(summed)
    if hidden:
        lines.append(f"... and {hidden:,} more")
    if hidden or summed:
        lines.append("to see every listing, run tmapi status FILE --all")
    return lines


def _alike(
    listings: Iterable[VisitInfo], *, running: bool
) -> dict[tuple[str, str], list[VisitInfo]]:
    """Return the listings to show by their sum: noun and state -> more than a dozen listings.

    Complete ones are alike. A product that waits for its only request is like every other one.
    """
    groups: dict[tuple[str, str], list[VisitInfo]] = {}
    for visit in listings:
        if _is_plain(visit):
            groups.setdefault(("complete listings", "complete"), []).append(visit)
        elif visit.state == "open" and visit.listing.endpoint in _ITEM_ENDPOINTS:
            state = listing_state(visit, running=running)
            groups.setdefault(("products", state), []).append(visit)
    return {names: group for names, group in groups.items() if len(group) > MAX_COMPLETE}


def _is_plain(visit: VisitInfo) -> bool:
    """Return True if a listing is complete and nothing about it deserves a look."""
    return visit.state == "complete" and doubt_about_visit(visit) is None


def _rank(visit: VisitInfo) -> tuple[int, bool]:
    return _WORST_FIRST[visit.state], doubt_about_visit(visit) is None


def _sum_row(visits: Sequence[VisitInfo], noun: str, state: str) -> Sequence[object]:
    items = sum(visit.items for visit in visits)
    unique = sum(visit.unique_items for visit in visits)
    return (
        f"{len(visits):,} {noun}",
        state,
        sum(visit.pages for visit in visits),
        items,
        unique,
        items - unique,
        sum(visit.rejects for visit in visits),
        "",
    )


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
