"""Adds up what a family has asked for, found, and has still to ask for. No I/O."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

from tmapi_async.api.listings import Listing

from .plan_runner import PlanRunner
from .reconciliation import Expectation, Reconciliation
from .split_parts import Part

_ENOUGH = 10  # prices that make a sample
_SHARE = 0.1  # of the sample that must have been placed before it says anything


def expect(roster: PlanRunner, root: Listing) -> Expectation:
    """What is to be spent from here on."""
    size = roster.page_size
    parts = roster.parts.values()
    # A second look begins before its first page has come: it has as many rows as the first look.
    promised = {part: draft.parts[0].total for draft in roster.drafts for part in draft.parts}
    left = sum(
        _left(part, promised.get(part, roster.ceiling), roster)
        for part in parts
        if part.walked and part.ending is None
    )
    probes = sum(part.first is None and part.ending is None for part in parts if not part.walked)
    undivided = roster.undivided()
    # The probes are first pages of what the undivided parts hold.
    least = left + max(probes, sum(ceil(rows / size) for rows in undivided))
    if not undivided and not probes:
        return _settled(roster, least)
    rows = _unplaced(roster, root)
    likely = None if rows is None else max(least, left + probes + ceil(rows / size))
    those = "1 part holds" if len(undivided) == 1 else f"{len(undivided):,} parts hold"
    reason = (
        f"{those} {roster.ceiling:,} rows or more; how many more shows when all have been divided"
    )
    return Expectation(least=least, likely=likely, settled=False, reason=reason)


def _settled(roster: PlanRunner, least: int) -> Expectation:
    walks = sum(part.walked for part in roster.parts.values())
    second = sum(len(draft.parts) if draft.inner else draft.again for draft in roster.drafts)
    again = f", {second:,} of them again for what brought too little" if second else ""
    reason = f"every part fits under {roster.ceiling:,} rows ({walks:,} to walk{again})"
    return Expectation(least=least, likely=least, settled=True, reason=reason, second=second)


def _left(part: Part, promised: int, roster: PlanRunner) -> int:
    """Pages that a walk has still to bring; what fills the ceiling shows no more than that."""
    rows = min(promised if part.first is None else part.total, roster.ceiling)
    return max(1, ceil(rows / roster.page_size)) - len(part.pages)


def _unplaced(roster: PlanRunner, root: Listing) -> float | None:
    """Rows that are in no part that fits, by the share of the first page's prices there."""
    sample = roster.parts[root].prices
    placed: set[int] = set()
    rows = 0
    for part in roster.parts.values():
        if part.walked and part.total < roster.ceiling:
            rows += part.total
            low, high = _bounds(part.listing)
            placed.update(n for n, price in enumerate(sample) if low <= price <= high)
    if len(sample) < _ENOUGH or len(placed) < _SHARE * len(sample):
        return None
    return rows * (len(sample) / len(placed) - 1)


def _bounds(listing: Listing) -> tuple[Decimal, Decimal]:
    params = dict(listing.params)
    return Decimal(params.get("price_start") or 0), Decimal(params.get("price_end") or "inf")


def reconcile(roster: PlanRunner, root: Listing, *, finer: bool) -> Reconciliation:
    """What came of it, so far."""
    pieces = tuple(draft.piece() for draft in roster.drafts)
    parts = roster.parts
    return Reconciliation(
        root=root,
        divided=not parts[root].walked,
        parts=len(parts),
        requests=roster.requests,
        rows=roster.rows,
        rejects=roster.rejects,
        promised=sum(max(piece.total or 0, piece.found) for piece in pieces if not piece.inner),
        distinct=roster.census.distinct,
        pieces=pieces,
        unanswered=tuple(listing for listing, part in parts.items() if part.first is None),
        strays=roster.census.strays,
        unpriced=roster.census.unpriced,
        finer=finer,
    )
