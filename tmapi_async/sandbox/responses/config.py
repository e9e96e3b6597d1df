"""Everything that can be said about a sandbox, in one validated object."""

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


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a sandbox behaves.

    Attributes:
        seed: Seed of the catalogue and of every decision by chance.
        catalogue: The catalogue to serve; by default one is made from `seed`, `categories`,
            `mean`, `skew`, `page_size`, `false_excludes`, `prices`, `price_bounds`, `words`,
            `shops` and `tree`.
        categories: Number of categories, or a mapping of category ID to number of items.
        mean: Mean number of items of a category.
        skew: Exponent of their sizes; 0 makes all equal.
        page_size: Items on a page.
        false_excludes: What sending a filter as `false` means: False, it filters nothing; True,
            only rows without the property are shown.
        prices: Category ID -> [`Prices`][tmapi_async.sandbox.Prices] that its items have.
        price_bounds: Whether rows at `price_start` and `price_end` themselves are shown:
            `"inclusive"`, `"exclusive"`, `"half-open"` (the lower alone) or `"seed"` (each as
            the seed decides).
        words: Keyword -> category whose items a search finds; any other finds some category.
        shops: Member ID or address of a shop -> category whose items it sells, likewise.
        tree: Categories in the tree; None for as many as the catalogue's need.
        root: Shape of the reply about the root of the tree: `"list"` or `"object"`.
        ceiling: Rows after which the site's search ends: `category/items/v2`, `search/items` and
            `global/search/items` show no more and count no more. None for no end.
        v1_ceiling: The same for `category/items`.
        shift: Rows that move in the live ranking with each reply, on average. Orders by price
            and by time do not move.
        shift_ties: Whether rows of one price change places in orders by price too.
        adverts: Rows of a listing that each of its pages shows in addition to its own.
        unknown: What a listing of an unknown category gets: an empty page (`"empty"`) or code
            422.
        token: The accepted token or tokens, in query or header. Never shown.
        style: Where an error's code goes: the HTTP status and the body (`"status"`), the body of
            an HTTP 200 (`"body"`), or now one and now the other (`"mixed"`).
        text: Name of the text field of error bodies; `"mixed"` varies it.
        limit: Requests worked on at once before the rest get code 503; None for no limit.
        retry_after: Seconds (or an HTTP date) to send as `Retry-After` with a 503 or 429.
        latency: Mean time of the work for one request, in seconds.
        latency_sigma: Standard deviation of its logarithm; 0 for a fixed latency.
        quota: Replies with code 200 that the balance pays for; None for no end.
        balance: Form of "balance spent": as `style` says, HTTP 439, code 439 in an HTTP 200, or
            `{"message": "Insufficient API balance"}` with no code (`"bare"`).
        bare_status: HTTP status of the bare form.
        faults: What goes wrong.
        drift: How rows and replies differ from the documented shapes.
        repeats: Probability that a page shows rows of the page before once more, in addition to
            its own.
        short_pages: Probability that a page ends early, leaving the rows to the next.
        endless: Category ID -> how it never ends: `"same"` repeats its last page, `"no-new"`
            shows known items in new orders, `"empty"` has no rows, each with `has_next_page`
            true for ever.
        ghosts: Whether an aborted request keeps its slot until its work would have ended.
        compress: Whether replies are gzipped for clients that accept it.
        bodies: Folder of recorded bodies to serve, named as
            [`Recordings`][tmapi_async.sandbox.Recordings] says.
        verbatim: Serve recordings byte for byte, their paging signals included.
        slow: Seconds that the body of a `slow` fault takes.
        hang: Seconds after which a `hang` fault ends by itself.
        oversized: Bytes of the body of an `oversized` fault.
        host: Address to bind.
        port: Port to bind; 0 for any free one.
        ssl: Serves https when given.
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
            raise ValueError("a sandbox needs at least one token, and no empty one")

    @property
    def tokens(self) -> frozenset[str]:
        """The accepted tokens."""
        return frozenset((self.token,) if isinstance(self.token, str) else self.token)

    def _check_choices(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        for cat_id, kind in self.endless.items():
            if kind not in get_args(Endless):
                known = get_args(Endless)
                raise ValueError(f"endless[{cat_id}] must be one of {known}, not {kind!r}")

    def _check_numbers(self) -> None:
        for name in ("latency", "latency_sigma", "slow", "hang", "shift"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("repeats", "short_pages"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, not {getattr(self, name)}")
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
    "root": get_args(Root),
    "price_bounds": get_args(PriceBounds),
}


def check_names(options: Mapping[str, object]) -> None:
    """Refuse options that are not fields of `Config`, naming the nearest one.

    Raises:
        TypeError: An option is unknown.
    """
    known = [item.name for item in fields(Config)]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise TypeError(f"the sandbox has no option {name!r}{hint}")
