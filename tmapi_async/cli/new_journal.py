"""A new journal file that a command writes: it appears whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tmapi_async.errors import InvalidRequestError
from tmapi_async.export.atomic_file import AtomicFile, overwrites_journal

from .progress.progress_line import show_progress
from .signals import run_in_loop

T = TypeVar("T")
ReportProgress = Callable[[int, int], None]


@contextmanager
def new_journal(path: Path, source: Path) -> Iterator[Path]:
    """Yield a temporary path; rename the file there to `path` if the block ends without an error.

    Args:
        path: The new file. It must not exist.
        source: Journal that the new file is made from.

    Raises:
        InvalidRequestError: The path exists, or no file can be created there.
        OSError: The file cannot be made durable or renamed.
    """
    path = path.expanduser()
    _check(path, source.expanduser())
    try:
        file = AtomicFile(path)
    except OSError as error:
        raise InvalidRequestError(f"cannot create {path}: {error.strerror}") from None
    try:
        yield file.temporary
        _check(path, source.expanduser())  # another process may have created it meanwhile
        file.commit()
    finally:
        file.discard()


def _check(path: Path, source: Path) -> None:
    if path.exists() or path.is_symlink():
        raise InvalidRequestError(f"{path} exists already: name a file that does not exist")
    if overwrites_journal(path, source):
        raise InvalidRequestError(f"{path} belongs to the journal itself: use another file name")
    if not path.resolve().parent.is_dir():
        raise InvalidRequestError(f"there is no folder {path.resolve().parent}: create it first")


def run_with_progress(
    work: Callable[[ReportProgress], T], describe: Callable[[int, int], str], *, shown: bool
) -> T:
    """Run `work` in a thread and show its progress. An interrupt ends the work soon.

    Args:
        work: Called with a function that it must call often, with the work done and the whole work.
        describe: Returns the progress line for these two numbers.
        shown: False to show nothing.

    Returns:
        The result of `work`.
    """
    done, total, stopped = 0, 0, False

    def report(new_done: int, new_total: int) -> None:
        nonlocal done, total
        if stopped:
            raise InterruptedError
        done, total = new_done, new_total

    async def run() -> T:
        nonlocal stopped
        try:
            async with show_progress(lambda: describe(done, total), shown=shown):
                return await asyncio.to_thread(work, report)
        finally:
            stopped = True

    return run_in_loop(run())
