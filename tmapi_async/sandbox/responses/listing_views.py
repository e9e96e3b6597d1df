"""Contents of listings: the rows in their order, up to the ceiling of the search."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from tmapi_async.sandbox.catalogue.choice import EVERYTHING, Choice
from tmapi_async.sandbox.catalogue.ranking import Band, Ranking, ties

from .routes import CATEGORY_ITEMS, ROUTES, Route, choice_of

if TYPE_CHECKING:
    from tmapi_async.sandbox.catalogue.catalogue import Catalogue

    from .config import Config
    from .stats import Listing

_CACHED_VIEWS = 4096
_PRICE_SORTS = ("price_up", "price_down")
_MOVING_SORTS = ("default", "sales")
_MAX_PAGE_SIZE = 20


class View(NamedTuple):
    """A listing with its parameters resolved.

    Attributes:
        endpoint: The requested endpoint.
        cat_id: The category of the rows.
        choice: Filters and order of the rows.
        size: Number of visible rows, at most the ceiling.
        page_size: Rows on a page.
        pages: Page requests of a complete walk, at least 1.
        params: Parameters of the listing.
    """

    endpoint: Route
    cat_id: int
    choice: Choice
    size: int
    page_size: int
    pages: int
    params: dict[str, str]


class Views:
    """Views of listings: rows of the catalogue, with ceilings and the live ranking applied.

    Args:
        config: Supplies ceilings and shift.
        catalogue: The items.
        ranking: The live ranking.
    """

    def __init__(self, config: Config, catalogue: Catalogue, ranking: Ranking) -> None:
        self._config = config
        self._catalogue = catalogue
        self.ranking = ranking
        self.view_of = lru_cache(maxsize=_CACHED_VIEWS)(self._view_of)

    def moves(self, view: View) -> bool:
        """Return True if the order of a listing changes between requests."""
        if not self.ranking.shift:
            return False
        sort = view.choice.sort
        return sort in _MOVING_SORTS or (self._config.shift_ties and sort in _PRICE_SORTS)

    def indices(self, view: View, start: int, stop: int) -> Sequence[int]:
        """Return the category indices of the rows at positions [start, stop) of a listing."""
        choice, start, stop = view.choice, max(start, 0), min(stop, view.size)
        falling = choice.sort == "price_down"
        if falling:  # the rising order backwards, also while rows move
            choice = choice._replace(sort="price_up")
        rows = self._catalogue.choose(view.cat_id, choice)
        if self.moves(view):
            band_of = None
            if choice.sort == "price_up":
                band_of = partial(self._ties, view.cat_id, rows)
            rows = self.ranking.order((view.cat_id, choice), rows, band_of)
        if falling:
            end = len(rows)
            return rows[end - max(start, stop) : end - start][::-1]
        return rows[start:stop]

    def _ties(self, cat_id: int, rows: Sequence[int]) -> Band:
        return ties(self._catalogue.prices_of(cat_id, rows))

    def _view_of(self, listing: Listing) -> View:
        endpoint, params = ROUTES[listing.path], dict(listing.params)
        cat_id = self.category(params)
        choice = choice_of(listing) if len(params) > 1 else EVERYTHING
        size = self._size(endpoint, cat_id, choice)
        page_size = self._catalogue.page_size
        if "page_size" in params:
            page_size = min(int(params["page_size"]), max(_MAX_PAGE_SIZE, page_size))
        pages = max(1, -(-size // page_size))
        return View(endpoint, cat_id, choice, size, page_size, pages, params)

    def _size(self, endpoint: Route, cat_id: int, choice: Choice) -> int:
        size = len(self._catalogue.choose(cat_id, choice))
        ceiling = self._config.ceiling if endpoint.searched else None
        if endpoint is CATEGORY_ITEMS:
            ceiling = self._config.v1_ceiling
        return size if ceiling is None else min(size, ceiling)

    def category(self, params: dict[str, str]) -> int:
        """Return the category whose rows a listing with these parameters shows.

        A global search with a keyword and a category shows the category.
        """
        if "cat_id" in params:
            return int(params["cat_id"])
        if "keyword" in params:
            return self._catalogue.category_of_word(params["keyword"])
        return self._catalogue.category_of_shop(params.get("member_id") or params["shop_url"])
