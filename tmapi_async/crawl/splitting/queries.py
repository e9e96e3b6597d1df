"""What the planner sees and says: pages as sights, steps, and parts as listings. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing, endpoint_of
from tmapi_async.api.replies import Page

from .price_bands import Band, text

Row: TypeAlias = tuple[int, Decimal | None]
Flags: TypeAlias = tuple[tuple[str, bool], ...]
UP, DOWN = "price_up", "price_down"
_NARROWING = ("sort", "price_start", "price_end")


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What one page showed.

    Attributes:
        number: 1-based page number.
        total: Its `total_count`, or None.
        rows: Item ID and price, in yuan, or None; in the order of the page.
        rejects: Rows that could not be decoded.
        has_next: Its `has_next_page`.
        page_size: Page size as echoed, or None.
        at: When it had been read, milliseconds since 1970, UTC; 0 if not known.
    """

    number: int
    total: int | None
    rows: tuple[Row, ...]
    rejects: int = 0
    has_next: bool = True
    page_size: int | None = None
    at: int = 0

    @classmethod
    def of(cls, page: Page[Any]) -> Observation:
        """What a page showed."""
        return cls(
            number=page.number,
            total=page.total_count,
            rows=tuple((item.item_id, item.sale_price) for item in page.items),
            rejects=len(page.rejects),
            has_next=page.has_next_page,
            page_size=page.page_size,
            # To the millisecond, as journals keep it: what is shown again must decide the same.
            at=round(page.fetched_at.timestamp() * 1000),
        )

    @property
    def ids(self) -> frozenset[int]:
        """The item IDs on it."""
        return frozenset(item for item, _ in self.rows)


class SplitQuery(msgspec.Struct, frozen=True):
    """What to do with a part.

    Attributes:
        do: "open": ask for its first page. "walk": walk it to its end, from its second page on.
            "leave": ask for no more of it now; "walk" may still follow.
        listing: The part.
    """

    do: Literal["open", "walk", "leave"]
    listing: Listing


class QueryBuilder:
    """Makes the parts of a listing.

    Args:
        root: The listing that is divided. Its own sort order and price band are honoured: parts
            lie within its band.
    """

    def __init__(self, root: Listing) -> None:
        given = dict(root.params)
        self._endpoint = root.endpoint
        self.endpoint = endpoint_of(root)
        self._base = {name: value for name, value in given.items() if name not in _NARROWING}
        self._texts = (given.get("price_start"), given.get("price_end"))
        low, high = (Decimal(value) if value else None for value in self._texts)
        # The outer bounds are the caller's wish: what the API shows within them is the listing.
        self.band = Band(low, high, owns_low=low is not None, owns_high=high is not None)
        self.sort = given.get("sort")

    def part(self, band: Band, flags: Flags, sort: str | None) -> Listing:
        """The listing that asks for a part."""
        params = dict(self._base)
        for name, value in flags:
            params[name] = "true" if value else "false"
        for name, bound, outer, given in (
            ("price_start", band.low, self.band.low, self._texts[0]),
            ("price_end", band.high, self.band.high, self._texts[1]),
        ):
            if bound is not None:
                params[name] = given if given and bound == outer else text(bound)
        if sort:
            params["sort"] = sort
        return Listing(self._endpoint, tuple(sorted(params.items())))


def opposite(sort: str | None) -> str:
    """The other order of prices; the rising one for an order that is none of prices."""
    return DOWN if sort == UP else UP


def turned(listing: Listing) -> Listing:
    """The same listing in the opposite order of prices."""
    params = dict(listing.params)
    params["sort"] = opposite(params.get("sort"))
    return Listing(listing.endpoint, tuple(sorted(params.items())))
