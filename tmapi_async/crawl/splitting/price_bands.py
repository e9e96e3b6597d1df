"""Price bands: cut a band in two so that no price is lost. Exact decimals; no I/O.

The API document does not say whether `price_start` and `price_end` include the price they name. A
bound is known to be inclusive only when an answer has shown a row at exactly that price. A bound is
never assumed to be exclusive. A band therefore knows for which prices it is *answerable*: every
price strictly between its bounds, and a bound itself only if the band owns that bound, which takes
a proof. A cut gives each answerable price to at least one side, whatever the bounds mean:

* `price_end` is proven inclusive: both sides share the bound, and the left side owns it;
* only `price_start` is proven inclusive: both sides share the bound, and the right side owns it;
* nothing is proven: the sides overlap by one step, so that each price lies inside one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal

import msgspec

CENT = Decimal("0.01")
_MAX_DECIMALS = 6  # a price with more decimals is harvested, but no band is cut at it
_MAX_PRICE = Decimal(10) ** 12
_MATHS = Context(prec=40)
_COMMON_PRICE_ROWS = 3  # rows of a sample at one price from which on that price is the cut
_MIN_SAMPLE = 3  # prices from which on their median is used


class PriceFacts(msgspec.Struct, frozen=True):
    """Bounds that are proven inclusive: a row at exactly that price was shown."""

    start: bool = False
    end: bool = False

    def __or__(self, other: PriceFacts) -> PriceFacts:
        return PriceFacts(self.start or other.start, self.end or other.end)


class Band(msgspec.Struct, frozen=True):
    """A price band as it is requested.

    Attributes:
        low: `price_start`, or None without a lower bound.
        high: `price_end`, or None without an upper bound.
        owns_low: True if the band is answerable for the price `low` itself.
        owns_high: True if the band is answerable for the price `high` itself.
    """

    low: Decimal | None = None
    high: Decimal | None = None
    owns_low: bool = False
    owns_high: bool = False

    def facts_from(self, prices: Iterable[Decimal]) -> PriceFacts:
        """Return the facts that these prices prove, if the band has shown them."""
        shown = set(prices)
        return PriceFacts(self.low in shown, self.high in shown)

    def contains(self, price: Decimal) -> bool:
        """Return True if a price lies between the bounds or at one of them."""
        above_low = self.low is None or self.low <= price
        return above_low and (self.high is None or price <= self.high)


class Reach(msgspec.Struct, frozen=True):
    """The lowest and the highest price that a band may hold as far as known, and the price grid.

    A reach decides where to cut, never which prices are requested: a price outside the reach still
    lies inside a band.

    Attributes:
        floor: Lowest price.
        top: Highest price.
        step: Distance of neighbouring prices: a power of ten, at most one cent.
    """

    floor: Decimal
    top: Decimal
    step: Decimal

    def within(self, band: Band) -> Reach:
        """Return the prices of this reach for which the band is answerable."""
        floor, top, step = self.floor, self.top, self.step
        if band.low is not None:
            floor = max(floor, band.low if band.owns_low else band.low + step)
        if band.high is not None:
            top = min(top, band.high if band.owns_high else band.high - step)
        return Reach(floor, top, step)

    def after_page(self, prices: Sequence[Decimal], *, rising: bool) -> Reach:
        """Return the reach left after a first page in an order of prices has shown `prices`."""
        if not prices:
            return self
        step = finest_step(prices, self.step)
        if rising:
            return Reach(max(self.floor, min(prices)), self.top, step)
        return Reach(self.floor, min(self.top, max(prices)), step)

    @property
    def single(self) -> bool:
        """True if the reach holds at most one price."""
        return self.floor >= self.top


def can_cut_at(price: Decimal | None) -> bool:
    """Return True if a band can be cut at a price: not negative, not absurdly large or fine."""
    return price is not None and 0 <= price < _MAX_PRICE and _decimals(price) <= _MAX_DECIMALS


def finest_step(prices: Iterable[Decimal], step: Decimal = CENT) -> Decimal:
    """Return the step of the finest of these prices, at most `step`."""
    decimals = max((_decimals(price) for price in prices), default=0)
    return min(step, Decimal(1).scaleb(-decimals))


def _decimals(price: Decimal) -> int:
    exponent = _MATHS.normalize(price).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else _MAX_DECIMALS + 1


def price_text(price: Decimal) -> str:
    """Return a price as listings write it: plain, without zeros at the end (`"9.9"`)."""
    plain = format(price, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def cut(band: Band, at: Decimal, facts: PriceFacts, step: Decimal) -> tuple[Band, Band]:
    """Cut a band: prices up to `at` go to the left side, higher ones to the right side."""
    if facts.end:
        left, right = Band(high=at, owns_high=True), Band(low=at)
    elif facts.start:
        left, right = Band(high=at + step), Band(low=at + step, owns_low=True)
    else:
        left, right = Band(high=at + step), Band(low=at)
    return (
        msgspec.structs.replace(left, low=band.low, owns_low=band.owns_low),
        msgspec.structs.replace(right, high=band.high, owns_high=band.owns_high),
    )


def tighten(band: Band, facts: PriceFacts, step: Decimal) -> Band:
    """Move in each bound that the band does not own, if bounds of that side are proven inclusive.

    A price at a bound may belong to the neighbour band and fill this band to the ceiling. One step
    further inside, an inclusive bound still shows everything that the band owns. Prices finer than
    the step would be left out; the planner reports it if such a price is ever seen.
    """
    low, owns_low, high, owns_high = band.low, band.owns_low, band.high, band.owns_high
    if facts.start and low is not None and not owns_low:
        low, owns_low = low + step, True
    if facts.end and high is not None and not owns_high:
        high, owns_high = high - step, True
    if low is not None and high is not None and low > high:
        return band
    return Band(low, high, owns_low, owns_high)


def choose_cut(reach: Reach, sample: Iterable[Decimal], first: Sequence[Decimal]) -> Decimal:
    """Choose where to cut a band of more than one price; the left side takes the chosen price.

    Args:
        reach: Prices that the band can hold.
        sample: Prices of the whole listing, in no order. A price that many of them share, or else
            their median, divides better than the middle.
        first: Prices of the band's first page, in an order of prices. If all are the same, that
            price may fill the ceiling alone, and is cut off.
    """
    last = reach.top - reach.step
    inside = sorted(price for price in sample if reach.floor <= price <= reach.top)
    common = Counter(inside).most_common(1)
    if first and len(set(first)) == 1:
        at = first[0]
    elif common and common[0][1] >= _COMMON_PRICE_ROWS:
        at = common[0][0]
    elif len(inside) >= _MIN_SAMPLE:
        at = inside[(len(inside) - 1) // 2]
    else:
        # Prices spread by ratios: the geometric mean halves them better than the middle.
        product = _MATHS.multiply(max(reach.floor, reach.step), reach.top)
        at = _MATHS.quantize(_MATHS.sqrt(product), reach.step)
    return max(reach.floor, min(at if at < reach.top else last, last))
