"""Input and output of the planner: observed pages, queries, and parts as listings. No I/O."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from typing import Any, Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.api.replies import Page

from .price_bands import Band, price_text

Row: TypeAlias = tuple[int, Decimal | None]
Flags: TypeAlias = tuple[tuple[str, bool], ...]
UP, DOWN = "price_up", "price_down"
_REPLACED_PARAMS = ("sort", "price_start", "price_end")


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Facts from one page that the planner needs.

    Attributes:
        number: 1-based page number.
        total: `total_count` of the page, or None.
        rows: Item ID and price in yuan (or None) of each row, in page order.
        rejects: Rows that could not be decoded.
        reason: Reason why the first of them could not be decoded, or "".
        has_next: `has_next_page` of the page.
        page_size: Page size as echoed, or None.
        at: Time at which the page had been read, in milliseconds since 1970, UTC; 0 if unknown.
        asked: Time at which the page was asked for, the same way.
        again: True if a stored page was requested once more: another page has its number.
    """

    number: int
    total: int | None
    rows: tuple[Row, ...]
    rejects: int = 0
    reason: str = ""
    has_next: bool = True
    page_size: int | None = None
    at: int = 0
    asked: int = 0
    again: bool = False

    @classmethod
    def of(cls, page: Page[Any], *, again: bool = False) -> Observation:
        """Return the observation of a page."""
        # To the millisecond, as journals store it: a replay must come to the same decisions.
        at = round(page.fetched_at.timestamp() * 1000)
        return cls(
            number=page.number,
            total=page.total_count,
            rows=tuple((item.item_id, item.sale_price) for item in page.items),
            rejects=len(page.rejects),
            reason=page.rejects[0].reason if page.rejects else "",
            has_next=page.has_next_page,
            page_size=page.page_size,
            at=at,
            asked=at - ceil(round(page.latency * 1e6) / 1000),
            again=again,
        )

    @property
    def ids(self) -> frozenset[int]:
        """Item IDs on the page."""
        return frozenset(item for item, _ in self.rows)


class SplitQuery(msgspec.Struct, frozen=True):
    """An order from the planner about one part.

    Attributes:
        action: "open": request the first page. "walk": walk to the end, from page 2 on. "leave":
            request nothing more for now; "walk" may still follow.
        listing: The part.
    """

    action: Literal["open", "walk", "leave"]
    listing: Listing


class QueryBuilder:
    """Builds the listings of parts.

    Args:
        root: Listing that is divided. Its parts stay within its own price band, and replace its
            sort order by an order of prices.
    """

    def __init__(self, root: Listing) -> None:
        params = dict(root.params)
        self._endpoint = root.endpoint
        self._base = {name: value for name, value in params.items() if name not in _REPLACED_PARAMS}
        self._texts = (params.get("price_start"), params.get("price_end"))
        low, high = (Decimal(value) if value else None for value in self._texts)
        # The outer bounds are the caller's: the listing is what the API shows within them.
        self.band = Band(low, high, owns_low=low is not None, owns_high=high is not None)

    def listing(self, band: Band, flags: Flags, sort: str | None) -> Listing:
        """Return the listing of a part."""
        params = dict(self._base)
        for name, value in flags:
            params[name] = "true" if value else "false"
        for name, bound, outer, original in (
            ("price_start", band.low, self.band.low, self._texts[0]),
            ("price_end", band.high, self.band.high, self._texts[1]),
        ):
            if bound is not None:
                params[name] = original if original and bound == outer else price_text(bound)
        if sort:
            params["sort"] = sort
        return Listing(self._endpoint, tuple(sorted(params.items())))


def opposite_order(sort: str | None) -> str:
    """Return the other order of prices; the rising one for an order that is not by price."""
    return DOWN if sort == UP else UP


def reversed_listing(listing: Listing) -> Listing:
    """Return the same listing in the opposite order of prices."""
    params = dict(listing.params)
    params["sort"] = opposite_order(params.get("sort"))
    return Listing(listing.endpoint, tuple(sorted(params.items())))
