"""Run `tmapi` as users do: in this process where possible, else in its own process."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tmapi_async.cli import main
from tmapi_async.cli.signals import restore_handlers, signal_handlers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

SUMMARY_KEYS = [
    "listings",
    "complete",
    "capped",
    "shifted",
    "failed",
    "stopped",
    "pages",
    "items",
    "unique_items",
    "rejects",
    "requests",
    "retries",
    "wasted",
    "second_looks",
    "codes",
    "unreached",
    "waited",
    "cache_hits",
    "seconds",
    "pages_per_second",
    "stopped_by",
    "empty",
    "contradicted",
    "suspects",
    "verdict",
]
"""The contract of the command line, in its order."""

TMAPI = [sys.executable, "-c", "from tmapi_async.cli import main; main()"]


class Done(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: bytes
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of standard output, which must be JSON lines separated by line feeds only."""
        assert self.out == b"" or self.out.endswith(b"\n")
        return [msgspec.json.decode(line) for line in self.out.split(b"\n")[:-1]]

    @property
    def summary(self) -> dict[str, Any]:
        """Summary in the last line of standard error, which must be JSON."""
        summary = msgspec.json.decode(self.err.splitlines()[-1])
        assert list(summary) == SUMMARY_KEYS
        return summary

    @property
    def messages(self) -> list[str]:
        """Lines of standard error, each of which must be a plain message of the command."""
        lines = self.err.splitlines()
        assert "Traceback" not in self.err
        assert all(line.startswith(("tmapi: ", "{")) for line in lines), self.err
        return lines


FOLDERS = ("TMAPI_RUNTIME_DIR", "TMAPI_CACHE_DIR")


def environment(url: str = "", token: str = "sandbox", **more: str) -> dict[str, str]:  # noqa: S107 - the sandbox's public one
    """Return an environment without proxies and without `TMAPI_*` variables of the developer.

    The folders that keep a test apart from others stay.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        if name in FOLDERS
        or (not name.upper().startswith("TMAPI_") and not name.upper().endswith("_PROXY"))
    }
    variables |= {"TMAPI_TOKEN": token} if token else {}
    variables |= {"TMAPI_BASE_URL": url} if url else {}
    return variables | more


def spawn(
    *arguments: str, env: dict[str, str], before: Iterable[str] = (), **options: Any
) -> subprocess.Popen[bytes]:
    """Start `tmapi` in its own process, with pipes. `before` is a prefix of the command."""
    pipe = subprocess.PIPE
    options = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe} | options
    return subprocess.Popen([*before, *TMAPI, *arguments], env=env, **options)  # noqa: S603 - our own command


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Done:
    """Wait for a process. Kill it and fail the test if it does not end."""
    try:
        out, err = process.communicate(stdin, timeout=90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, out or b"", (err or b"").decode())


def run(*arguments: str, env: dict[str, str], **options: Any) -> Done:
    """Run `tmapi` in its own process."""
    return finish(spawn(*arguments, env=env, **options))


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Restore the logging and the signals of the tests after a command, which sets up its own."""
    root, ours = logging.getLogger(), logging.getLogger("tmapi_async")
    events = logging.getLogger("tmapi_async.command")
    log_handlers, levels = root.handlers[:], (root.level, ours.level)
    show = warnings.showwarning
    handlers = signal_handlers()
    try:
        yield
    finally:
        restore_handlers(handlers)
        for handler in events.handlers:
            handler.close()
        events.handlers.clear()
        root.handlers[:] = log_handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        warnings.showwarning = show


class InProcess:
    """Run `tmapi` in this process, which is much faster than a new process."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capture = capture

    def __call__(self, *arguments: str, url: str = "", stdin: bytes = b"", **env: str) -> Done:
        """Run a command. `env` are variables besides token and base URL."""
        with self._monkeypatch.context() as patch, _as_it_was():
            for name in set(os.environ) - set(environment()):
                patch.delenv(name)
            for name, value in environment(url, **env).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["tmapi", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            self._capture.readouterr()
            code = _code()
        out, err = self._capture.readouterr()
        return Done(code, out, err.decode())


def _code() -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
