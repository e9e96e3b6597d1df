"""How listings of a journal are shown: a table, what failed, and how it all ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tmapi_async.journal.views import FailedPage, VisitInfo

from . import tables

MOST_SHOWN = 40
_HEADS = ("listing", "state", ">pages", ">items", ">unique", ">duplicates", ">rejects", "why")
_ORDER = {"failed": 0, "open": 1, "capped": 2, "complete": 3}


def state(visit: VisitInfo, *, running: bool) -> str:
    """The word a user reads: an open listing that nobody works on is stopped, or not begun."""
    if visit.state != "open":
        return visit.state
    if running:
        return "open" if visit.begun else "waiting"
    return "stopped" if visit.begun else "not begun"


def table(visits: Iterable[VisitInfo], *, running: bool, every: bool) -> list[str]:
    """The listings as a table.

    Args:
        visits: The listings.
        running: Whether somebody writes to the journal now.
        every: Show them all, in their own order; else at most forty, the worst ones first.

    Returns:
        Its lines.
    """
    known = list(visits)
    shown = known
    if not every and len(known) > MOST_SHOWN:
        shown = sorted(known, key=lambda visit: _ORDER[visit.state])[:MOST_SHOWN]
    found = tables.lines(_HEADS, [_row(visit, running=running) for visit in shown])
    if len(shown) < len(known):
        found.append(f"... and {len(known) - len(shown):,} more: tmapi status FILE --all")
    return found


def _row(visit: VisitInfo, *, running: bool) -> Sequence[object]:
    return (
        visit.listing.identity,
        state(visit, running=running),
        visit.pages,
        visit.items,
        visit.unique_items,
        visit.items - visit.unique_items,
        visit.rejects,
        visit.error_kind,
    )


def failures(visits: Iterable[VisitInfo], pages: Sequence[FailedPage]) -> list[str]:
    """What failed and why, by name: pages that could not be had, listings that were given up."""
    named = [f"failed: {_with_listing(page)}" for page in pages]
    known = {page.listing for page in pages}
    named += [
        f"failed: {visit.error}"
        if visit.listing.identity in (visit.error or "")
        else f"failed: {visit.listing}: {visit.error}"
        for visit in visits
        if visit.state == "failed" and visit.listing not in known
    ]
    if len(named) > MOST_SHOWN:
        named[MOST_SHOWN:] = [f"... and {len(named) - MOST_SHOWN:,} more failures"]
    return named


def _with_listing(page: FailedPage) -> str:
    where = f"{page.listing} page {page.number}"
    return page.error if where in page.error else f"{where}: {page.error}"
