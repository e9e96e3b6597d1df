"""Running a command's coroutine: event loop, signals, a sandbox of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from tmapi_async.cli.options.connection_options import (
    SANDBOX_LIMIT,
    SANDBOX_TOKEN,
    ConnectionOptions,
)
from tmapi_async.client.client import TMAPI

from .account_lock import claimed

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a command in an event loop of its own, on uvloop where that is installed."""
    _allow_many_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _allow_many_files() -> None:
    """Take the most open files that we may have: a wide gate needs a socket for each slot."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ImportError, OSError, ValueError):
        return


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        return None
    return new_event_loop


def on_next_signal(callback: Callable[[], None]) -> None:
    """Call this on the next Ctrl-C or SIGTERM; the one after it ends the process as usual."""
    loop = asyncio.get_running_loop()

    def caught() -> None:
        _leave_signals(loop)
        callback()

    for number in SIGNALS:
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, caught)


def _leave_signals(loop: asyncio.AbstractEventLoop) -> None:
    for number in SIGNALS:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def on_signal(first: Callable[[], None]) -> AsyncIterator[None]:
    """Call `first` on the first Ctrl-C or SIGTERM; the second one ends the process as usual."""
    on_next_signal(first)
    try:
        yield
    finally:
        _leave_signals(asyncio.get_running_loop())


@asynccontextmanager
async def client(connection: ConnectionOptions) -> AsyncIterator[TMAPI]:
    """Open the client that the options ask for, with a sandbox if they ask for one."""
    async with clients(connection) as opened:
        yield opened[0]


@asynccontextmanager
async def clients(connection: ConnectionOptions) -> AsyncIterator[list[TMAPI]]:
    """Open the clients that the options ask for, one for each account."""
    if not connection.sandbox:
        async with AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(api) for api in connection.clients()]
            for api in opened:
                stack.enter_context(claimed(api.reveal_token()))
            yield opened
        return
    from tmapi_async.sandbox import Sandbox  # noqa: PLC0415 - only where it is used

    async with (
        Sandbox(
            token=SANDBOX_TOKEN, limit=SANDBOX_LIMIT, latency=0.05, latency_sigma=0.5
        ) as sandbox,
        connection.clients(sandbox.url)[0] as api,
    ):
        yield [api]
