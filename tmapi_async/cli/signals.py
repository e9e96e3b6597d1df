"""Signals that end a command: Ctrl-C, SIGTERM, and SIGHUP of a terminal that was closed.

A command meets a signal in one of three ways. While its modules are loaded, Ctrl-C ends it at once
(`tmapi_async.cli.main`): an exception in the middle of an import can crash a compiled module. While
it works without an event loop, a signal raises `KeyboardInterrupt`. An event loop takes the signals
itself.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_RETRY_SECONDS = 0.05
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
# An exception in a frame of these files can leave half-made types behind in compiled code.
_FRAGILE = ("<frozen importlib", f"{os.sep}msgspec{os.sep}")


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a command, without those that it was started to ignore.

    `nohup` ignores SIGHUP, and a shell ignores SIGINT for a job in the background.
    """
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def ignore_hangups() -> None:
    """Ignore SIGHUP from now on: a closed terminal may send it more than once."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def signal_handlers() -> dict[signal.Signals, Any]:
    """Return the handlers of the signals that end a command now, for `restore_handlers`."""
    return {number: signal.getsignal(number) for number in ending_signals()}


def restore_handlers(handlers: Mapping[signal.Signals, Any]) -> None:
    """Set handlers again, but for signals that are ignored by now."""
    for number in ending_signals():
        handler = handlers.get(number)
        if handler is not None:  # None stands for a handler that was not set by Python
            signal.signal(number, handler)


class Interrupts:
    """A block of work in which the first signal raises `KeyboardInterrupt`; the second one kills.

    Attributes:
        happened: True if a signal has come. Compiled libraries may put an error of their own in the
            place of `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self.happened = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in ending_signals():
            self._previous[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        restore_handlers(self._previous)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if _is_fragile(frame):
            _repeat_later(number)
            return
        self.happened = True
        for other in (signal.SIGINT, signal.SIGTERM):
            signal.signal(other, signal.SIG_DFL)
        ignore_hangups()
        raise KeyboardInterrupt


def _is_fragile(frame: FrameType | None) -> bool:
    while frame is not None:
        if any(name in frame.f_code.co_filename for name in _FRAGILE):
            return True
        frame = frame.f_back
    return False


def _repeat_later(number: int) -> None:
    timer = threading.Timer(_RETRY_SECONDS, _thread.interrupt_main, (number,))
    timer.daemon = True
    timer.start()


def run_in_loop(
    coroutine: Coroutine[Any, Any, T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run a coroutine in a new event loop, whose main task every ending signal cancels.

    Raises:
        KeyboardInterrupt: The main task was cancelled by a signal.
    """
    import asyncio  # noqa: PLC0415 - `tmapi --help` does not need it

    previous = signal_handlers()
    for number in previous:
        # The runner takes SIGINT only from this handler.
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else _as_ctrl_c)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(coroutine)
    finally:
        restore_handlers(previous)


def _as_ctrl_c(_number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:
        raise KeyboardInterrupt
