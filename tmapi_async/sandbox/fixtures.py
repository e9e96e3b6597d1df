"""pytest fixtures for tests of code that uses the API.

Put this line in `conftest.py`. It needs pytest-asyncio, with `asyncio_mode = auto` in `pytest.ini`:

    pytest_plugins = ["tmapi_async.sandbox.fixtures"]

The fixture `tmapi_sandbox` is a running sandbox with the default options. The fixture
`tmapi_sandboxes` is a function that starts any number of sandboxes, each with its own options:

    from tmapi_async import TMAPI
    from tmapi_async.sandbox import Faults

    async def test_a_walk_survives_errors(tmapi_sandboxes):
        sandbox = await tmapi_sandboxes(categories={1031910: 45}, faults=Faults({"500": 0.2}))
        async with TMAPI("sandbox", base_url=sandbox.url) as api:
            ids = [item.item_id async for item in api.category_items(1031910)]
        assert ids == sandbox.catalogue.item_ids(1031910)
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest_asyncio

from tmapi_async.sandbox.server.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SandboxFactory(Protocol):
    """Function that starts a sandbox, which is closed at the end of the test."""

    async def __call__(self, **options: Any) -> Sandbox:
        """Start a sandbox; the options are the fields of `Config`."""


@pytest_asyncio.fixture
async def tmapi_sandboxes() -> AsyncIterator[SandboxFactory]:
    """Provide a function that starts sandboxes with real sockets in the event loop of the test."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Sandbox:
            return await stack.enter_async_context(Sandbox(**options))

        yield start


@pytest_asyncio.fixture
async def tmapi_sandbox(tmapi_sandboxes: SandboxFactory) -> Sandbox:
    """Provide a running sandbox with the default options."""
    return await tmapi_sandboxes()
