"""Runs the coroutine of a command: event loop, signals, clients, a sandbox for `--sandbox`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from tmapi_async.cli.options.cache_options import CacheOptions
from tmapi_async.cli.options.connection_options import (
    SANDBOX_LIMIT,
    SANDBOX_TOKEN,
    ConnectionOptions,
)
from tmapi_async.client.client import TMAPI

from .signals import (
    ending_signals,
    ignore_hangups,
    restore_handlers,
    run_in_loop,
    signal_handlers,
)


def run(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run a command in a new event loop, on uvloop where that is installed."""
    _raise_file_limit()
    return run_in_loop(coroutine, _loop_factory())


def _raise_file_limit() -> None:
    """Allow as many open files as the system permits: a wide gate needs a socket for each slot."""
    if sys.platform == "win32":
        return
    try:
        import resource  # noqa: PLC0415 - not on Windows

        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    except (ImportError, OSError, ValueError):
        return


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        return None
    return new_event_loop


def on_next_signal(callback: Callable[[], None]) -> None:
    """Call `callback` on the next signal that ends a command; the one after it kills as usual."""
    loop, numbers = asyncio.get_running_loop(), ending_signals()

    def handle() -> None:
        _remove_handlers(numbers)
        ignore_hangups()
        callback()

    for number in numbers:
        with suppress(NotImplementedError):  # on Windows
            loop.add_signal_handler(number, handle)


def _remove_handlers(numbers: Iterable[int]) -> None:
    for number in numbers:
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_signal_handler(number)


@asynccontextmanager
async def handle_signal(callback: Callable[[], None]) -> AsyncIterator[None]:
    """Call `callback` on the first signal that ends a command; the second one kills as usual."""
    previous = signal_handlers()
    on_next_signal(callback)
    try:
        yield
    finally:
        _remove_handlers(ending_signals())
        restore_handlers(previous)


@asynccontextmanager
async def open_client(connection: ConnectionOptions, cache: CacheOptions) -> AsyncIterator[TMAPI]:
    """Open the one client that the options describe, and a sandbox for `--sandbox`."""
    async with open_clients(connection, **cache.settings()) as clients:
        yield clients[0]


@asynccontextmanager
async def open_clients(connection: ConnectionOptions, **others: Any) -> AsyncIterator[list[TMAPI]]:
    """Open the clients that the options describe, one for each account.

    Args:
        connection: Account, server and limits.
        **others: Options of the clients that the command line does not have, or replaces.
    """
    if not connection.sandbox:
        async with AsyncExitStack() as stack:
            clients = connection.clients(**others)
            yield [await stack.enter_async_context(api) for api in clients]
        return
    from tmapi_async.sandbox import Sandbox  # noqa: PLC0415 - only `--sandbox` needs it

    async with (
        Sandbox(
            token=SANDBOX_TOKEN, limit=SANDBOX_LIMIT, latency=0.05, latency_sigma=0.5
        ) as sandbox,
        connection.clients(sandbox.url, **others)[0] as api,
    ):
        yield [api]
