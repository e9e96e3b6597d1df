"""Price bands: how one is cut so that no price is lost. Exact decimals; no I/O.

Whether `price_start` and `price_end` include the price they name is not documented. A bound is
known to be inclusive only when an answer has shown a row at exactly that price; exclusive is never
taken for granted. A band therefore knows which prices it is *answerable* for: every price strictly
between its bounds, and a bound itself only where it owns it, which takes a proof. Cutting hands
each answerable price to one side at least, whatever the API does with bounds:

* the end proven inclusive: both sides share the bound, which the left side owns;
* only the start proven inclusive: the same, and the right side owns it;
* nothing proven: the sides overlap by one step, so that each price lies inside one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal

import msgspec

CENT = Decimal("0.01")
_SMALLEST_STEP = 6  # decimals; a price with more is harvested, but no band is cut at it
_LARGEST = Decimal(10) ** 12
_MATHS = Context(prec=40)
_REPEATED = 3  # so many rows of a sample at one price: cut there
_ENOUGH = 3  # prices that make a sample


class PriceFacts(msgspec.Struct, frozen=True):
    """What rows have proven of the bounds: a row at exactly that price was shown."""

    start: bool = False
    end: bool = False

    def __or__(self, other: PriceFacts) -> PriceFacts:
        return PriceFacts(self.start or other.start, self.end or other.end)


class Band(msgspec.Struct, frozen=True):
    """A price band as it is asked for.

    Attributes:
        low: `price_start`, or None for none.
        high: `price_end`, or None for none.
        owns_low: The band is answerable for the price `low` itself.
        owns_high: The same of `high`.
    """

    low: Decimal | None = None
    high: Decimal | None = None
    owns_low: bool = False
    owns_high: bool = False

    def facts(self, prices: Iterable[Decimal]) -> PriceFacts:
        """What these prices, shown by the band, prove."""
        shown = set(prices)
        return PriceFacts(self.low in shown, self.high in shown)

    def holds(self, price: Decimal) -> bool:
        """Whether a price lies within its bounds, these included."""
        above = self.low is None or self.low <= price
        return above and (self.high is None or price <= self.high)


class Reach(msgspec.Struct, frozen=True):
    """The lowest and the highest price that a band is known to be able to hold, and the grid.

    It guides where to cut, and never what is asked for: a price beyond it is still inside a band.

    Attributes:
        floor: Lowest price.
        top: Highest price.
        step: Distance of neighbouring prices: a power of ten, a cent at most.
    """

    floor: Decimal
    top: Decimal
    step: Decimal

    def within(self, band: Band) -> Reach:
        """What of it the band is answerable for."""
        floor, top, step = self.floor, self.top, self.step
        if band.low is not None:
            floor = max(floor, band.low if band.owns_low else band.low + step)
        if band.high is not None:
            top = min(top, band.high if band.owns_high else band.high - step)
        return Reach(floor, top, step)

    def seen(self, prices: Sequence[Decimal], *, rising: bool) -> Reach:
        """What is left of it when a first page in the order of prices has shown these."""
        if not prices:
            return self
        step = finest(prices, self.step)
        if rising:
            return Reach(max(self.floor, min(prices)), self.top, step)
        return Reach(self.floor, min(self.top, max(prices)), step)

    @property
    def single(self) -> bool:
        """Whether it holds one price at most."""
        return self.floor >= self.top


def usable(price: Decimal | None) -> bool:
    """Whether a band could be cut at a price: not absurdly large, negative or fine."""
    return price is not None and 0 <= price < _LARGEST and _decimals(price) <= _SMALLEST_STEP


def finest(prices: Iterable[Decimal], step: Decimal = CENT) -> Decimal:
    """The step of the finest of these prices, `step` at most."""
    most = max((_decimals(price) for price in prices), default=0)
    return min(step, Decimal(1).scaleb(-most))


def _decimals(price: Decimal) -> int:
    exponent = _MATHS.normalize(price).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else _SMALLEST_STEP + 1


def text(price: Decimal) -> str:
    """A price as listings write it: plain, and without zeros at the end (`"9.9"`)."""
    plain = format(price, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def cut(band: Band, at: Decimal, facts: PriceFacts, step: Decimal) -> tuple[Band, Band]:
    """Cut a band: prices up to `at` to the left, those above to the right."""
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


def tightened(band: Band, facts: PriceFacts, step: Decimal) -> Band:
    """The band without the bounds it does not own, where it is proven that they show.

    A price may stand at a bound that its neighbour answers for, and fill the band to the ceiling.
    One step inside it, a bound that is proven inclusive still shows all that the band owns. Prices
    finer than the step would be passed over: the planner says so, should it ever see one.
    """
    low, owns_low, high, owns_high = band.low, band.owns_low, band.high, band.owns_high
    if facts.start and low is not None and not owns_low:
        low, owns_low = low + step, True
    if facts.end and high is not None and not owns_high:
        high, owns_high = high - step, True
    if low is not None and high is not None and low > high:
        return band
    return Band(low, high, owns_low, owns_high)


def choose(reach: Reach, sample: Iterable[Decimal], first: Sequence[Decimal]) -> Decimal:
    """Where to cut a band of more than one price; the left side takes the price chosen.

    Args:
        reach: The prices it can hold.
        sample: Prices of the whole listing, in no order: a price that many of them share, or else
            their median, divides better than the middle.
        first: Prices of the band's first page, in the order of prices. Where all are the same,
            that price may fill the ceiling alone, and is cut off.
    """
    last = reach.top - reach.step
    inside = sorted(price for price in sample if reach.floor <= price <= reach.top)
    common = Counter(inside).most_common(1)
    if first and len(set(first)) == 1:
        at = first[0]
    elif common and common[0][1] >= _REPEATED:
        at = common[0][0]
    elif len(inside) >= _ENOUGH:
        at = inside[(len(inside) - 1) // 2]
    else:
        # Prices spread by ratios: the geometric mean halves them better than the middle.
        product = _MATHS.multiply(max(reach.floor, reach.step), reach.top)
        at = _MATHS.quantize(_MATHS.sqrt(product), reach.step)
    return max(reach.floor, min(at if at < reach.top else last, last))
