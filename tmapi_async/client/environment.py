"""Options of a client that environment variables give, for applications and commands alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.transport.credentials import DEFAULT_BASE_URL
from tmapi_async.transport.frames import forgets_locals

_LARGEST = 1e12


@forgets_locals
def read_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the options that the environment gives.

    A variable that is empty counts as not set. A `.env` file is not read.

    Args:
        environment: Variables by name.

    Returns:
        Values of `token` ("" if it is not set) and `base_url` (with its default), and those of
        `concurrency`, `rate`, `timeout`, `max_requests` and `cache` that are set. The variable of
        an option is `TMAPI_` and its name in capital letters.

    Raises:
        InvalidRequestError: A value makes no sense; the message names the variable.
    """
    options: dict[str, Any] = {
        "token": environment.get("TMAPI_TOKEN", ""),
        "base_url": environment.get("TMAPI_BASE_URL") or DEFAULT_BASE_URL,
    }
    for name, (reader, expected) in _READERS.items():
        variable = f"TMAPI_{name.upper()}"
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            options[name] = reader(text)
        except ValueError:
            raise InvalidRequestError(
                f"the environment variable {variable} must be {expected}, not {show_value(text)}"
            ) from None
    return options


def variables_set(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the options that the environment gives: the name of each -> its variable.

    Args:
        environment: Variables by name.
    """
    texts = {name: environment.get(f"TMAPI_{name.upper()}", "") for name in _ALL}
    return {
        name: f"TMAPI_{name.upper()}"
        for name, text in texts.items()
        if (text.strip() if name in _READERS else text)
    }


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < _LARGEST:
        raise ValueError
    return number


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "concurrency": (
        lambda text: text if text == "auto" else _whole(text),
        "auto or a whole number from 1",
    ),
    "rate": (_above_zero, "a number above 0"),
    "timeout": (_above_zero, "a number of seconds above 0"),
    "max_requests": (_whole, "a whole number from 1"),
    "cache": (str, "the path of a file or the address of a server"),
}
"""Name of an option -> reader of its text, and the accepted values in words."""

_ALL = ("token", "base_url", *_READERS)
