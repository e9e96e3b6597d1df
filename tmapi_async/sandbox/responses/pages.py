"""Pages of the catalogue as bytes, rendered on demand and cached in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tmapi_async.sandbox.catalogue.bounded_cache import BoundedCache
from tmapi_async.sandbox.catalogue.choice import EVERYTHING
from tmapi_async.sandbox.catalogue.hashing import chance, mix
from tmapi_async.sandbox.catalogue.ranking import Ranking

from .item_replies import RATINGS_PAGE, REPLIES, ratings_of
from .listing_views import View, Views
from .product_rows import ROWS, RowContext
from .routes import CATEGORY_INFO, CATEGORY_ITEMS, ITEM_RATINGS, ROUTES, filters_sent

if TYPE_CHECKING:
    from tmapi_async.sandbox.catalogue.catalogue import Catalogue

    from .config import Config
    from .stats import Listing

_CACHED_BYTES = 64 * 2**20
_MAX_REPEATS = 3


class Contents(NamedTuple):
    """Contents of a page.

    Attributes:
        indices: Category index of each row, in the order of the page.
        has_next: Value of `has_next_page`.
    """

    indices: list[int]
    has_next: bool


class PageBuilder:
    """Renders replies as a pure function of catalogue, configuration and live ranking.

    Args:
        config: Supplies seed, drift, ceilings, repeats, short pages and endless listings.
        catalogue: The items.
        ranking: The live ranking; by default a new one.
    """

    def __init__(
        self, config: Config, catalogue: Catalogue, ranking: Ranking | None = None
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._ranking = ranking or Ranking(config.seed, config.shift)
        self._views = Views(config, catalogue, self._ranking)
        self._cache: BoundedCache[bytes] = BoundedCache(_CACHED_BYTES)

    def body(self, listing: Listing, page: int) -> bytes:
        """Return the body of the reply to a request with or without pages.

        Raises:
            KeyError: The category or item of a request without pages does not exist.
        """
        self._ranking.replies_sent += 1
        key = (listing, page)
        body = self._cache.get(key)
        if body is not None:
            return body
        if not ROUTES[listing.path].paged:
            return self._single(listing)
        if listing.path == ITEM_RATINGS.path:
            return self._ratings(listing, page)
        view = self._views.view_of(listing)
        if listing.path == CATEGORY_ITEMS.path:
            body = self._with_drift(listing, page, self._v1_body(view, listing, page))
        else:
            body = self._encoded(self._reply(view, listing, page), listing, page)
        if not self._views.moves(view):
            self._cache.put(key, body, len(body))
        return body

    def contents(self, listing: Listing, page: int) -> Contents:
        """Return the items of a page, and whether the page announces a next page."""
        return self._contents(self._views.view_of(listing), listing, page)

    # Bodies

    def _v1_body(self, view: View, listing: Listing, page: int) -> bytes:
        """Return the body of a v1 page in the documented shape."""
        contents, cat_id = self._contents(view, listing, page), view.cat_id
        rows = ",".join([self._catalogue.row(cat_id, index) for index in contents.indices])
        flags = filters_sent(listing).items()
        filters = ",".join(f'"{name}":{"true" if flag else "false"}' for name, flag in flags)
        has_next = "true" if contents.has_next else "false"
        return (
            f'{{"code":200,"msg":"success","data":{{"page":{page},'
            f'"page_size":{view.page_size},"has_next_page":{has_next},'
            f'"filters":{{{filters}}},"items":[{rows}]}}}}'
        ).encode()

    def _with_drift(self, listing: Listing, page: int, body: bytes) -> bytes:
        drift = self._config.drift
        if not (drift.rows or drift.bad_rows or drift.envelopes):
            return body
        return self._encoded(msgspec.json.decode(body), listing, page)

    def _encoded(self, reply: dict[str, Any], listing: Listing, page: int) -> bytes:
        """Encode the reply to a page request, with drift if configured."""
        drift, seed = self._config.drift, self._config.seed
        if drift.rows or drift.bad_rows:
            reply["data"]["items"] = [drift.row(seed, row) for row in reply["data"]["items"]]
        return msgspec.json.encode(drift.reply(seed, reply, listing, page))

    def _reply(self, view: View, listing: Listing, page: int) -> dict[str, Any]:
        """Return the reply to a page request of an endpoint other than v1."""
        contents, endpoint, params = self._contents(view, listing, page), view.endpoint, view.params
        make = ROWS[listing.path]
        context = self._row_context(
            view.cat_id, params.get("language") or _LANGUAGE.get(listing.path, "zh")
        )
        product, cat_id = self._catalogue.product, view.cat_id
        rows = [make(product(cat_id, index), context) for index in contents.indices]
        for row in rows[: self._adverts_on(view, page)]:
            row.update({"is_ad": True} if "is_ad" in row else {})
        values: dict[str, Any] = {
            "page": page,
            "page_size": view.page_size,
            "total_count": str(view.size) if endpoint.total == "text" else view.size,
            "has_next_page": contents.has_next,
            "sort": view.choice.sort,
            "cat_id": _cat_id(view),
            "filters": filters_sent(listing),
            "items": rows,
        }
        data = {name: values.get(name, params.get(name, "")) for name in endpoint.fields}
        return {"code": 200, "msg": "success", "data": data}

    def _single(self, listing: Listing) -> bytes:
        """Return the reply to a request without pages."""
        params, config = dict(listing.params), self._config
        if listing.path == CATEGORY_INFO.path:
            data = self._catalogue.tree.info(listing.cat_id, config.root)
        else:
            located = self._catalogue.locate(int(params["item_id"]))
            if located is None:
                raise KeyError(params["item_id"])
            context = self._row_context(located[0], params.get("language", "zh"))
            reply_to = REPLIES[listing.path]
            data = reply_to(self._catalogue.product(*located), context, params)
            data = config.drift.shaped(config.seed, data, int(params["item_id"]))
        reply = {"code": 200, "msg": "success", "data": data}
        return msgspec.json.encode(config.drift.reply(config.seed, reply, listing))

    def _ratings(self, listing: Listing, page: int) -> bytes:
        """Return a page of the ratings of a product, with no rows past the end."""
        params, config = dict(listing.params), self._config
        item_id, order = int(params["item_id"]), params.get("sort_type", "default")
        if self._catalogue.locate(item_id) is None:
            raise KeyError(params["item_id"])
        ratings = ratings_of(item_id, order)
        pages = max(1, -(-len(ratings) // RATINGS_PAGE))
        view = View(ROUTES[listing.path], 0, EVERYTHING, len(ratings), RATINGS_PAGE, pages, params)
        shown = page
        if page > pages and config.past_end != "empty":
            shown = 1 if config.past_end == "first" else pages
        start = self._end_position(view, listing, shown - 1)
        data = {
            "item_id": item_id,
            "page": page,
            "page_size": RATINGS_PAGE,
            "sort_type": order,
            "list": ratings[start : self._end_position(view, listing, shown)],
        }
        reply = {"code": 200, "msg": "success", "data": data}
        return msgspec.json.encode(config.drift.reply(config.seed, reply, listing, page))

    def _row_context(self, cat_id: int, language: str) -> RowContext:
        tree = self._catalogue.tree
        name = tree[cat_id].name if cat_id in tree else ""
        return RowContext(tuple(map(str, tree.path(cat_id))), name, language)

    # Contents

    def _contents(self, view: View, listing: Listing, page: int) -> Contents:
        endless = self._config.endless.get(view.cat_id)
        if page > view.pages:
            if endless is None and self._config.past_end != "empty":
                shown = 1 if self._config.past_end == "first" else view.pages
                return self._contents(view, listing, shown)
            return Contents(self._past_end(view, listing, page), endless is not None)
        indices = self._regular_indices(view, listing, page)
        if page > 1 and self._by_chance(self._config.repeats, "repeat", listing, page):
            count = 1 + mix(self._config.seed, "repeats", listing, page) % _MAX_REPEATS
            indices = self._regular_indices(view, listing, page - 1)[:count] + indices
        if adverts := self._adverts_on(view, page):
            indices = self._adverts(view, adverts) + indices
        return Contents(indices, page < view.pages or endless is not None)

    def _adverts_on(self, view: View, page: int) -> int:
        """Return the number of adverts on a page; they are its first rows."""
        return min(self._config.adverts, view.size) if page <= view.pages else 0

    def _adverts(self, view: View, count: int) -> list[int]:
        """Return the rows of a listing that every page shows in addition."""
        rows = self._catalogue.choose(view.cat_id, view.choice)
        start = mix(self._config.seed, "adverts", view.cat_id) % view.size
        return [rows[(start + n) % view.size] for n in range(count)]

    def _regular_indices(self, view: View, listing: Listing, page: int) -> list[int]:
        start, stop = (
            self._end_position(view, listing, page - 1),
            self._end_position(view, listing, page),
        )
        return list(self._views.indices(view, start, stop))

    def _end_position(self, view: View, listing: Listing, page: int) -> int:
        """Return the position after the last row of a page; a short page ends earlier."""
        size = view.page_size
        if 0 < page < view.pages and self._by_chance(
            self._config.short_pages, "short", listing, page
        ):
            limit = max(1, size // 2)
            missing = 1 + mix(self._config.seed, "missing", listing, page) % limit
            return page * size - min(missing, size - 1)
        return view.size if page >= view.pages else page * size

    def _past_end(self, view: View, listing: Listing, page: int) -> list[int]:
        kind = self._config.endless.get(view.cat_id)
        if kind == "same":
            return self._regular_indices(view, listing, view.pages)
        if kind == "no-new":
            size = view.page_size
            indices = self._views.indices(view, 0, 10 * size)
            turn = mix(self._config.seed, "turn", listing, page)
            count = min(len(indices), size)
            return [indices[(turn + 7 * i) % len(indices)] for i in range(count)]
        return []

    def _by_chance(self, probability: float, *about: object) -> bool:
        return probability > 0 and chance(self._config.seed, *about) < probability


_LANGUAGE = {"/1688/global/search/items": "en"}
"""Path -> default language of an endpoint whose default is not Chinese."""


def _cat_id(view: View) -> Any:
    """Return the echoed `cat_id`: a number, null in a search, or text for a shop's category."""
    if "cat_id" in view.endpoint.required:
        return view.cat_id
    return view.params.get("cat", "") if "cat" in view.endpoint.optional else None
