"""Checks of the places that a harvest writes to: journal, disk and destinations."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tmapi_async.cli.concealing import hide_passwords
from tmapi_async.errors import ExportError, JournalError, NoJournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.export import Export
from tmapi_async.journal.reader import JournalReader

from .finding import Finding

_LITTLE_SPACE = 2**30


def check_journal(journal: Path) -> Iterator[Finding]:
    """Yield the findings about a journal, which need not exist, and about its disk."""
    path = journal.expanduser().resolve()
    folder = path.parent
    if not folder.is_dir():
        yield Finding("journal", "failed", f"there is no folder {folder}", "create it first")
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        text = f"{folder} cannot be written: {error.strerror}"
        yield Finding("journal", "failed", text, "choose another folder, or change its permissions")
        return
    yield _contents(journal, path)
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:,.1f} GB free in {folder}"
    if free < _LITTLE_SPACE:
        yield Finding("disk", "warning", text, "a page takes about 3 KB: free some space")
    else:
        yield Finding("disk", "fine", text)


def _contents(journal: Path, path: Path) -> Finding:
    try:
        with JournalReader(path) as reader:
            runs, writer = len(reader.runs()), reader.writer
    except NoJournalError:
        return Finding("journal", "fine", f"{journal} does not exist yet, and can be created")
    except JournalError as error:
        return Finding("journal", "failed", str(error))
    text = f"{journal} can be read, with {quantity(runs, 'run')}"
    if not os.access(path, os.W_OK):
        return Finding("journal", "failed", f"{text}, but not written", "change its permissions")
    if writer is not None:
        process = f"process {writer}" if writer else "another process"
        return Finding("journal", "warning", f"{text}; {process} is writing to it now")
    return Finding("journal", "fine", f"{text}, and written")


def check_destination(to: str, endpoint: str, journal: Path | None) -> Finding:
    """Return the finding about a destination, which is opened and left as it was.

    Args:
        to: The destination, as typed.
        endpoint: Short name of the endpoint whose rows it would get.
        journal: Journal that it must not overwrite, or None.
    """
    try:
        export = Export(journal or Path(os.devnull), [to])
        export.check_destinations(endpoint)
    except ExportError as error:
        return Finding("destination", "failed", error.message)
    return Finding("destination", "fine", f"{hide_passwords([to])[0]} can be written")
