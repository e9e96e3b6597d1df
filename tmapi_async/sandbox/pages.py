"""Pages of the catalogue as bytes, made on demand and kept while memory allows."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .catalogue import Filters
from .endpoints import filters_of
from .hashing import chance, mix

if TYPE_CHECKING:
    from .catalogue import Catalogue
    from .config import Config
    from .stats import Listing

_KEPT_BYTES = 64 * 2**20
_MOST_REPEATS = 3


class Contents(NamedTuple):
    """What a page shows.

    Attributes:
        indices: Index of each row's item in its category, in the order of the page.
        has_next: What the page says about a next one.
    """

    indices: list[int]
    has_next: bool


class Pages:
    """Renders pages, a pure function of the catalogue and the configuration.

    Args:
        config: Supplies seed, drift, repeats, short pages and endless listings.
        catalogue: The items.
    """

    def __init__(self, config: Config, catalogue: Catalogue) -> None:
        self._config = config
        self._catalogue = catalogue
        self._kept: OrderedDict[tuple[Listing, int], bytes] = OrderedDict()
        self._kept_bytes = 0

    def body(self, listing: Listing, page: int) -> bytes:
        """The reply's body for a page request."""
        key = (listing, page)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        made = self._drifted(listing, page, self._clean(listing, page))
        self._keep(key, made)
        return made

    def _clean(self, listing: Listing, page: int) -> bytes:
        """The body as the API's document shows it."""
        shown, cat_id = self.contents(listing, page), listing.cat_id or 0
        rows = ",".join([self._catalogue.row(cat_id, index) for index in shown.indices])
        sent = ",".join(f'"{k}":{v}' for k, v in listing.params if k in Filters._fields)
        has_next = "true" if shown.has_next else "false"
        return (
            f'{{"code":200,"msg":"success","data":{{"page":{page},'
            f'"page_size":{self._catalogue.page_size},"has_next_page":{has_next},'
            f'"filters":{{{sent}}},"items":[{rows}]}}}}'
        ).encode()

    def _drifted(self, listing: Listing, page: int, body: bytes) -> bytes:
        drift, seed = self._config.drift, self._config.seed
        if not (drift.rows or drift.bad_rows or drift.envelopes):
            return body
        whole = msgspec.json.decode(body)
        whole["data"]["items"] = [drift.row(seed, row) for row in whole["data"]["items"]]
        return msgspec.json.encode(drift.reply(seed, whole, listing, page))

    def contents(self, listing: Listing, page: int) -> Contents:
        """Which items a page shows, and whether it says that there is a next page."""
        cat_id, filters = listing.cat_id or 0, filters_of(listing)
        last = self._catalogue.pages(cat_id, filters)
        endless = self._config.endless.get(cat_id)
        if page > last:
            return Contents(self._beyond(listing, page, last), endless is not None)
        indices = self._own(listing, page, last)
        if page > 1 and self._by_chance(self._config.repeats, "repeat", listing, page):
            count = 1 + mix(self._config.seed, "repeats", listing, page) % _MOST_REPEATS
            indices = self._own(listing, page - 1, last)[:count] + indices
        return Contents(indices, page < last or endless is not None)

    def _own(self, listing: Listing, page: int, last: int) -> list[int]:
        start, stop = self._bound(listing, page - 1, last), self._bound(listing, page, last)
        cat_id = listing.cat_id or 0
        return self._catalogue.indices(cat_id, start, stop, filters_of(listing))

    def _bound(self, listing: Listing, page: int, last: int) -> int:
        """Position after the last row of a page; a short page leaves rows to the next."""
        size = self._catalogue.page_size
        if 0 < page < last and self._by_chance(self._config.short_pages, "short", listing, page):
            most = max(1, size // 2)
            missing = 1 + mix(self._config.seed, "missing", listing, page) % most
            return page * size - min(missing, size - 1)
        if page >= last:
            return self._catalogue.size(listing.cat_id or 0, filters_of(listing))
        return page * size

    def _beyond(self, listing: Listing, page: int, last: int) -> list[int]:
        kind = self._config.endless.get(listing.cat_id or 0)
        if kind == "same":
            return self._own(listing, last, last)
        if kind == "no-new":
            cat_id, size = listing.cat_id or 0, self._catalogue.page_size
            known = self._catalogue.indices(cat_id, 0, 10 * size, filters_of(listing))
            turn = mix(self._config.seed, "turn", listing, page)
            count = min(len(known), size)
            return [known[(turn + 7 * i) % len(known)] for i in range(count)]
        return []

    def _by_chance(self, probability: float, *about: object) -> bool:
        return probability > 0 and chance(self._config.seed, *about) < probability

    def _keep(self, key: tuple[Listing, int], body: bytes) -> None:
        self._kept[key] = body
        self._kept_bytes += len(body)
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
