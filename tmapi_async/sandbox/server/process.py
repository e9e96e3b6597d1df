"""Running a sandbox outside of the caller's event loop: a thread, a process, a command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from .server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tmapi_async.sandbox.responses.config import Config

_LOOK = 0.25
_PATIENCE = 10.0


async def serve(
    config: Config, on_ready: Callable[[Sandbox], None], *, exit_with_parent: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        config: How the sandbox behaves.
        on_ready: Called once with the running sandbox, to print its URL.
        exit_with_parent: Also end when the process that started this one is gone, or closes the
            pipe that is our standard input.

    Raises:
        OSError: The address cannot be bound.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    # Before the URL is told: who reads it may be killed before we look again.
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises by itself
            loop.add_signal_handler(number, stop.set)
    async with Sandbox(config) as sandbox:
        on_ready(sandbox)
        if exit_with_parent:
            await _until_orphaned(stop, parent)
        else:
            await stop.wait()


async def _until_orphaned(stop: asyncio.Event, parent: int) -> None:
    loop = asyncio.get_running_loop()
    piped = stat.S_ISFIFO(os.fstat(0).st_mode)
    if piped:
        loop.add_reader(0, lambda: stop.set() if not os.read(0, 4096) else None)
    try:
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK)
                return
    finally:
        if piped:
            loop.remove_reader(0)


class SandboxThread:
    """A sandbox in a thread of its own, for code that is not asynchronous.

        with SandboxThread(seed=1, limit=8) as thread:
            ...  # requests to thread.url

    Args:
        options: As for [`Sandbox`][tmapi_async.sandbox.Sandbox].

    Attributes:
        sandbox: The sandbox. Its statistics may be read from any thread; change it through `call`.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        self.sandbox = Sandbox(config, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tmapi-sandbox", daemon=True)

    @property
    def url(self) -> str:
        """Base URL."""
        return self.sandbox.url

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function in the sandbox's thread and return its result."""

        async def run() -> Any:
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._wait(self.sandbox.start())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self.sandbox.close())
        self._stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _wait(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()


class SandboxProcess:
    """A sandbox in a process of its own, which ends with this one at the latest.

        with SandboxProcess("--limit", "8", "--latency", "0.05") as process:
            ...  # requests to process.url

    Args:
        arguments: As for `python -m tmapi_async.sandbox`.
        prefix: Put before the command (`("taskset", "-c", "0")`).

    Raises:
        RuntimeError: On entering, if the process does not come up.
    """

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        command = [*prefix, sys.executable, "-m", "tmapi_async.sandbox", "--exit-with-parent"]
        self._command = [*command, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """Its process ID. Raises `RuntimeError` when it is not running."""
        if self._process is None:
            raise RuntimeError("the sandbox process is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - our own module
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.url = self._process.stdout.readline().strip()
        if not self.url.startswith("http"):
            self.__exit__()
            raise RuntimeError(f"the sandbox process did not start (it said {self.url!r})")
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
