"""Sandboxes outside the event loop of the caller: in a thread, a process or a command."""

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

_POLL_SECONDS = 0.25
_TIMEOUT = 10.0


async def serve(
    config: Config, on_ready: Callable[[Sandbox], None], *, exit_with_parent: bool = False
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Args:
        config: Configuration of the sandbox.
        on_ready: Called once with the running sandbox, to print its URL.
        exit_with_parent: Also stop when the parent process has ended, or has closed the pipe that
            is the standard input of this process.

    Raises:
        OSError: The address cannot be bound.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    # Read before the URL is printed: the parent may be killed right after it has read the URL.
    parent = os.getppid()
    for number in _ending_signals():
        with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    async with Sandbox(config) as sandbox:
        on_ready(sandbox)
        if exit_with_parent:
            await _wait_for_parent_exit(stop, parent)
        else:
            await stop.wait()


def _ending_signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Whoever starts a server with `nohup` means it to stay.
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


async def _wait_for_parent_exit(stop: asyncio.Event, parent: int) -> None:
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        # A thread and not `add_reader`, which event loops on Windows do not have.
        loop = asyncio.get_running_loop()
        threading.Thread(target=_wait_for_closed_input, args=(loop, stop), daemon=True).start()
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _POLL_SECONDS)
            return


def _wait_for_closed_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(stop.set)


class SandboxThread:
    """A sandbox in its own thread, for code without asyncio.

        with SandboxThread(seed=1, limit=8) as thread:
            ...  # requests to thread.url

    Args:
        config: Configuration of the sandbox; every option has a default.
        options: Options as for [`Sandbox`][tmapi_async.sandbox.Sandbox].

    Attributes:
        sandbox: The sandbox. Read its statistics from any thread; change it by `call`.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        self.sandbox = Sandbox(config, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tmapi-sandbox", daemon=True)

    @property
    def url(self) -> str:
        """Base URL of the sandbox."""
        return self.sandbox.url

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function in the thread of the sandbox and return its result."""

        async def run() -> Any:
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_TIMEOUT)

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
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT)
        self._loop.close()


class SandboxProcess:
    """A sandbox in its own process, which ends at the latest with this process.

        with SandboxProcess("--limit", "8", "--latency", "0.05") as process:
            ...  # requests to process.url

    Args:
        arguments: Command line of `python -m tmapi_async.sandbox`.
        prefix: Words before the command (`("taskset", "-c", "0")`).

    Raises:
        RuntimeError: The process does not start; raised on entering.
    """

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        command = [*prefix, sys.executable, "-m", "tmapi_async.sandbox", "--exit-with-parent"]
        self._command = [*command, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """Process ID. Raises `RuntimeError` if the process is not running."""
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
            raise RuntimeError(f"the sandbox process did not start (its output was {self.url!r})")
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
