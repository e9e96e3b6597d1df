"""A choice of rows: filters and sort order of a request."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

Sort = Literal["default", "sales", "price_up", "price_down", "time_up", "time_down"]


class Filters(NamedTuple):
    """Boolean filters; None means that the filter was not sent.

    `GET /1688/category/items` accepts the first three. The other endpoints accept all four, and
    name the first one `is_super_factory`.
    """

    super_factory: bool | None = None
    support_dropshipping: bool | None = None
    free_shipping: bool | None = None
    new_arrival: bool | None = None


ALL = Filters()
"""No filter."""


class Choice(NamedTuple):
    """Rows of a category to show, and their order.

    Attributes:
        filters: The boolean filters.
        price_start: Lower bound of the price, in yuan. `Catalogue.bounds` says whether rows with
            exactly this price are shown.
        price_end: Upper bound of the price, in yuan; see `price_start`.
        moq: Only rows whose minimum order is at most this number.
        shop_cat: A shop's own category, as in `category_path` of a row of the shop.
        sort: Sort order. Rows with the same price have a stable order in `price_up`; `price_down`
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
        """True if a condition other than the boolean filters excludes rows."""
        return self._replace(filters=ALL, sort="default") != EVERYTHING


EVERYTHING = Choice()
"""All rows of a category, in the default order."""
