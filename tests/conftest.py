"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import tempfile
import zlib
from pathlib import Path
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

pytest_plugins = ["tmapi_async.sandbox.fixtures"]

setattr(aioresponses.core, "ClientResponse", shimmed(ClientResponse))  # noqa: B010 - not exported, mypy says

# A slow machine is no failure. A check that decides on a change must say the same twice, so there
# the examples are the same each time; elsewhere new ones are looked for.
settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("steady", settings.get_profile("project"), derandomize=True)
settings.load_profile("steady" if os.environ.get("CI") else "project")


# A run in the background of a shell ignores SIGINT and would hand that down to the processes that
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that starts a process without the marker `slow`: `make test-fast` is for others.

    A process takes half a second to start, and some hundred of them a minute.
    """
    start, started = subprocess.Popen.__init__, 0

    def counted(*args: Any, **kwargs: Any) -> None:
        nonlocal started
        started += 1
        start(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", counted)
        yield
    if started and not item.get_closest_marker("slow"):
        pytest.fail("this test starts a process; mark it with pytest.mark.slow", pytrace=False)


if hasattr(signal, "SIGHUP"):  # `nohup make test` would let the programs under test ignore it, too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

PRIVATE = tempfile.TemporaryDirectory(prefix="tm-")  # short: a socket's path has 108 bytes at most


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let no test share a gate, settings or what was learned with another test or this machine."""
    folder = Path(PRIVATE.name) / f"{zlib.crc32(item.nodeid.encode()):08x}"
    folder.mkdir(exist_ok=True)
    for name in ("TMAPI_RUNTIME_DIR", "TMAPI_CACHE_DIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        os.environ[name] = str(folder)


@pytest.fixture
def canary(caplog: pytest.LogCaptureFixture) -> Iterator[Canary]:
    """Return a token. Fail if a log record of the test, at any level, shows it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="tmapi_async")  # whatever a command has left there
    planted = Canary()
    yield planted
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert not planted.loggers_leaking(records), "the token was logged"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal that does not exist yet."""
    return tmp_path / "test.journal"


@pytest.fixture(scope="session", autouse=True)
def _frozen_modules() -> Iterator[None]:
    """Let the garbage collector skip the modules, so that the collections of the tests are fast."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest_asyncio.fixture
async def tidy() -> AsyncIterator[list[dict[str, Any]]]:
    """Fail if the loop's exception handler is called or a task outlives the test.

    asyncio reports "Task exception was never retrieved", "Unclosed connection" and the like there.
    """
    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    yield reports
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    loop.set_exception_handler(None)
    assert reports == []
    assert tasks == set()


@pytest.fixture
def tmapi(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> InProcess:
    """Return `tmapi` as a function of its arguments, which returns exit code and output."""
    return InProcess(monkeypatch, capfdbinary)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run a Postgres server for all tests of this process. Returns its URL."""
    from tests.support.postgres_server import server  # noqa: PLC0415 - an extra; most tests need no server

    with server() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """Return the URL of a database without tables."""
    import psycopg  # noqa: PLC0415 - an extra; most tests need no server

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP OWNED BY tester CASCADE")
        connection.execute("CREATE SCHEMA IF NOT EXISTS public")
    return postgres_server
