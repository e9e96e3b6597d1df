"""Errors for values of a journal that flipped bits have made: wrong types, lengths and texts."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import zstandard

from tmapi_async.errors import CorruptJournalError, TMAPIError
from tmapi_async.journal.sqlite_errors import storage_errors_named

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])

_MAX_TEXT = 200

DAMAGED_VALUES = (
    msgspec.MsgspecError,
    zstandard.ZstdError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Errors that damaged values cause. A flipped bit changes types, lengths and texts anywhere."""


def damage_named(method: F) -> F:
    """Let a method of a reader raise `CorruptJournalError` for damaged values.

    Args:
        method: Method of a class with the journal's `path`; it may be a generator.
    """
    if inspect.isgeneratorfunction(method):

        @functools.wraps(method)
        def generate(reader: Any, *args: Any, **options: Any) -> Iterator[Any]:
            rows = method(reader, *args, **options)
            with translated(reader.path):
                yield from rows

        return cast("F", generate)

    @functools.wraps(method)
    def call(reader: Any, *args: Any, **options: Any) -> Any:
        with translated(reader.path):
            return method(reader, *args, **options)

    return cast("F", call)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise a `JournalError` in place of an error of SQLite, of the system or of damaged values."""
    try:
        with storage_errors_named(path):
            yield
    except TMAPIError:
        raise
    except DAMAGED_VALUES as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise CorruptJournalError(path, text[:_MAX_TEXT]) from None
