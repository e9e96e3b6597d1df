"""What callers give: IDs or keywords in whichever form, and checks of their numbers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Literal, TypeAlias, TypedDict

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import InvalidRequestError

Ids: TypeAlias = int | str | Iterable[int | str] | AsyncIterable[int | str]
"""One category ID, or many; an async iterable is read as the walk goes on."""

Texts: TypeAlias = str | Iterable[str] | AsyncIterable[str]
"""One keyword or shop, or many; an async iterable is read as the walk goes on."""

Lookahead: TypeAlias = int | Literal["auto", "off"]


class PlainWalkOptions(TypedDict, total=False):
    """What every walk can be told, whatever it asks for and however.

    Attributes:
        start_page: First page, from 1.
        max_pages: Most pages of each listing, or None; a listing cut short is *capped*.
        unique: Drop items whose ID the listing has shown before.
        lookahead: As for the client; None takes the client's.
        on_end: Called with the outcome of each listing when its last page was taken.
    """

    start_page: int
    max_pages: int | None
    unique: bool
    lookahead: Lookahead | None
    on_end: Callable[[ListingOutcome], None] | None


class WalkOptions(PlainWalkOptions, total=False):
    """What every walk can be told, and that it goes past the ceiling.

    Attributes:
        split: Go past the ceiling: a listing that the API cuts short is divided until every part
            of it fits, and each item of it is given once. `category_items` is then asked of
            `category_items_v2`. True, or a [`Split`][tmapi_async.Split] that says how.
    """

    split: bool | Split


class Source:
    """The IDs, keywords, shops or listings a caller gave, in whichever form.

    Args:
        given: One, or an iterable or async iterable of them.
        what: What one of them is, for messages.
    """

    def __init__(self, given: object, what: str) -> None:
        self._what = what
        self._one = isinstance(given, int | str | Listing)
        self._given: Any = [given] if self._one else given
        iterable = isinstance(given, Iterable | AsyncIterable)
        # Bytes are iterable too, but nobody means the numbers of their characters.
        if not self._one and (not iterable or isinstance(given, bytes | bytearray)):
            raise InvalidRequestError(
                f"give a {what} or an iterable of them, not {type(given).__name__}"
            )

    def check(self, listing: Callable[[Any], object]) -> None:
        """Refuse bad ones at once where looking at them does not use them up."""
        if isinstance(self._given, list | tuple | set | frozenset):
            for one in self._given:
                listing(one)

    def only(self) -> Any:
        """The one given."""
        if not self._one:
            raise InvalidRequestError(
                f"awaiting gives the first page of one {self._what}; for many, use `async for`"
            )
        return self._given[0]

    async def tasks(self, task: Callable[[Any], ListingTask]) -> AsyncGenerator[ListingTask]:
        """The listings, one at a time."""
        if isinstance(self._given, AsyncGenerator):
            # Nobody else is going to: it was handed over.
            async with aclosing(self._given) as given:
                async for one in given:
                    yield task(one)
        elif isinstance(self._given, AsyncIterable):
            async for one in self._given:
                yield task(one)
        else:
            for one in self._given:
                yield task(one)


def check_above_zero(name: str, value: float) -> None:
    """Refuse a number that is not above 0, infinite or not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:  # noqa: PLR2004
        raise InvalidRequestError(f"{name} must be above 0, not {value!r}")


def check_whole(name: str, value: int) -> None:
    """Refuse what is not a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name} must be a whole number from 1, not {value!r}")


def read_lookahead(value: int | str) -> int | None:
    """The frontier's look-ahead: None for "auto", 0 for "off", else the number of pages."""
    if value == "auto":
        return None
    if value == "off":
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequestError(f"lookahead must be 'auto', 'off' or a number, not {value!r}")
    return value
