"""What every test may use: mocked replies that work, a canary token, sandboxes."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import aioresponses.core
import pytest
from aiohttp import ClientResponse
from aioresponses_shim import shimmed
from canary import Canary
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tmapi_async.sandbox.fixtures"]

setattr(aioresponses.core, "ClientResponse", shimmed(ClientResponse))  # noqa: B010 - not exported, mypy says

# A slow machine is no failure. A check that decides on a change must say the same twice, so there
# the examples are the same each time; elsewhere new ones are looked for.
settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("steady", settings.get_profile("project"), derandomize=True)
settings.load_profile("steady" if os.environ.get("CI") else "project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a Postgres server where `make test` found none; CI has one."""
    if os.environ.get("TMAPI_TEST_POSTGRES") != "absent":
        return
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="no Postgres server here (initdb)"))


@pytest.fixture(scope="session", autouse=True)
def own_claims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever uses the sandbox's token elsewhere on this machine is not heard of in the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("claims")))
        yield


@pytest.fixture
def canary(caplog: pytest.LogCaptureFixture) -> Iterator[Canary]:
    """Lend a token; no log record of the test, at any level, may show it."""
    caplog.set_level(logging.DEBUG)
    planted = Canary()
    yield planted
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert not planted.loggers_leaking(records), "the token was logged"
