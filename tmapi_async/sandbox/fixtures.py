"""pytest fixtures for suites that test code which uses the API.

Put this in `conftest.py` (pytest-asyncio is needed):

    pytest_plugins = ["tmapi_async.sandbox.fixtures"]

and ask for `tmapi_sandbox`, a running sandbox with the defaults, or for `tmapi_sandboxes`, which
starts as many as wanted, each with its own options:

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
    """Starts a sandbox that is closed at the end of the test."""

    async def __call__(self, **options: Any) -> Sandbox:
        """Start one; options are the fields of `Config`."""


@pytest_asyncio.fixture
async def tmapi_sandboxes() -> AsyncIterator[SandboxFactory]:
    """A function that starts sandboxes over real sockets in the test's event loop."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Sandbox:
            return await stack.enter_async_context(Sandbox(**options))

        yield start


@pytest_asyncio.fixture
async def tmapi_sandbox(tmapi_sandboxes: SandboxFactory) -> Sandbox:
    """A running sandbox with the default options."""
    return await tmapi_sandboxes()
