"""Configuration of a sandbox, in one validated object."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, get_args

from tmapi_async.sandbox.catalogue.catalogue import PriceBounds
from tmapi_async.sandbox.catalogue.tree import Root

from .drift import Drift
from .faults import Faults

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path
    from ssl import SSLContext

    from tmapi_async.sandbox.catalogue.catalogue import Catalogue
    from tmapi_async.sandbox.catalogue.prices import Prices

_LARGEST_PORT = 65535

Style = Literal["status", "body", "mixed"]
Text = Literal["msg", "message", "mixed"]
Balance = Literal["style", "status", "body", "bare"]
Unknown = Literal["empty", "422"]
Endless = Literal["same", "no-new", "empty"]
PastEnd = Literal["empty", "last", "first"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Configuration of a sandbox.

    Attributes:
        seed: Seed of the catalogue and of every random decision.
        catalogue: The catalogue to serve; by default it is generated from `seed`, `categories`,
            `mean`, `skew`, `page_size`, `false_excludes`, `prices`, `price_bounds`, `words`,
            `shops` and `tree`.
        categories: Number of categories, or a mapping of category ID to number of items.
        mean: Mean number of items of a category.
        skew: Exponent of the sizes; 0 makes all categories equal.
        page_size: Items on a page.
        false_excludes: Meaning of a filter sent as `false`. False: it has no effect. True: only
            rows without the property are shown.
        prices: Category ID -> [`Prices`][tmapi_async.sandbox.Prices] of its items.
        price_bounds: Bounds of a price filter that show rows of exactly that price:
            `"inclusive"` (both), `"exclusive"` (neither), `"half-open"` (only the lower bound) or
            `"seed"` (the seed decides for each bound).
        words: Keyword -> category whose items a search finds; the seed decides for other keywords.
        shops: Member ID or address of a shop -> category whose items the shop sells; the seed
            decides for other shops.
        tree: Categories in the tree; None for as many as the catalogue needs.
        root: Shape of the reply for the root of the tree: `"list"` or `"object"`.
        ceiling: Maximum number of rows of a search: `category/items/v2`, `search/items` and
            `global/search/items` neither show nor count more. None for no limit.
        v1_ceiling: The same for `category/items`.
        shift: Rows that move in the live ranking with each reply, on average. Orders by price
            and by time do not move.
        shift_ties: True if rows with the same price also change places in orders by price.
        adverts: Rows of a listing that every page shows in addition to its own rows.
        unknown: Reply for a listing of an unknown category: an empty page (`"empty"`) or code
            422.
        token: The accepted token or tokens, in query or header. Never shown.
        style: Place of an error code: HTTP status and body (`"status"`), only the body of an HTTP
            200 (`"body"`), or either of them (`"mixed"`).
        text: Name of the text field of error bodies; `"mixed"` varies the name.
        limit: Concurrent requests before further ones get code 503; None for no limit.
        retry_after: Seconds (or an HTTP date) to send as `Retry-After` with a 503 or 429.
        latency: Mean processing time of a request, in seconds.
        latency_sigma: Standard deviation of the logarithm of the time; 0 for a fixed latency.
        quota: Replies with code 200 that the balance pays for; None for no limit.
        balance: Form of "balance spent": as `style` says, HTTP 439, code 439 in an HTTP 200, or
            `{"message": "Insufficient API balance"}` without a code (`"bare"`).
        bare_status: HTTP status of the bare form.
        faults: Faults to produce.
        drift: Differences of rows and replies from the documented shapes.
        repeats: Probability that a page also repeats rows of the previous page.
        short_pages: Probability that a page ends early and leaves its last rows to the next page.
        endless: Category ID -> kind of endless listing, whose `has_next_page` is always true:
            `"same"` repeats the last page, `"no-new"` shows known items in new orders, `"empty"`
            has no rows.
        past_end: Rows of a page past the end of a listing that ends: none (`"empty"`), those of the
            last page (`"last"`), or those of the first page, which also announces a next page
            (`"first"`).
        ghosts: True if an aborted request keeps its slot until its processing time is over.
        compress: True if replies are gzipped for clients that accept gzip.
        bodies: Folder of recorded bodies to serve; see
            [`Recordings`][tmapi_async.sandbox.Recordings] for the file names.
        verbatim: True if recordings are served byte for byte, with their paging signals.
        slow: Seconds for the body of a `slow` fault.
        hang: Seconds after which a `hang` fault ends by itself.
        oversized: Bytes of the body of an `oversized` fault.
        host: Address to bind.
        port: Port to bind; 0 for any free port.
        ssl: Context for https; None for http.
    """

    seed: int = 1
    catalogue: Catalogue | None = None
    categories: int | Mapping[int, int] = 40
    mean: float = 60.0
    skew: float = 1.1
    page_size: int = 20
    false_excludes: bool = False
    prices: Mapping[int, Prices] = field(default_factory=dict)
    price_bounds: PriceBounds = "inclusive"
    words: Mapping[str, int] = field(default_factory=dict)
    shops: Mapping[str, int] = field(default_factory=dict)
    tree: int | None = None
    root: Root = "list"
    ceiling: int | None = 2000
    v1_ceiling: int | None = None
    shift: float = 0.0
    shift_ties: bool = False
    adverts: int = 0
    unknown: Unknown = "empty"
    token: str | Collection[str] = field(default="sandbox", repr=False)
    style: Style = "status"
    text: Text = "msg"
    limit: int | None = None
    retry_after: float | str | None = None
    latency: float = 0.0
    latency_sigma: float = 0.0
    quota: int | None = None
    balance: Balance = "style"
    bare_status: int = 200
    faults: Faults = field(default_factory=Faults)
    drift: Drift = field(default_factory=Drift)
    repeats: float = 0.0
    short_pages: float = 0.0
    endless: Mapping[int, Endless] = field(default_factory=dict)
    past_end: PastEnd = "empty"
    ghosts: bool = False
    compress: bool = False
    bodies: Path | str | None = None
    verbatim: bool = False
    slow: float = 1.0
    hang: float = 600.0
    oversized: int = 40 * 2**20
    host: str = "127.0.0.1"
    port: int = 0
    ssl: SSLContext | None = None

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        if not self.tokens or not all(self.tokens):
            raise ValueError("token must contain at least one token, and no empty one")

    @property
    def tokens(self) -> frozenset[str]:
        """The accepted tokens."""
        return frozenset((self.token,) if isinstance(self.token, str) else self.token)

    def _check_choices(self) -> None:
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {values}, not {getattr(self, name)!r}")
        for cat_id, kind in self.endless.items():
            if kind not in get_args(Endless):
                values = get_args(Endless)
                raise ValueError(f"endless[{cat_id}] must be one of {values}, not {kind!r}")

    def _check_numbers(self) -> None:
        for name in ("latency", "latency_sigma", "slow", "hang", "shift"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("repeats", "short_pages"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be a probability (0 to 1), not {getattr(self, name)}"
                )
        for name in ("limit", "quota", "ceiling", "v1_ceiling", "adverts"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must be 0 or more, or None, not {value}")
        if not 0 <= self.port <= _LARGEST_PORT:
            raise ValueError(f"port must be 0 to 65535, not {self.port}")


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "style": get_args(Style),
    "text": get_args(Text),
    "balance": get_args(Balance),
    "unknown": get_args(Unknown),
    "past_end": get_args(PastEnd),
    "root": get_args(Root),
    "price_bounds": get_args(PriceBounds),
}


def check_names(options: Mapping[str, object]) -> None:
    """Check that all options are fields of `Config`; suggest the nearest name.

    Raises:
        TypeError: An option is unknown.
    """
    values = [item.name for item in fields(Config)]
    for name in options:
        if name not in values:
            near = get_close_matches(name, values, 1)
            hint = (
                f"; did you mean {near[0]!r}?" if near else f"; the options are {', '.join(values)}"
            )
            raise TypeError(f"the sandbox has no option {name!r}{hint}")
