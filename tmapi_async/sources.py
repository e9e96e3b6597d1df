"""What callers give: category IDs in whichever form, and checks of their numbers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeAlias, cast

from .errors import InvalidRequestError
from .listings import Listing
from .outcomes import Opening

Ids: TypeAlias = int | str | Iterable[int | str] | AsyncIterable[int | str]
"""One category ID, or many; an async iterable is read as the walk goes on."""


class IdSource:
    """The IDs a caller gave, in whichever form."""

    def __init__(self, ids: Ids) -> None:
        self._one = isinstance(ids, int | str)
        self._ids: Any = [ids] if self._one else ids
        iterable = isinstance(ids, Iterable | AsyncIterable)
        # Bytes are iterable too, but nobody means the numbers of their characters.
        if not self._one and (not iterable or isinstance(ids, bytes | bytearray)):
            raise InvalidRequestError(
                f"ids must be a category ID or an iterable of them, not {type(ids).__name__}"
            )

    def check(self, listing: Callable[[int | str], Listing]) -> None:
        """Refuse bad IDs at once where looking at them does not use them up."""
        if isinstance(self._ids, list | tuple | set | frozenset):
            for cat_id in self._ids:
                listing(cat_id)

    def only(self) -> int | str:
        """The one ID given."""
        if not self._one:
            raise InvalidRequestError(
                "awaiting gives the first page of one category; for many, use `async for`"
            )
        return cast("int | str", self._ids[0])

    async def openings(self, opening: Callable[[int | str], Opening]) -> AsyncGenerator[Opening]:
        """The listings, one at a time."""
        if isinstance(self._ids, AsyncGenerator):
            # Nobody else is going to: it was handed over.
            async with aclosing(self._ids) as ids:
                async for cat_id in ids:
                    yield opening(cat_id)
        elif isinstance(self._ids, AsyncIterable):
            async for cat_id in self._ids:
                yield opening(cat_id)
        else:
            for cat_id in self._ids:
                yield opening(cat_id)


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
