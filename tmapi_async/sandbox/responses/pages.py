"""Pages of the catalogue as bytes, made on demand and kept while memory allows."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tmapi_async.sandbox.catalogue.hashing import chance, mix
from tmapi_async.sandbox.catalogue.ranking import Ranking

from .detail_row import detail
from .listing_views import View, Views
from .product_rows import ROWS, RowPosition
from .routes import CATEGORY_INFO, CATEGORY_ITEMS, GENERATED, filters_sent

if TYPE_CHECKING:
    from tmapi_async.sandbox.catalogue.catalogue import Catalogue

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


class PageBuilder:
    """Renders replies, a pure function of the catalogue, the configuration and the live ranking.

    Args:
        config: Supplies seed, drift, ceilings, repeats, short pages and endless listings.
        catalogue: The items.
        ranking: The live ranking; by default one that begins now.
    """

    def __init__(
        self, config: Config, catalogue: Catalogue, ranking: Ranking | None = None
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._ranking = ranking or Ranking(config.seed, config.shift)
        self._views = Views(config, catalogue, self._ranking)
        self._kept: OrderedDict[tuple[Listing, int], bytes] = OrderedDict()
        self._kept_bytes = 0

    def body(self, listing: Listing, page: int) -> bytes:
        """The reply's body for a page request, or for a request that has no pages.

        Raises:
            KeyError: It asks about a category or an item that does not exist, and has no pages.
        """
        self._ranking.answered += 1
        key = (listing, page)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        if not GENERATED[listing.path].paged:
            return self._single(listing)
        view = self._views.of(listing)
        if listing.path == CATEGORY_ITEMS.path:
            made = self._drifted(listing, page, self._clean(view, listing, page))
        else:
            made = self._encoded(self._whole(view, listing, page), listing, page)
        if not self._views.moves(view):
            self._keep(key, made)
        return made

    def contents(self, listing: Listing, page: int) -> Contents:
        """Which items a page shows, and whether it says that there is a next page."""
        return self._contents(self._views.of(listing), listing, page)

    # Bodies

    def _clean(self, view: View, listing: Listing, page: int) -> bytes:
        """The body of a v1 page as the API's document shows it."""
        shown, cat_id = self._contents(view, listing, page), view.cat_id
        rows = ",".join([self._catalogue.row(cat_id, index) for index in shown.indices])
        flags = filters_sent(listing).items()
        sent = ",".join(f'"{name}":{"true" if flag else "false"}' for name, flag in flags)
        has_next = "true" if shown.has_next else "false"
        return (
            f'{{"code":200,"msg":"success","data":{{"page":{page},'
            f'"page_size":{view.page_size},"has_next_page":{has_next},'
            f'"filters":{{{sent}}},"items":[{rows}]}}}}'
        ).encode()

    def _drifted(self, listing: Listing, page: int, body: bytes) -> bytes:
        drift = self._config.drift
        if not (drift.rows or drift.bad_rows or drift.envelopes):
            return body
        return self._encoded(msgspec.json.decode(body), listing, page)

    def _encoded(self, whole: dict[str, Any], listing: Listing, page: int) -> bytes:
        """A whole reply to a page request as bytes, drifted if so configured."""
        drift, seed = self._config.drift, self._config.seed
        if drift.rows or drift.bad_rows:
            whole["data"]["items"] = [drift.row(seed, row) for row in whole["data"]["items"]]
        return msgspec.json.encode(drift.reply(seed, whole, listing, page))

    def _whole(self, view: View, listing: Listing, page: int) -> dict[str, Any]:
        """The reply to a page request of a sibling of v1."""
        shown, endpoint, given = self._contents(view, listing, page), view.endpoint, view.given
        make = ROWS[listing.path]
        place = self._place(view.cat_id, given.get("language") or _LANGUAGE.get(listing.path, "zh"))
        product, cat_id = self._catalogue.product, view.cat_id
        rows = [make(product(cat_id, index), place) for index in shown.indices]
        for row in rows[: self._adverts_on(view, page)]:
            row.update({"is_ad": True} if "is_ad" in row else {})
        values: dict[str, Any] = {
            "page": page,
            "page_size": view.page_size,
            "total_count": str(view.size) if endpoint.total == "text" else view.size,
            "has_next_page": shown.has_next,
            "sort": view.choice.sort,
            "cat_id": _cat_id(view),
            "filters": filters_sent(listing),
            "items": rows,
        }
        data = {name: values.get(name, given.get(name, "")) for name in endpoint.fields}
        return {"code": 200, "msg": "success", "data": data}

    def _single(self, listing: Listing) -> bytes:
        """The reply to a request that has no pages."""
        given, config = dict(listing.params), self._config
        if listing.path == CATEGORY_INFO.path:
            data = self._catalogue.tree.info(listing.cat_id, config.root)
        else:
            located = self._catalogue.locate(int(given["item_id"]))
            if located is None:
                raise KeyError(given["item_id"])
            place = self._place(located[0], given.get("language", "zh"))
            product = self._catalogue.product(*located)
            data = config.drift.shaped(config.seed, detail(product, place))
        whole = {"code": 200, "msg": "success", "data": data}
        return msgspec.json.encode(config.drift.reply(config.seed, whole, listing))

    def _place(self, cat_id: int, language: str) -> RowPosition:
        tree = self._catalogue.tree
        name = tree[cat_id].name if cat_id in tree else ""
        return RowPosition(tuple(map(str, tree.path(cat_id))), name, language)

    # Contents

    def _contents(self, view: View, listing: Listing, page: int) -> Contents:
        endless = self._config.endless.get(view.cat_id)
        if page > view.pages:
            return Contents(self._beyond(view, listing, page), endless is not None)
        indices = self._own(view, listing, page)
        if page > 1 and self._by_chance(self._config.repeats, "repeat", listing, page):
            count = 1 + mix(self._config.seed, "repeats", listing, page) % _MOST_REPEATS
            indices = self._own(view, listing, page - 1)[:count] + indices
        if adverts := self._adverts_on(view, page):
            indices = self._adverts(view, adverts) + indices
        return Contents(indices, page < view.pages or endless is not None)

    def _adverts_on(self, view: View, page: int) -> int:
        """How many of a page's rows are adverts, which come first."""
        return min(self._config.adverts, view.size) if page <= view.pages else 0

    def _adverts(self, view: View, count: int) -> list[int]:
        """Rows of the listing that stand on each of its pages, wherever else they are."""
        rows = self._catalogue.choose(view.cat_id, view.choice)
        start = mix(self._config.seed, "adverts", view.cat_id) % view.size
        return [rows[(start + n) % view.size] for n in range(count)]

    def _own(self, view: View, listing: Listing, page: int) -> list[int]:
        start, stop = self._bound(view, listing, page - 1), self._bound(view, listing, page)
        return list(self._views.indices(view, start, stop))

    def _bound(self, view: View, listing: Listing, page: int) -> int:
        """Position after the last row of a page; a short page leaves rows to the next."""
        size = view.page_size
        if 0 < page < view.pages and self._by_chance(
            self._config.short_pages, "short", listing, page
        ):
            most = max(1, size // 2)
            missing = 1 + mix(self._config.seed, "missing", listing, page) % most
            return page * size - min(missing, size - 1)
        return view.size if page >= view.pages else page * size

    def _beyond(self, view: View, listing: Listing, page: int) -> list[int]:
        kind = self._config.endless.get(view.cat_id)
        if kind == "same":
            return self._own(view, listing, view.pages)
        if kind == "no-new":
            size = view.page_size
            known = self._views.indices(view, 0, 10 * size)
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


_LANGUAGE = {"/1688/global/search/items": "en"}
"""Path -> language of an endpoint that does not speak Chinese unless asked to."""


def _cat_id(view: View) -> Any:
    """What `cat_id` echoes: a number, null where a search has none, a shop's own as text."""
    if "cat_id" in view.endpoint.required:
        return view.cat_id
    return view.given.get("cat", "") if "cat" in view.endpoint.optional else None
