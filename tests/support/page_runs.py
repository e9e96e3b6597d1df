"""Run the blocks of a page of the documentation as a reader does who pastes them, one by one."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.support.doc_pages import PYTHON, ROUGH_OUTPUT, Block, same_output
from tests.support.paths import SUPPORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SECONDS = 150  # for a block: an installation on a busy machine

# The next block begins where this one ends: with its folder and its exported variables.
_SHELL = """
trap 'code=$?; env -0 > "$STATE/variables"; pwd > "$STATE/folder"; exit $code' EXIT
set -e
{code}
"""


class Printed(NamedTuple):
    """Exit code of a block, and all that it printed."""

    code: int
    text: str


class PageRun:
    """The terminal, and the Python session, of a reader of a page.

    Args:
        folder: Empty folder: `page` in it is the reader's, the others are for our own files.
        variables: Environment variables to begin with.
        replaced: Text of the page -> text that stands for it on this machine.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder / "page"
        self._files = folder / "files"
        self._variables = {**variables, "STATE": str(self._files)}
        self._replaced = replaced or {}
        self._session: _PythonSession | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        for made in (self.folder, self._files):
            made.mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._session.close()
        for process in self._started:
            _end(process)

    def run(self, blocks: Iterable[Block]) -> None:
        """Run blocks in order and compare what they print with what the page shows.

        Raises:
            AssertionError: A block fails, or prints something else.
        """
        printed: Printed | None = None
        for block in blocks:
            code = self._on_this_machine(block.code)
            if block.is_file:
                path = self.folder / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(code, encoding="utf-8")
            elif block.is_output:
                if printed is not None and "not run" not in block.marks:
                    _compare(block, code, printed.text)
            elif block.is_run:
                printed = self._run(block, code)
                expected = int(block.marks.get("exits", 0))
                message = f"{block.place}: exit code {printed.code}\n{block.code}\n{printed.text}"
                assert printed.code == expected, message
            elif "not run" in block.marks:
                printed = None

    def _on_this_machine(self, code: str) -> str:
        for shown, local in self._replaced.items():
            code = code.replace(shown, local)
        return code

    def _run(self, block: Block, code: str) -> Printed:
        if block.language != PYTHON:
            return self._serve(code) if "background" in block.marks else self._run_shell(code)
        if self._session is None:
            self._session = _PythonSession(self._variables, self._files, self.folder)
        path = self._files / f"line_{block.line}.py"
        # Blank lines before the code make a traceback name the line of the page.
        path.write_text("\n" * (block.line - 1) + code, encoding="utf-8")
        return self._session.run(path, self._variables, self.folder)

    def _start(self, code: str, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own docs
                ["/bin/bash", "-c", _SHELL.format(code=code)],
                cwd=self.folder,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def _run_shell(self, code: str) -> Printed:
        output = self._files / "output"
        process = self._start(code, output)
        exit_code = process.wait(_SECONDS)
        pairs = (self._files / "variables").read_text(encoding="utf-8").split("\0")
        self._variables = dict(pair.split("=", 1) for pair in pairs if pair)
        self.folder = Path((self._files / "folder").read_text(encoding="utf-8").rstrip("\n"))
        return Printed(exit_code, output.read_text(encoding="utf-8", errors="replace"))

    def _serve(self, code: str) -> Printed:
        """Start a server in place of the one before, and wait for its first line."""
        if self._server is not None:
            _end(self._server)
        output = self._files / f"server_{len(self._started)}"
        process = self._server = self._start(code, output)
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end and process.poll() is None:
            text = output.read_text(encoding="utf-8")
            if "\n" in text:
                return Printed(0, text)
            time.sleep(0.05)
        return Printed(process.poll() or 1, output.read_text(encoding="utf-8"))


class _PythonSession:
    """A Python process that runs one block after the other."""

    def __init__(self, variables: Mapping[str, str], files: Path, folder: Path) -> None:
        self._output = files / "python"
        to_read, requests = os.pipe()
        replies, to_write = os.pipe()
        python = shutil.which("python", path=variables["PATH"]) or "python"
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [python, SUPPORT / "page_python.py", str(to_read), str(to_write)],
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=(to_read, to_write),
                start_new_session=True,
            )
        os.close(to_read)
        os.close(to_write)
        self._requests = os.fdopen(requests, "w", encoding="utf-8")
        self._replies = os.fdopen(replies, encoding="utf-8")
        self._read = 0

    def run(self, path: Path, variables: Mapping[str, str], folder: Path) -> Printed:
        """Run a block. Its code is in a file."""
        request = {"file": str(path), "environment": dict(variables), "folder": str(folder)}
        self._requests.write(f"{json.dumps(request)}\n")
        self._requests.flush()
        code = int(self._replies.readline() != "true\n")
        text = self._output.read_bytes()[self._read :]
        self._read += len(text)
        return Printed(code, text.decode(errors="replace"))

    def close(self) -> None:
        """End the process; kill it and those that it has left if it does not."""
        self._requests.close()
        self._replies.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        _end(self._process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _compare(block: Block, shown: str, printed: str) -> None:
    if not same_output(shown, printed, rough=block.title == ROUGH_OUTPUT):
        lines = difflib.unified_diff(
            shown.splitlines(), printed.splitlines(), "page", "printed", lineterm=""
        )
        raise AssertionError("\n".join([f"{block.place}: another output", *lines]))
