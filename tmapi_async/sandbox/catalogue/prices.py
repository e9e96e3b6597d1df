"""Price distributions for tests, for example for categories that are hard to divide."""

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
    """Log-normal prices, with chosen numbers of items at exact prices.

    The price of an item is a pure function of the seed and its index. Exactly as many items as
    `at` says have each of its prices. The other prices are evenly spaced quantiles of the
    log-normal distribution, in an order that is unrelated to the order of the items.

    Attributes:
        median: Median price, in yuan.
        sigma: Standard deviation of the logarithm; 0 gives all items the same price.
        at: Price in yuan (as text, `"9.90"`) -> number of items with exactly this price.

    Raises:
        ValueError: A price is not a positive number of whole fen, or a number is negative.
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
            raise ValueError(
                f"prices.at must map prices to numbers of items, 0 or more, not {dict(self.at)}"
            )

    @classmethod
    def parse(cls, text: str) -> Prices:
        """Parse a text such as `"15.00,1.3,9.90:3000"`: median, sigma, exact prices.

        Raises:
            ValueError: The text does not have this form.
        """
        median, *numbers = text.split(",")
        points = (point.partition(":") for point in numbers[1:])
        try:
            at = {price: int(count) for price, _, count in points}
            return cls(median=median, sigma=float(numbers[0]) if numbers else cls.sigma, at=at)
        except ValueError as error:
            message = f"prices {text!r} are not MEDIAN[,SIGMA[,PRICE:COUNT]...]: {error}"
            raise ValueError(message) from None

    @cached_property
    def _fixed(self) -> Mapping[int, int]:
        return {_fen(price): count for price, count in self.at.items()}

    def price(self, seed: int, cat_id: int, index: int, size: int) -> int:
        """Return the price in fen of the item at an index of a category with `size` items."""
        start, step = _shuffle(seed, cat_id, size)
        rank = (start + index * step) % size  # maps indices to ranks one to one, without a table
        fixed = self._fixed
        for price, count in fixed.items():
            if rank < count:
                return price
            rank -= count
        free = size - sum(fixed.values())
        deviation = self.sigma * normal((rank + 0.5) / free)
        price = min(max(round(_fen(self.median) * math.exp(deviation)), 1), _DEAREST)
        while price in fixed:  # only the chosen number of items has an exact price
            price += 1
        return price


@lru_cache(maxsize=256)
def _shuffle(seed: int, cat_id: int, size: int) -> tuple[int, int]:
    """Return start and step of a cycle that visits each of `size` indices once."""
    start, step = mix(seed, "price", cat_id) % size, mix(seed, "price step", cat_id) % size
    while math.gcd(step, size) != 1:
        step += 1
    return start, step


def _fen(price: str | Decimal) -> int:
    try:
        fen = Decimal(price).scaleb(2)
    except InvalidOperation:
        raise ValueError(f"{price!r} is not a price in yuan") from None
    if not fen.is_finite() or not 0 < fen <= _DEAREST or fen != int(fen):
        raise ValueError(f"{price!r} is not a positive price of whole fen")
    return int(fen)
