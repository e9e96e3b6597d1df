"""Errors arrive at the other end of a channel as they were."""

from __future__ import annotations

import pytest

from tmapi_async import errors
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.serialized_error import SerializedError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, TMAPIError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_it_was(kind):
    """Its class, text, page and meaning for the work are the same."""
    error = kind.__new__(kind)
    TMAPIError.__init__(error, "the words", code=417, status=200, retry_after=2.5)
    error.locate("category/items", "category/items?cat_id=7", 3, 2)
    error.fatal = True
    message = protocol.encode(protocol.SessionEnded(SerializedError.of(error)))
    restored = protocol.decode_from_session(message).error.restore()
    assert type(restored) is kind
    names = ("message", "code", "status", "retry_after", "endpoint", "listing", "page", "attempts")
    assert [getattr(restored, name) for name in names] == [getattr(error, name) for name in names]
    assert restored.halts


def test_an_unknown_class_arrives_as_the_base_class():
    """A name never stands for anything but an error of this package."""
    assert type(SerializedError("Redactor", "words").restore()) is TMAPIError
    assert type(SerializedError("Nonsense", "words").restore()) is TMAPIError
