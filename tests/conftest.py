"""What every test may use: the aioresponses shim and a canary token."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any
from unittest import mock

import aioresponses.core
import pytest
from aiohttp import ClientResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY_TOKEN = "canary-5up3r53cr3t-t0k3n"  # noqa: S105 - planted to be looked for, opens nothing


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


setattr(aioresponses.core, "ClientResponse", shimmed(ClientResponse))  # noqa: B010 - not exported, mypy says


class Canary:
    """A token to plant, and the question whether it has leaked."""

    token = CANARY_TOKEN

    def absent_from(self, material: str | bytes) -> bool:
        """Tell whether the token is nowhere in a text or in the bytes of a file."""
        if isinstance(material, bytes):
            return self.token.encode() not in material
        return self.token not in material

    def loggers_leaking(self, records: list[logging.LogRecord]) -> set[str]:
        """Name the loggers whose records show the token, tracebacks included."""
        formatter = logging.Formatter()
        return {r.name for r in records if not self.absent_from(formatter.format(r))}


@pytest.fixture
def canary(caplog: pytest.LogCaptureFixture) -> Iterator[Canary]:
    """Lend a token; no log record of the test, at any level, may show it."""
    caplog.set_level(logging.DEBUG)
    planted = Canary()
    yield planted
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert not planted.loggers_leaking(records), "the token was logged"
