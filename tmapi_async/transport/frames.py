"""Removes secrets from the frames of a traceback."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_MODULES = (
    f"{__package__}.connections.", f"{__package__}.http", f"{__package__}.sender", "aiohttp.",
)  # fmt: skip
"""Modules whose functions hold the target of a request in local variables."""

_CALLED = ("tmapi_async.", "aiohttp.", "codecs", "encodings.", "pathlib", "urllib.", "yarl")
"""Modules whose functions are called with a token, and not those of the application."""


def forgets_locals(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that is given or reads a token: its errors show no local variables.

    Error trackers store the local variables of a traceback. The arguments of the function are
    forgotten, and the local variables of the functions that it called.

    Args:
        function: A function that is no coroutine function.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        outer = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            _clear_chain(error, outer)
            raise

    return wrapper


def _clear_chain(error: BaseException, outer: BaseException | None) -> None:
    """Clear the frames of an error and of those that it was raised from; drop hidden errors.

    Args:
        error: Error of a function that has ended, so that none of its frames is running.
        outer: Error that was being handled when the function was called. Its frames are others'.
    """
    for link in _chain(error, outer):
        _clear(link.__traceback__, _CALLED)
        if link.__suppress_context__ and link.__context__ is not outer:
            link.__context__ = None  # `from None`: its message may repeat a value


def clear_locals(error: BaseException, modules: tuple[str, ...] = _MODULES) -> None:
    """Forget the local variables of the functions that sent a request, in an error's traceback.

    A target holds the token, and error trackers store the local variables of a traceback. File
    names and line numbers stay.

    Args:
        error: Error that is passed on, such as a cancellation. The errors that it was raised from
            are treated in the same way.
        modules: Beginnings of the names of the modules whose functions are cleared.
    """
    for link in _chain(error):
        _clear(link.__traceback__, modules)


def _chain(error: BaseException, outer: BaseException | None = None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from, up to an outer one."""
    pending: list[BaseException | None] = [error]
    visited = {id(outer)}
    while pending:
        current = pending.pop()
        if current is not None and id(current) not in visited:
            visited.add(id(current))
            yield current
            pending += (current.__cause__, current.__context__)


def _clear(traceback: TracebackType | None, modules: tuple[str, ...]) -> None:
    while traceback is not None:
        frame = traceback.tb_frame
        # Not every frame: a caller's coroutine that waits would be closed.
        if str(frame.f_globals.get("__name__")).startswith(modules):
            with contextlib.suppress(RuntimeError):  # the frame is still executing
                frame.clear()
        traceback = traceback.tb_next
