"""Checks of the types of arguments. A wrong one is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from .base_error import InvalidRequestError
from .shown_value import show_value


def check_type(
    name: str,
    value: object,
    kinds: type | tuple[type, ...],
    expected: str,
    *,
    optional: bool = True,
) -> None:
    """Refuse a value of another type.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        kinds: Accepted types.
        expected: Accepted values in words, for the message.
        optional: None is accepted, too.

    Raises:
        InvalidRequestError: The value has another type.
    """
    is_right = isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
    if not is_right and not (optional and value is None):
        raise InvalidRequestError(f"{name} must be {expected}, not {show_value(value)}")


def check_path(name: str, value: object) -> None:
    """Refuse a value that is no path of a file.

    Raises:
        InvalidRequestError: The value is neither text nor a path.
    """
    check_type(name, value, (str, Path), "the path of a file", optional=False)


def check_callable(name: str, value: object) -> None:
    """Refuse a value that is neither a function nor None.

    Raises:
        InvalidRequestError: The value cannot be called.
    """
    if value is not None and not callable(value):
        raise InvalidRequestError(f"{name} must be a function, not {show_value(value)}")


def check_numbers(struct: msgspec.Struct) -> None:
    """Refuse a struct of options with a number of another type than that of its default.

    Raises:
        InvalidRequestError: A field is not a number, or not a whole one where the default is.
    """
    kind: Any = type(struct)
    for name, default in zip(kind.__struct_fields__, kind.__struct_defaults__, strict=True):
        value = getattr(struct, name)
        kinds, expected = (int, "a whole number") if type(default) is int else (
            (int, float), "a number",
        )  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise InvalidRequestError(
                f"{name} of {kind.__name__} must be {expected}, not {show_value(value)}"
            )
