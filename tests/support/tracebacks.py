"""Local variables of a traceback, as an error tracker stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all the errors that it was raised from."""
    while error is not None:
        yield error
        yield from chain(error.__cause__)
        error = error.__context__


def product_locals(error: BaseException) -> dict[str, str]:
    """Return every local variable of the traceback, and the errors, as an error tracker does."""
    shown = {}
    for number, link in enumerate(chain(error)):
        shown[f"error {number}"] = f"{link!r} {link.args!r} {vars(link)!r}"
        step = link.__traceback__
        while step is not None:
            frame = step.tb_frame
            if "/tests/" not in frame.f_code.co_filename:  # a test may hold its own token
                for name, value in frame.f_locals.items():
                    shown[f"{frame.f_code.co_qualname}.{name}"] = f"{value!r} {value!s}"
            step = step.tb_next
    return shown
