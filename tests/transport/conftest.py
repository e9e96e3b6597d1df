"""Fixtures for the tests of the transport."""

from __future__ import annotations

from typing import Any

import pytest

from tmapi_async.transport.http_client_session import ClientSessionTransport
from tmapi_async.transport.http_connections import ConnectionTransport

TRANSPORTS = (ConnectionTransport, ClientSessionTransport)


@pytest.fixture(params=TRANSPORTS, ids=lambda transport: transport.__name__)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a test once on each HTTP transport: both keep the same promises."""
    monkeypatch.setattr("tmapi_async.transport.sender.choose_transport", lambda: request.param)
    return request.param
