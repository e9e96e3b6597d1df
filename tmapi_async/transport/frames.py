"""Removes secrets from the frames of a traceback."""

from __future__ import annotations

import contextlib
from types import TracebackType

_MODULES = (f"{__package__}.http", f"{__package__}.sender", "aiohttp.")
"""Modules whose functions hold the target of a request in local variables."""


def clear_locals(error: BaseException) -> None:
    """Forget the local variables of the functions that sent a request, in an error's traceback.

    A target holds the token, and error trackers store the local variables of a traceback. File
    names and line numbers stay.

    Args:
        error: Error that is passed on, such as a cancellation. The errors that it was raised from
            are treated in the same way.
    """
    pending: list[BaseException | None] = [error]
    visited = set[int]()
    while pending:
        current = pending.pop()
        if current is not None and id(current) not in visited:
            visited.add(id(current))
            _clear(current.__traceback__)
            pending += (current.__cause__, current.__context__)


def _clear(traceback: TracebackType | None) -> None:
    while traceback is not None:
        frame = traceback.tb_frame
        # Not every frame: a caller's coroutine that waits would be closed.
        if str(frame.f_globals.get("__name__")).startswith(_MODULES):
            with contextlib.suppress(RuntimeError):  # the frame is still executing
                frame.clear()
        traceback = traceback.tb_next
