"""What the tests of the harvest are watched by."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test is to be."""
    return tmp_path / "test.journal"


@pytest_asyncio.fixture
async def tidy() -> AsyncIterator[list[dict[str, Any]]]:
    """Nothing may reach the loop's exception handler, and no task may outlive the test."""
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
