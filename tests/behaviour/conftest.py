"""What the tests of behaviour are watched by."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from commands import InProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


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
