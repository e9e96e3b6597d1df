"""What a listing shows: its rows in their order, as far as the site's search goes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from tmapi_async.sandbox.catalogue.choice import EVERYTHING, Choice
from tmapi_async.sandbox.catalogue.ranking import Band, Ranking, ties

from .routes import CATEGORY_ITEMS, GENERATED, Route, choice_of

if TYPE_CHECKING:
    from tmapi_async.sandbox.catalogue.catalogue import Catalogue

    from .config import Config
    from .stats import Listing

_KEPT_VIEWS = 4096
_BY_PRICE = ("price_up", "price_down")
_LIVE = ("default", "sales")
_LARGEST_PAGE = 20


class View(NamedTuple):
    """A listing, understood.

    Attributes:
        endpoint: Through which it is asked for.
        cat_id: The category that its rows come from.
        choice: Which of them, and in which order.
        size: How many there are to be seen: never more than the ceiling.
        page_size: Rows on a page.
        pages: Page requests that a complete walk takes, 1 at least.
        given: The listing's parameters.
    """

    endpoint: Route
    cat_id: int
    choice: Choice
    size: int
    page_size: int
    pages: int
    given: dict[str, str]


class Views:
    """What listings show: of the catalogue, under the configured ceilings, in the live ranking.

    Args:
        config: Supplies ceilings and shift.
        catalogue: The items.
        ranking: The live ranking.
    """

    def __init__(self, config: Config, catalogue: Catalogue, ranking: Ranking) -> None:
        self._config = config
        self._catalogue = catalogue
        self.ranking = ranking
        self.of = lru_cache(maxsize=_KEPT_VIEWS)(self._of)

    def moves(self, view: View) -> bool:
        """Whether the order of a listing shifts between requests."""
        if not self.ranking.shift:
            return False
        sort = view.choice.sort
        return sort in _LIVE or (self._config.shift_ties and sort in _BY_PRICE)

    def indices(self, view: View, start: int, stop: int) -> Sequence[int]:
        """Index in its category of the row at each position [start, stop) of a listing."""
        rows = self._catalogue.choose(view.cat_id, view.choice)
        if self.moves(view):
            band_of = None
            if view.choice.sort in _BY_PRICE:
                band_of = partial(self._ties, view.cat_id, rows)
            rows = self.ranking.order((view.cat_id, view.choice), rows, band_of)
        return rows[max(start, 0) : min(stop, view.size)]

    def _ties(self, cat_id: int, rows: Sequence[int]) -> Band:
        return ties(self._catalogue.prices_of(cat_id, rows))

    def _of(self, listing: Listing) -> View:
        endpoint, given = GENERATED[listing.path], dict(listing.params)
        cat_id = self.category(given)
        choice = choice_of(listing) if len(given) > 1 else EVERYTHING
        size = self._size(endpoint, cat_id, choice)
        page_size = self._catalogue.page_size
        if "page_size" in given:
            page_size = min(int(given["page_size"]), max(_LARGEST_PAGE, page_size))
        pages = max(1, -(-size // page_size))
        return View(endpoint, cat_id, choice, size, page_size, pages, given)

    def _size(self, endpoint: Route, cat_id: int, choice: Choice) -> int:
        size = len(self._catalogue.choose(cat_id, choice))
        ceiling = self._config.ceiling if endpoint.searched else None
        if endpoint is CATEGORY_ITEMS:
            ceiling = self._config.v1_ceiling
        return size if ceiling is None else min(size, ceiling)

    def category(self, given: dict[str, str]) -> int:
        """The category that a listing with these parameters takes its rows from.

        A global search for a keyword in a category looks in the category.
        """
        if "cat_id" in given:
            return int(given["cat_id"])
        if "keyword" in given:
            return self._catalogue.category_of_word(given["keyword"])
        return self._catalogue.category_of_shop(given.get("member_id") or given["shop_url"])
