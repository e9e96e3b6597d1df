"""Errors for values of a journal that flipped bits have made: wrong types, lengths and texts."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from tmapi_async.errors import CorruptJournalError, TMAPIError

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])

_DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)


def damage_named(method: F) -> F:
    """Let a method of a reader raise `CorruptJournalError` for damaged values.

    Args:
        method: Method of a class with the journal's `path`; it may be a generator.
    """
    if inspect.isgeneratorfunction(method):

        @functools.wraps(method)
        def generate(reader: Any, *args: Any, **options: Any) -> Iterator[Any]:
            rows = method(reader, *args, **options)
            with readable(reader.path):
                yield from rows

        return cast("F", generate)

    @functools.wraps(method)
    def call(reader: Any, *args: Any, **options: Any) -> Any:
        with readable(reader.path):
            return method(reader, *args, **options)

    return cast("F", call)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise a `CorruptJournalError` in place of an error that damaged values cause."""
    try:
        yield
    except TMAPIError:
        raise
    except _DAMAGE as error:
        raise CorruptJournalError(path, f"{type(error).__name__}: {error}") from None
