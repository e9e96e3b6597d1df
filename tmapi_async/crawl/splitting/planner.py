"""Decides how a listing beyond the ceiling is divided. Pure: answers in, steps out.

A part that fits under the ceiling is walked in an order of prices, which does not shift with the
live ranking as the default order does. The left side of a cut is asked for in falling and the right
side in rising order, so that the first page of each shows what stands at the cut: it proves
whether bounds are inclusive, and gives away a price that fills the ceiling alone.

Fed with the same answers again, in any order of the parts, a family comes to the same parts (see
`roster`): that is what resuming rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import USUAL_CEILING

from .estimates import expect, reconcile
from .plan_runner import Plan, PlanRunner, Wait
from .price_bands import CENT, Band, PriceFacts, Reach, choose, cut, finest, tightened, usable
from .queries import DOWN, UP, Observation, QueryBuilder, SplitQuery
from .reconciliation import Expectation, Reconciliation
from .single_price import SinglePrice, SinglePrices
from .split_parts import Part


class _Region(msgspec.Struct, frozen=True):
    """A band, with what the answers of its ancestors tell of it."""

    band: Band
    sort: str
    facts: PriceFacts
    reach: Reach

    def side(self, band: Band, sort: str) -> _Region:
        """A part of it."""
        return _Region(band, sort, self.facts, self.reach)


class SplitPlanner:
    """The planner of one listing.

    Call `begin`, then `page` with what every page of every part shows, and `ended` when the walk of
    a part has ended; each returns what to do next. When nothing is left to do, `reconcile`.

    Args:
        root: The listing.
        flags: Boolean filters of its endpoint; those that the listing sets are left alone.
        ceiling: A `total_count` of so many or more says that there may be more.
    """

    def __init__(
        self, root: Listing, *, flags: Sequence[str] = (), ceiling: int = USUAL_CEILING
    ) -> None:
        self.root = root
        given = {name for name, _ in root.params}
        self._asker = QueryBuilder(root)
        self._roster = PlanRunner(ceiling)
        free = tuple(flag for flag in flags if flag not in given)
        self._singles = SinglePrices(self._roster, self._asker, free)
        self._sample: tuple[Decimal, ...] = ()
        self._narrowed: list[Decimal] = []  # steps by which bands were tightened
        self._finest = CENT

    def begin(self) -> list[SplitQuery]:
        """The first step: to open the listing itself."""
        self._roster.spawn(self._whole())
        return self._roster.told()

    def page(self, listing: Listing, sight: Observation) -> list[SplitQuery]:
        """Take in a page of a part; pages may come in any order, and again.

        Returns:
            What to do now. Every first page is followed by "walk" or "leave" for its part.
        """
        part = self._roster.parts[listing]
        prices = (price for _, price in sight.rows if price is not None and usable(price))
        self._finest = finest(prices, self._finest)
        if self._roster.take(part, sight):
            if listing == self.root:
                self._roster.page_size = sight.page_size or self._roster.page_size
            self._roster.answered(part)
        return self._roster.told()

    def ended(self, listing: Listing, ending: str, error: str = "") -> list[SplitQuery]:
        """Note how the walk of a part ended: "complete", "capped", "failed" or "stopped".

        Not for parts that were left after their first page. A part whose first page cannot be had
        stays unanswered: nothing is decided without it.
        """
        self._roster.ended(self._roster.parts[listing], ending, error)
        return self._roster.told()

    def __contains__(self, listing: object) -> bool:
        return listing in self._roster.parts

    def knows(self, item: int) -> bool:
        """Whether a page of any part has shown an item."""
        return item in self._roster.census

    def walked(self, listing: Listing) -> bool:
        """Whether a part is to be walked to its end."""
        return self._roster.parts[listing].walked

    @property
    def listings(self) -> tuple[Listing, ...]:
        """Every part opened so far, the root first."""
        return tuple(self._roster.parts)

    def expectation(self) -> Expectation:
        """What is to be spent from here on."""
        return expect(self._roster, self.root)

    def reconcile(self) -> Reconciliation:
        """What came of it, so far."""
        finer = any(step > self._finest for step in self._narrowed)
        return reconcile(self._roster, self.root, finer=finer)

    def __repr__(self) -> str:
        return f"<Family of {self.root}: {len(self._roster.parts)} parts>"

    # -- plans

    def _whole(self) -> Plan:
        root = self._roster.open_wanted(self.root)
        yield Wait((root,), "first")
        if not self._roster.fits(root):
            self._roster.spawn(self._bounds(root), capped=True)

    def _bounds(self, root: Part) -> Plan:
        """Look for the lowest and the highest price."""
        whole = self._asker.band
        up, down = (self._roster.open(self._asker.part(whole, (), sort)) for sort in (UP, DOWN))
        yield Wait((up, down), "first")
        prices = [*up.prices, *down.prices, *root.prices]
        self._sample = tuple(root.prices)
        if len(set(prices)) <= 1:
            yield from self._singles.divide(SinglePrice(whole, (), UP), up)
            return
        reach = Reach(min(prices), max(prices), finest(prices))
        yield from self._first_cut(_Region(whole, UP, PriceFacts(), reach))

    def _first_cut(self, whole: _Region) -> Plan:
        """Cut at a price that has been seen: a row there proves the bound that shows it."""
        reach, band = whole.reach, whole.band
        wish = choose(reach, self._sample, ())
        seen = [price for price in self._sample if reach.floor <= price < reach.top]
        at = min(seen, key=lambda price: (abs(price - wish), price), default=reach.floor)
        left = msgspec.structs.replace(band, high=at, owns_high=False)
        right = msgspec.structs.replace(band, low=at, owns_low=False)
        below, above = self._open(left, DOWN), self._open(right, UP)
        yield Wait((below, above), "first")
        facts = left.facts(below.prices) | right.facts(above.prices)
        left = msgspec.structs.replace(left, owns_high=facts.end)
        right = msgspec.structs.replace(right, owns_low=facts.start and not facts.end)
        known = _Region(band, UP, facts, reach)
        self._if_capped(known.side(left, DOWN), below)
        self._if_capped(known.side(right, UP), above)
        if not (facts.start or facts.end):
            gap = Band(max(at - reach.step, Decimal(0)), at + reach.step)
            self._roster.spawn(self._band(known.side(gap, UP)))

    def _band(self, region: _Region) -> Plan:
        """A band of prices: walked if it fits, else divided."""
        part = self._open(region.band, region.sort)
        yield Wait((part,), "first")
        self._if_capped(region, part)

    def _if_capped(self, region: _Region, part: Part) -> None:
        if not self._roster.fits(part):
            self._roster.spawn(self._divide(region, part), capped=True)

    def _divide(self, region: _Region, part: Part) -> Plan:
        """A band at the ceiling, whose first page has come."""
        band = region.band
        prices = [price for price in part.prices if band.holds(price)]
        facts = region.facts | band.facts(prices)
        reach = region.reach.seen(prices, rising=region.sort == UP).within(band)
        tight = tightened(band, facts, reach.step)
        one = len(set(prices)) == 1
        if prices and tight != band and (reach.single or (one and not tight.holds(prices[0]))):
            self._narrowed.append(reach.step)
            yield from self._band(_Region(tight, region.sort, facts, reach))
        elif reach.single or not prices:
            # Not even its first page shows a price of the band: the filter does not filter.
            yield from self._singles.divide(SinglePrice(band, (), region.sort), part)
        else:
            at = choose(reach, self._sample, prices)
            left, right = cut(band, at, facts, reach.step)
            known = _Region(band, region.sort, facts, reach)
            self._roster.spawn(self._band(known.side(left, DOWN)))
            self._roster.spawn(self._band(known.side(right, UP)))
            yield Wait((self._open(left, DOWN), self._open(right, UP)), "first")

    def _open(self, band: Band, sort: str) -> Part:
        return self._roster.open_wanted(self._asker.part(band, (), sort))
