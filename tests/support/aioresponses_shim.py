"""Lets aioresponses work with aiohttp 3.14 and later."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from aiohttp import ClientResponse


def shimmed(response_class: type[ClientResponse]) -> type[ClientResponse]:
    """Give a response class the argument that aioresponses does not know of, where it asks for it.

    aiohttp 3.14 made `stream_writer` a required argument of `ClientResponse`; aioresponses 0.7.9
    does not pass one, so that every mocked reply raises TypeError (its issue 289).

    Args:
        response_class: aiohttp's response class, or one that takes the same arguments.

    Returns:
        A subclass that fills the argument in, or the class itself where nothing needs mending.
    """
    wanted = inspect.signature(response_class.__init__).parameters.get("stream_writer")
    if wanted is None or wanted.default is not inspect.Parameter.empty:
        return response_class

    class MockedResponse(response_class):  # type: ignore[valid-type,misc]  # a base known at run time
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", mock.Mock(output_size=0))
            super().__init__(*args, **kwargs)

    return MockedResponse
