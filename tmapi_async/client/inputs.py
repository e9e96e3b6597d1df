"""Inputs of callers: IDs, keywords or shops in several forms, options of walks, and checks."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Literal, TypeAlias, TypedDict

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.items import Product
from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.splitting import splittable_listing
from tmapi_async.crawl.splitting.driver import Split, read_split
from tmapi_async.errors import InvalidRequestError, TMAPIError
from tmapi_async.errors.argument_checks import check_callable, check_type
from tmapi_async.errors.shown_value import show_value
from tmapi_async.transport.request_state import CallOptions
from tmapi_async.transport.retry import RetryPolicy

Ids: TypeAlias = int | str | Iterable[int | str] | AsyncIterable[int | str]
"""One category ID, or several; an async iterable is read as the walk goes on."""

ItemIds: TypeAlias = (
    int | str | Product | Iterable[int | str | Product] | AsyncIterable[int | str | Product]
)
"""One product ID, or several; a product stands for its ID, so that a walk may give the IDs."""

Texts: TypeAlias = str | Iterable[str] | AsyncIterable[str]
"""One keyword or shop, or several; an async iterable is read as the walk goes on."""

Lookahead: TypeAlias = int | Literal["auto", "off"]

Priority: TypeAlias = Literal["interactive", "bulk"]

_LARGEST = 2**63 - 1


class RequestOptions(TypedDict, total=False):
    """Options of the requests of one call.

    Attributes:
        priority: "interactive" gets a slot before every "bulk" request of the client. None is
            "interactive" for an awaited page, and "bulk" for a walk.
        timeout: Seconds for one request; None takes the client's value.
        retry: Number and duration of attempts; None takes the client's policy.
        max_age: Seconds up to which a page is taken from the cache of the client; 0 requests it
            anew. None takes the client's value. Without a cache, every page is requested.
        stale_if_error: True, or the seconds up to which a page is taken from the cache if the API
            fails. None takes the client's value.
    """

    priority: Priority | None
    timeout: float | None
    retry: RetryPolicy | None
    max_age: float | None
    stale_if_error: float | bool | None


class CommonWalkOptions(RequestOptions, total=False):
    """Options that every walk has, whatever it fetches.

    Attributes:
        on_end: Called with the outcome of each listing when its last page was taken.
        priority: "interactive" gets a slot before every "bulk" request of the client. None is
            "interactive" for an awaited page, and "bulk" for a walk.
        timeout: Seconds for one request; None takes the client's value.
        retry: Number and duration of attempts; None takes the client's policy.
        max_age: Seconds up to which a page is taken from the cache of the client; 0 requests it
            anew. None takes the client's value. Without a cache, every page is requested.
        stale_if_error: True, or the seconds up to which a page is taken from the cache if the API
            fails. None takes the client's value.
    """

    on_end: Callable[[ListingOutcome], None] | None


class PlainWalkOptions(CommonWalkOptions, total=False):
    """Options of every walk over listings with pages.

    Attributes:
        start_page: First page, from 1.
        max_pages: Maximum number of pages per listing, or None; a listing cut short is *capped*.
        unique: Drop items whose ID the listing has shown before.
        lookahead: Number of pages requested ahead, or "auto"; None takes the client's value.
        on_end: Called with the outcome of each listing when its last page was taken.
        priority: "interactive" gets a slot before every "bulk" request of the client. None is
            "interactive" for an awaited page, and "bulk" for a walk.
        timeout: Seconds for one request; None takes the client's value.
        retry: Number and duration of attempts; None takes the client's policy.
        max_age: Seconds up to which a page is taken from the cache of the client; 0 requests it
            anew. None takes the client's value. Without a cache, every page is requested.
        stale_if_error: True, or the seconds up to which a page is taken from the cache if the API
            fails. None takes the client's value.
    """

    start_page: int
    max_pages: int | None
    unique: bool
    lookahead: Lookahead | None


class WalkOptions(PlainWalkOptions, total=False):
    """Options of every walk, and the option to go past the ceiling.

    Attributes:
        split: Go past the ceiling: a listing that the API cuts short is split into parts until
            every part fits, and each item is delivered once. `category_items` then sends its
            requests to `category_items_v2`. True, or a [`Split`][tmapi_async.Split] with options.
    """

    split: bool | Split


class ItemWalkOptions(CommonWalkOptions, total=False):
    """Options of a walk over products, each of which is one request.

    Attributes:
        ordered: True for the order of the IDs; otherwise each product comes as soon as it is there.
            A product that fails is left out in both cases.
        on_end: Called with the outcome of each product; the outcome of a failed one has the error.
        priority: "interactive" gets a slot before every "bulk" request of the client. None is
            "interactive" for an awaited page, and "bulk" for a walk.
        timeout: Seconds for one request; None takes the client's value.
        retry: Number and duration of attempts; None takes the client's policy.
        max_age: Seconds up to which a page is taken from the cache of the client; 0 requests it
            anew. None takes the client's value. Without a cache, every page is requested.
        stale_if_error: True, or the seconds up to which a page is taken from the cache if the API
            fails. None takes the client's value.
    """

    ordered: bool


class WalkSettings(msgspec.Struct, frozen=True):
    """Options of a walk, after their checks.

    Attributes:
        first: First page, from 1.
        max_pages: Maximum number of pages per listing, or None.
        unique: Drop items whose ID the listing has shown before.
        lookahead: Number of pages requested ahead, "auto", "off", or None for the client's value.
        on_end: Called with the outcome of each listing, or None.
        split: Options of the splitting of listings, or None.
        priority: "interactive" or "bulk", or None.
        call: Options of every page request.
    """

    first: int
    max_pages: int | None
    unique: bool
    lookahead: Lookahead | None
    on_end: Callable[[ListingOutcome], None] | None
    split: Split | None
    priority: Priority | None
    call: CallOptions


def read_walk_options(options: Mapping[str, Any]) -> WalkSettings:
    """Check the options of a walk.

    Raises:
        InvalidRequestError: An option makes no sense, or a walk has no such option.
    """
    for name in options.keys() - WalkOptions.__annotations__.keys():
        raise InvalidRequestError(f"a walk has no option {name}")
    first, max_pages = options.get("start_page", 1), options.get("max_pages")
    check_whole("start_page", first)
    if max_pages is not None:
        check_whole("max_pages", max_pages)
    split = read_split(options.get("split"))
    if split is not None and (first != 1 or max_pages is not None):
        raise InvalidRequestError("split walks whole listings: leave out start_page and max_pages")
    check_type("unique", options.get("unique", False), bool, "True or False")
    check_callable("on_end", options.get("on_end"))
    return WalkSettings(
        first=first,
        max_pages=max_pages,
        unique=bool(options.get("unique", False)),
        lookahead=options.get("lookahead"),
        on_end=options.get("on_end"),
        split=split,
        priority=options.get("priority"),
        call=read_call(options),
    )


class Source:
    """The IDs, keywords, shops or listings that a caller gave, in any accepted form.

    Args:
        values: One value, or an iterable or async iterable of values.
        name: Name of one value, for messages.

    Attributes:
        failure: Error by which the values ended, if the tasks made of them go on; otherwise None.
    """

    def __init__(self, values: object, name: str) -> None:
        self.failure: TMAPIError | None = None
        self._name = name
        self._single = isinstance(values, int | str | Listing) or hasattr(values, "item_id")
        self._values: Any = [values] if self._single else values
        iterable = isinstance(values, Iterable | AsyncIterable)
        # Bytes and tables are iterable too, but nobody means the numbers of their characters, or
        # their keys.
        if not self._single and (not iterable or isinstance(values, bytes | bytearray | Mapping)):
            raise InvalidRequestError(
                f"give a {name} or an iterable of them, not {type(values).__name__}"
            )

    def check(self, listing: Callable[[Any], object]) -> None:
        """Refuse bad values at once, unless reading them would use them up."""
        if isinstance(self._values, list | tuple | set | frozenset):
            for value in self._values:
                listing(value)

    def listings(self, listing: Callable[[Any], Listing]) -> tuple[Listing, ...]:
        """Return the listings of all values.

        Raises:
            InvalidRequestError: The values can be read only once, and the walk needs them.
        """
        if not isinstance(self._values, Collection):
            raise InvalidRequestError(
                f"the {self._name} values come from an iterator, which the walk reads as it goes "
                "on: give a list to see the listings before"
            )
        return tuple(listing(value) for value in self._values)

    def endpoints(
        self, listing: Callable[[Any], Listing], endpoint: Endpoint | None, *, split: bool
    ) -> set[str]:
        """Return the names of the endpoints whose pages a walk gives, as far as they are known.

        Args:
            listing: Makes a listing of a value.
            endpoint: Endpoint of all listings, or None if it depends on the values. Then nothing is
                known of values that can be read only once.
            split: True if listings are split, for which some are asked from another endpoint.
        """
        if endpoint is None:
            values = self._values if isinstance(self._values, Collection) else ()
            return {listing(value).endpoint for value in values}
        sample = Listing(endpoint.name, ())
        return {(splittable_listing(sample) if split else sample).endpoint}

    def only(self) -> Any:
        """Return the single value.

        Raises:
            InvalidRequestError: The caller gave several values.
        """
        if not self._single:
            raise InvalidRequestError(
                f"awaiting gives the first page of one {self._name}; for many, use `async for`"
            )
        return self._values[0]

    async def tasks(self, task: Callable[[Any], ListingTask]) -> AsyncGenerator[ListingTask]:
        """Generate the tasks, one at a time."""
        if isinstance(self._values, AsyncIterable):
            values = aiter(self._values)
            async with AsyncExitStack() as stack:
                # The caller handed a generator over, and a walk makes one: it is closed here.
                if isinstance(values, AsyncGenerator):
                    await stack.enter_async_context(aclosing(values))
                while True:
                    try:
                        value = await anext(values)
                    except StopAsyncIteration:
                        return
                    except TMAPIError as error:
                        if error.halts:
                            raise
                        # Some listings of another walk failed: the values before count.
                        self.failure = error
                        return
                    yield task(value)
        else:
            for value in self._values:
                yield task(value)


def read_request_options(owner: str, options: RequestOptions, *, urgent: bool) -> CallOptions:
    """Check the options of the requests of one call.

    Args:
        owner: Name of the method, for the message.
        options: The options.
        urgent: Priority of the call where the options name none.

    Raises:
        InvalidRequestError: An option makes no sense, or there is no such option.
    """
    for name in options.keys() - RequestOptions.__annotations__.keys():
        raise InvalidRequestError(f"{owner} has no option {name}")
    priority = options.get("priority")
    call = read_call(options)
    is_urgent = urgent if priority is None else priority == "interactive"
    return msgspec.structs.replace(call, urgent=is_urgent)


def read_call(options: Mapping[str, Any]) -> CallOptions:
    """Return the options of each request of a walk or call.

    Raises:
        InvalidRequestError: An option makes no sense.
    """
    timeout, retry = options.get("timeout"), options.get("retry")
    if timeout is not None:
        check_above_zero("timeout", timeout)
    if retry is not None:
        check_type("retry", retry, RetryPolicy, "a RetryPolicy")
    if options.get("priority") not in (None, "interactive", "bulk"):
        raise InvalidRequestError(
            f"priority must be 'interactive' or 'bulk', not {show_value(options['priority'])}"
        )
    max_age, stale = options.get("max_age"), options.get("stale_if_error")
    if max_age is not None:
        check_age("max_age", max_age)
    return CallOptions(
        timeout=timeout,
        retry=retry,
        max_age=max_age,
        stale_if_error=None if stale is None else read_stale(stale),
    )


def read_stale(value: float | bool) -> float:
    """Return the seconds up to which a page may be taken if the API fails, for `stale_if_error`.

    Args:
        value: True for pages of any age, False for none, or a number of seconds.

    Raises:
        InvalidRequestError: The value is something else.
    """
    if isinstance(value, bool):
        return math.inf if value else 0.0
    check_age("stale_if_error", value)
    return float(value)


def check_age(name: str, value: float) -> None:
    """Refuse an age that is not a number from 0; infinity stands for any age."""
    if value != math.inf:
        check_from_zero(name, value)


def check_above_zero(name: str, value: float) -> None:
    """Refuse a number that is not above 0, is infinite, or is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:  # noqa: PLR2004
        raise InvalidRequestError(f"{name} must be above 0, not {show_value(value)}")


def check_from_zero(name: str, value: float) -> None:
    """Refuse a number that is below 0, is infinite, or is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:  # noqa: PLR2004
        raise InvalidRequestError(f"{name} must be 0 or more, not {show_value(value)}")


def check_whole(name: str, value: int) -> None:
    """Refuse a value that is not a whole number from 1 of at most 64 bits."""
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number or not 1 <= value <= _LARGEST:
        raise InvalidRequestError(f"{name} must be a whole number from 1, not {show_value(value)}")


def read_lookahead(value: int | str) -> int | None:
    """Return the frontier's look-ahead: None for "auto", 0 for "off", else the number of pages."""
    if value == "auto":
        return None
    if value == "off":
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequestError(
            f"lookahead must be 'auto', 'off' or a number, not {show_value(value)}"
        )
    return value
