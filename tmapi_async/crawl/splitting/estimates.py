"""Compute the expected cost and the result of a division from the state of its plans. No I/O."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

from tmapi_async.api.listings import Listing
from tmapi_async.errors.quantities import quantity

from .plan_runner import PlanRunner
from .reconciliation import Expectation, Reconciliation
from .split_parts import Part

_MIN_SAMPLE = 10  # prices that make a sample
_MIN_PLACED_SHARE = 0.1  # of the sample that must lie in parts before an estimate is made


def estimate(runner: PlanRunner, root: Listing) -> Expectation:
    """Return the expected number of further requests."""
    size = runner.page_size
    parts = runner.parts.values()
    # A second walk begins before its first page has come: it has as many rows as the first walk.
    promised = {part: piece.parts[0].total for piece in runner.pieces for part in piece.parts}
    remaining = sum(
        _remaining_pages(part, promised.get(part, runner.ceiling), runner)
        for part in parts
        if part.full_walk and part.ending is None
    )
    probes = sum(
        part.first_page is None and part.ending is None for part in parts if not part.full_walk
    )
    undivided = runner.undivided_rows()
    # The probes are first pages of rows that the undivided parts hold.
    minimum = remaining + max(probes, sum(ceil(rows / size) for rows in undivided))
    if not undivided and not probes:
        return _settled(runner, minimum)
    rows = _unplaced_rows(runner, root)
    likely = None if rows is None else max(minimum, remaining + probes + ceil(rows / size))
    holders = quantity(len(undivided), "part holds", "parts hold")
    reason = (
        f"{holders} {runner.ceiling:,} rows or more; the exact number is known when every part "
        "has been divided"
    )
    return Expectation(least=minimum, likely=likely, settled=False, reason=reason)


def _settled(runner: PlanRunner, minimum: int) -> Expectation:
    walks = sum(part.full_walk for part in runner.parts.values())
    second = sum(len(piece.parts) if piece.inner else piece.second_walks for piece in runner.pieces)
    again = f", {second:,} of them again because too few rows were found" if second else ""
    reason = f"every part fits under {runner.ceiling:,} rows ({walks:,} to walk{again})"
    return Expectation(least=minimum, likely=minimum, settled=True, reason=reason, second=second)


def _remaining_pages(part: Part, promised: int, runner: PlanRunner) -> int:
    """Return the number of pages that a walk has still to request, up to the ceiling."""
    rows = min(promised if part.first_page is None else part.total, runner.ceiling)
    return max(1, ceil(rows / runner.page_size)) - len(part.pages)


def _unplaced_rows(runner: PlanRunner, root: Listing) -> float | None:
    """Estimate the rows outside of all parts that fit, or None while there is no basis.

    The share of the listing's first-page prices that lie in parts that fit stands for the share of
    its rows.
    """
    sample = runner.parts[root].first_prices
    placed: set[int] = set()
    rows = 0
    for part in runner.parts.values():
        if part.full_walk and part.total < runner.ceiling:
            rows += part.total
            low, high = _price_bounds(part.listing)
            placed.update(index for index, price in enumerate(sample) if low <= price <= high)
    if len(sample) < _MIN_SAMPLE or len(placed) < _MIN_PLACED_SHARE * len(sample):
        return None
    return rows * (len(sample) / len(placed) - 1)


def _price_bounds(listing: Listing) -> tuple[Decimal, Decimal]:
    params = dict(listing.params)
    return Decimal(params.get("price_start") or 0), Decimal(params.get("price_end") or "inf")


def reconcile(runner: PlanRunner, root: Listing, *, finer: bool) -> Reconciliation:
    """Return the result so far."""
    pieces = tuple(piece.to_piece() for piece in runner.pieces)
    parts = runner.parts
    return Reconciliation(
        root=root,
        divided=not parts[root].full_walk,
        parts=len(parts),
        requests=runner.requests,
        rows=runner.rows,
        rejects=runner.rejects,
        promised=sum(max(piece.total or 0, piece.found) for piece in pieces if not piece.inner),
        distinct=runner.items.distinct,
        pieces=pieces,
        unanswered=tuple(listing for listing, part in parts.items() if part.first_page is None),
        strays=runner.items.strays,
        unpriced=runner.items.unpriced,
        finer=finer,
        reason=next((part.reason for part in parts.values() if part.reason), ""),
    )
