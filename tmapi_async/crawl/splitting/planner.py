"""Decide how a listing beyond the ceiling is divided. No I/O: pages in, queries out.

A part that fits under the ceiling is walked in an order of prices, which does not shift with the
live ranking as the default order does. Of the two sides of a cut, the left one is requested in
falling order and the right one in rising order. So the first page of each side shows the rows at
the cut: they prove if bounds are inclusive, and reveal a price that fills the ceiling alone.

The same answers, in any order, lead to the same parts (see `plan_runner`). Resuming relies on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tmapi_async.api.listings import USUAL_CEILING, Listing

from .estimates import estimate, reconcile
from .plan_runner import Plan, PlanRunner, Wait
from .price_bands import (
    CENT,
    Band,
    PriceFacts,
    Reach,
    can_cut_at,
    choose_cut,
    cut,
    finest_step,
    tighten,
)
from .queries import DOWN, UP, Observation, QueryBuilder, SplitQuery
from .reconciliation import Expectation, Reconciliation
from .single_price import SinglePrice, SinglePricePlans
from .split_parts import Part


class _Region(msgspec.Struct, frozen=True):
    """A band, with the facts known from its ancestors."""

    band: Band
    sort: str
    facts: PriceFacts
    reach: Reach

    def side(self, band: Band, sort: str) -> _Region:
        """Return one side of this region."""
        return _Region(band, sort, self.facts, self.reach)


class SplitPlanner:
    """The planner of one listing.

    Call `begin`, then `page` with every page of every part, and `walk_ended` after each walk of a
    part. Each call returns the next queries. When no query is left, call `reconcile`.

    Args:
        root: Listing to divide.
        flags: Boolean filters of its endpoint. Filters that the listing sets itself are not used.
        ceiling: A `total_count` of this many rows or more says that there may be more rows.
    """

    def __init__(
        self, root: Listing, *, flags: Sequence[str] = (), ceiling: int = USUAL_CEILING
    ) -> None:
        self.root = root
        root_params = {name for name, _ in root.params}
        self._builder = QueryBuilder(root)
        self._runner = PlanRunner(ceiling)
        unset_flags = tuple(flag for flag in flags if flag not in root_params)
        self._single_prices = SinglePricePlans(self._runner, self._builder, unset_flags)
        self._sample: tuple[Decimal, ...] = ()
        self._narrowing_steps: list[Decimal] = []
        self._finest_step = CENT

    def begin(self) -> list[SplitQuery]:
        """Return the first query: open the listing itself."""
        self._runner.spawn(self._start())
        return self._runner.take_queries()

    def page(self, listing: Listing, page: Observation) -> list[SplitQuery]:
        """Add a page of a part. Pages may come in any order, and more than once.

        Returns:
            Next queries. Every first page is followed by "walk" or "leave" for its part.
        """
        part = self._runner.parts[listing]
        prices = (price for _, price in page.rows if price is not None and can_cut_at(price))
        self._finest_step = finest_step(prices, self._finest_step)
        if self._runner.add_page(part, page):
            if listing == self.root:
                self._runner.page_size = page.page_size or self._runner.page_size
            self._runner.first_page_added(part)
        return self._runner.take_queries()

    def walk_ended(self, listing: Listing, ending: str, error: str = "") -> list[SplitQuery]:
        """Record how the walk of a part ended: "complete", "capped", "failed" or "stopped".

        A walk that is "capped" at its `page_limit` only pauses: another "walk" follows.

        Do not call it for parts that were left after their first page. A part whose first page
        could not be fetched stays unanswered: nothing is decided without that page.
        """
        self._runner.walk_ended(self._runner.parts[listing], ending, error)
        return self._runner.take_queries()

    def __contains__(self, listing: object) -> bool:
        return listing in self._runner.parts

    def has_seen(self, item: int) -> bool:
        """Return True if a page of any part has shown an item."""
        return item in self._runner.items

    def is_full_walk(self, listing: Listing) -> bool:
        """Return True if a part is walked to its end."""
        return self._runner.parts[listing].full_walk

    def page_limit(self, listing: Listing) -> int | None:
        """Return the page after which the walk of a part ends for now, or None for its end."""
        return self._runner.parts[listing].page_limit

    def ids(self, listing: Listing) -> set[int]:
        """Return the items that the pages of a part have shown, as far as they are kept."""
        return self._runner.parts[listing].all_ids

    @property
    def listings(self) -> tuple[Listing, ...]:
        """Every part opened so far, the root first."""
        return tuple(self._runner.parts)

    def expectation(self) -> Expectation:
        """Return the expected number of further requests."""
        return estimate(self._runner, self.root)

    def reconcile(self) -> Reconciliation:
        """Return the result so far."""
        finer = any(step > self._finest_step for step in self._narrowing_steps)
        return reconcile(self._runner, self.root, finer=finer)

    def __repr__(self) -> str:
        return f"<SplitPlanner of {self.root}: {len(self._runner.parts)} parts>"

    # -- plans

    def _start(self) -> Plan:
        root = self._runner.open_to_walk(self.root)
        yield Wait((root,), "first")
        if not self._runner.fits(root):
            self._runner.spawn(self._find_price_range(root), capped=True)

    def _find_price_range(self, root: Part) -> Plan:
        """Find the lowest and the highest price, then make the first cut."""
        whole = self._builder.band
        up, down = (
            self._runner.open(self._builder.listing(whole, (), sort)) for sort in (UP, DOWN)
        )
        yield Wait((up, down), "first")
        prices = [*up.first_prices, *down.first_prices, *root.first_prices]
        self._sample = tuple(root.first_prices)
        if len(set(prices)) <= 1:
            yield from self._single_prices.divide(SinglePrice(whole, (), UP), up)
            return
        reach = Reach(min(prices), max(prices), finest_step(prices))
        yield from self._first_cut(_Region(whole, UP, PriceFacts(), reach))

    def _first_cut(self, whole: _Region) -> Plan:
        """Cut at the price of a known row: such a row proves the bound that shows it."""
        reach, band = whole.reach, whole.band
        target = choose_cut(reach, self._sample, ())
        known_prices = [price for price in self._sample if reach.floor <= price < reach.top]
        at = min(known_prices, key=lambda price: (abs(price - target), price), default=reach.floor)
        left = msgspec.structs.replace(band, high=at, owns_high=False)
        right = msgspec.structs.replace(band, low=at, owns_low=False)
        below, above = self._open(left, DOWN), self._open(right, UP)
        yield Wait((below, above), "first")
        facts = left.facts_from(below.first_prices) | right.facts_from(above.first_prices)
        left = msgspec.structs.replace(left, owns_high=facts.end)
        right = msgspec.structs.replace(right, owns_low=facts.start and not facts.end)
        region = _Region(band, UP, facts, reach)
        self._divide_if_capped(region.side(left, DOWN), below)
        self._divide_if_capped(region.side(right, UP), above)
        if not (facts.start or facts.end):
            gap = Band(max(at - reach.step, Decimal(0)), at + reach.step)
            self._runner.spawn(self._walk_or_divide(region.side(gap, UP)))

    def _walk_or_divide(self, region: _Region) -> Plan:
        """Walk a band of prices if it fits, otherwise divide it."""
        part = self._open(region.band, region.sort)
        yield Wait((part,), "first")
        self._divide_if_capped(region, part)

    def _divide_if_capped(self, region: _Region, part: Part) -> None:
        if not self._runner.fits(part):
            self._runner.spawn(self._divide(region, part), capped=True)

    def _divide(self, region: _Region, part: Part) -> Plan:
        """Divide a band at the ceiling, whose first page has come."""
        band = region.band
        prices = [price for price in part.first_prices if band.contains(price)]
        facts = region.facts | band.facts_from(prices)
        reach = region.reach.after_page(prices, rising=region.sort == UP).within(band)
        tight = tighten(band, facts, reach.step)
        same = len(set(prices)) == 1
        outside = same and not tight.contains(prices[0])
        if prices and tight != band and (reach.single or outside):
            self._narrowing_steps.append(reach.step)
            yield from self._walk_or_divide(_Region(tight, region.sort, facts, reach))
        elif reach.single or not prices:
            # If even the first page shows no price of the band, the price filter has no effect.
            yield from self._single_prices.divide(SinglePrice(band, (), region.sort), part)
        else:
            at = choose_cut(reach, self._sample, prices)
            left, right = cut(band, at, facts, reach.step)
            divided = _Region(band, region.sort, facts, reach)
            self._runner.spawn(self._walk_or_divide(divided.side(left, DOWN)))
            self._runner.spawn(self._walk_or_divide(divided.side(right, UP)))
            yield Wait((self._open(left, DOWN), self._open(right, UP)), "first")

    def _open(self, band: Band, sort: str) -> Part:
        return self._runner.open_to_walk(self._builder.listing(band, (), sort))
