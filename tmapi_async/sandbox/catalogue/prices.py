"""Chosen distributions of prices, for categories that a test wants to be hard to divide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache

from .hashing import mix, normal

_DEAREST = 99_999_999_99  # fen


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Log-normal prices, of which chosen numbers stand at exact points.

    Every item's price is a pure function of the seed and its index. As many items as `at` says
    have exactly that price and no others do; the rest lie at evenly spaced quantiles of the
    log-normal distribution, in an order that has nothing to do with the items' own.

    Attributes:
        median: Median price, in yuan.
        sigma: Standard deviation of the logarithm; 0 gives all the same price.
        at: Price in yuan (as text, `"9.90"`) -> number of items that cost exactly this.

    Raises:
        ValueError: A price is no positive amount of whole fen, or a number is negative.
    """

    median: str | Decimal = "20.00"
    sigma: float = 1.0
    at: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < float("inf"):
            raise ValueError(f"sigma must be 0 or more, not {self.sigma}")
        for price in (self.median, *self.at):
            _fen(price)
        if any(count < 0 for count in self.at.values()):
            raise ValueError(f"prices.at holds numbers of items, 0 or more, not {dict(self.at)}")

    @classmethod
    def parse(cls, text: str) -> Prices:
        """Prices from a text such as `"15.00,1.3,9.90:3000"`: median, sigma, points.

        Raises:
            ValueError: It is no such text.
        """
        median, *rest = text.split(",")
        points = (point.partition(":") for point in rest[1:])
        try:
            at = {price: int(count) for price, _, count in points}
            return cls(median=median, sigma=float(rest[0]) if rest else cls.sigma, at=at)
        except ValueError as problem:
            message = f"prices {text!r} are not MEDIAN[,SIGMA[,PRICE:COUNT]...]: {problem}"
            raise ValueError(message) from None

    @cached_property
    def _fixed(self) -> Mapping[int, int]:
        return {_fen(price): count for price, count in self.at.items()}

    def price(self, seed: int, cat_id: int, index: int, size: int) -> int:
        """Price in fen of the item at an index of a category with so many items."""
        start, step = _shuffle(seed, cat_id, size)
        rank = (start + index * step) % size  # a bijection of the indices, without a table
        fixed = self._fixed
        for price, count in fixed.items():
            if rank < count:
                return price
            rank -= count
        free = size - sum(fixed.values())
        away = self.sigma * normal((rank + 0.5) / free)
        price = min(max(round(_fen(self.median) * math.exp(away)), 1), _DEAREST)
        while price in fixed:  # exactly as many as were asked for stand at such a point
            price += 1
        return price


@lru_cache(maxsize=256)
def _shuffle(seed: int, cat_id: int, size: int) -> tuple[int, int]:
    """Start and step of a walk that meets each of so many indices once."""
    start, step = mix(seed, "price", cat_id) % size, mix(seed, "price step", cat_id) % size
    while math.gcd(step, size) != 1:
        step += 1
    return start, step


def _fen(price: str | Decimal) -> int:
    try:
        fen = Decimal(price).scaleb(2)
    except InvalidOperation:
        raise ValueError(f"{price!r} is no price in yuan") from None
    if not fen.is_finite() or not 0 < fen <= _DEAREST or fen != int(fen):
        raise ValueError(f"{price!r} is no positive price of whole fen")
    return int(fen)
