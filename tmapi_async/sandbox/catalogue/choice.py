"""A choice of rows: the filters and the order that an endpoint is asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

Sort = Literal["default", "sales", "price_up", "price_down", "time_up", "time_down"]


class Filters(NamedTuple):
    """The boolean filters; None means that it was not sent.

    `GET /1688/category/items` knows the first three. The others know all four, and call the first
    `is_super_factory`.
    """

    super_factory: bool | None = None
    support_dropshipping: bool | None = None
    free_shipping: bool | None = None
    new_arrival: bool | None = None


ALL = Filters()
"""No filter."""


class Choice(NamedTuple):
    """Which rows of a category are shown, and in which order.

    Attributes:
        filters: The boolean filters.
        price_start: Lower bound of the price, in yuan. Whether the bound itself is shown is a
            property of the catalogue (`bounds`).
        price_end: Upper bound likewise.
        moq: Largest minimal order: rows that can only be ordered in larger numbers are not shown.
        shop_cat: A category of a shop's own, as `category_path` of a shop's row has it.
        sort: The order. Rows of one price come in a stable order in `price_up`, and `price_down`
            is the exact reverse.
    """

    filters: Filters = ALL
    price_start: Decimal | None = None
    price_end: Decimal | None = None
    moq: int | None = None
    shop_cat: str | None = None
    sort: Sort = "default"

    @property
    def narrows(self) -> bool:
        """Whether anything but the boolean filters keeps rows away."""
        return self._replace(filters=ALL, sort="default") != EVERYTHING


EVERYTHING = Choice()
"""All rows of a category, in its own order."""
