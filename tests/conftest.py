"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from typing import TYPE_CHECKING, Any

import aioresponses.core
import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from hypothesis import HealthCheck, settings

from tests.support.aioresponses_shim import shimmed
from tests.support.canary import Canary
from tests.support.commands import InProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytest_plugins = ["tmapi_async.sandbox.fixtures"]

setattr(aioresponses.core, "ClientResponse", shimmed(ClientResponse))  # noqa: B010 - not exported, mypy says

# A slow machine is no failure. A check that decides on a change must say the same twice, so there
# the examples are the same each time; elsewhere new ones are looked for.
settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("steady", settings.get_profile("project"), derandomize=True)
settings.load_profile("steady" if os.environ.get("CI") else "project")


SHARED = {"postgres_server": "postgres", "workers": "cluster"}
"""Fixtures that take seconds to start -> the group of the tests that share one of them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one server or cluster in one process, and count them as slow.

    Tests of Postgres are skipped where `make test` found no server; CI installs one.
    """
    for item in items:
        for fixture in SHARED.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group(SHARED[fixture]))
            if fixture == "postgres_server" and os.environ.get("TMAPI_TEST_POSTGRES") == "absent":
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Lend the path of a journal that does not exist yet."""
    return tmp_path / "test.journal"


@pytest.fixture(scope="session", autouse=True)
def _what_was_there_before() -> Iterator[None]:
    """Collections look at what the tests make, not at every module each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest_asyncio.fixture
async def tidy() -> AsyncIterator[list[dict[str, Any]]]:
    """Nothing may reach the loop's exception handler, and no task may outlive the test.

    "Task exception was never retrieved", "Unclosed connection" and their kin arrive there.
    """
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield told
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    loop.set_exception_handler(None)
    assert told == []
    assert left == set()


@pytest.fixture
def tmapi(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> InProcess:
    """`tmapi` as a function: arguments in, exit code, standard output and error out."""
    return InProcess(monkeypatch, capfdbinary)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run a server for all tests of this process."""
    from tests.support.clusters import cluster  # noqa: PLC0415 - an extra; most tests need no server

    with cluster() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """Lend the URL of a database without tables."""
    import psycopg  # noqa: PLC0415 - an extra; most tests need no server

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP OWNED BY tester CASCADE")
        connection.execute("CREATE SCHEMA IF NOT EXISTS public")
    return postgres_server
