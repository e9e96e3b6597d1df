"""Inputs of callers, and the checks of their numbers."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tmapi_async import InvalidRequestError, category_items
from tmapi_async.client.inputs import Source, check_above_zero, check_whole, read_lookahead
from tmapi_async.crawl.outcomes import ListingTask


def task_of(value: Any) -> ListingTask:
    """Make a task for a category ID."""
    return ListingTask(listing=category_items(value))


async def ids_of(values: object) -> list[int | None]:
    """Read a source to its end."""
    return [task.listing.cat_id async for task in Source(values, "ID").tasks(task_of)]


class Numbers:
    """An async iterable that is no generator."""

    async def __aiter__(self) -> AsyncIterator[int]:
        """Iterate over two IDs."""
        for number in (1, 2):
            yield number


@pytest.mark.parametrize("values", [[1, 2], (1, "2"), iter([1, 2]), range(1, 3), Numbers()])
async def test_every_form_of_several_values_is_read(values):
    """Lists, iterators and async iterables give the same tasks."""
    assert await ids_of(values) == [1, 2]


async def test_a_single_value_is_a_source_of_one():
    """An ID by itself, as a number or text, is one task, and the only value."""
    assert await ids_of(7) == await ids_of("7") == [7]
    assert Source(7, "ID").only() == 7
    with pytest.raises(InvalidRequestError, match="for many, use `async for`"):
        Source([7], "ID").only()


async def test_an_async_generator_is_closed_with_the_walk():
    """The caller handed the generator over: its cleanup runs when the walk is left."""
    closed = []

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    source = Source(endless(), "ID").tasks(task_of)
    await anext(source)
    await source.aclose()
    assert closed == [True]


@pytest.mark.parametrize("values", [None, 1.5, b"12", bytearray(b"1"), object()])
def test_other_types_are_refused_by_name(values):
    """The message names the type that was given."""
    with pytest.raises(InvalidRequestError, match=f"not {type(values).__name__}"):
        Source(values, "ID")


def test_bad_values_are_refused_at_once_where_reading_keeps_them():
    """A list is checked when the walk is made; an iterator is checked as it is read."""

    def refuse(value: object) -> None:
        raise InvalidRequestError(f"bad: {value}")

    with pytest.raises(InvalidRequestError, match="bad: x"):
        Source(["x"], "ID").check(refuse)
    Source(iter(["x"]), "ID").check(refuse)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None])
def test_a_count_is_a_whole_number_from_1(value):
    """Booleans and floats are refused, too: they are mistakes more often than counts."""
    with pytest.raises(InvalidRequestError, match="max_pages must be a whole number from 1"):
        check_whole("max_pages", value)


@pytest.mark.parametrize("value", [0, -1, True, math.inf, math.nan, "1", None])
def test_seconds_are_a_finite_number_above_0(value):
    """Infinity and NaN are no time-out."""
    with pytest.raises(InvalidRequestError, match="timeout must be above 0"):
        check_above_zero("timeout", value)


def test_lookahead_is_auto_off_or_a_number_of_pages():
    """The frontier takes None, 0 or a number; everything else is refused."""
    assert [read_lookahead(value) for value in ("auto", "off", 0, 5)] == [None, 0, 0, 5]
    for value in (True, -1, "5", 1.5):
        with pytest.raises(InvalidRequestError, match="lookahead must be"):
            read_lookahead(value)  # type: ignore[arg-type]
