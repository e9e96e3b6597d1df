"""Values that a shell offers for an option or argument.

Where a function returns nothing, the shell offers files and folders as it always does.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from typing import TypeAlias

Completion: TypeAlias = Callable[[str], list[str]]
"""Function from the beginning of a value to the values that begin so."""

_MOST_ENTRIES = 10_000


def complete_words(*words: str) -> Completion:
    """Return a function that offers some words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def complete_files(ending: str) -> Completion:
    """Return a function that offers the files with an ending, and the folders beside them.

    Where no such file is there, the shell is left to offer all files: journals may have any name.
    """

    def complete(incomplete: str) -> list[str]:
        try:
            entries = sorted(_entries(incomplete))
        except (OSError, ValueError):
            return []
        files = [entry for entry in entries if entry.endswith(ending)]
        # The shell itself quotes a name with blanks; it does not quote names that it is given.
        if not files or any(shlex.quote(entry) != entry for entry in entries if entry[0] != "~"):
            return []
        return [entry for entry in entries if entry in files or entry.endswith(os.sep)]

    return complete


def _entries(incomplete: str) -> Iterator[str]:
    """Yield the paths that begin with a text; those of folders end with a separator."""
    folder, name = os.path.split(incomplete)
    with os.scandir(os.path.expanduser(folder) or os.curdir) as entries:  # noqa: PTH111 - the user's spelling is kept
        for number, entry in enumerate(entries):
            if number == _MOST_ENTRIES:
                return
            hidden = entry.name.startswith(".") and not name
            if entry.name.startswith(name) and not hidden:
                path = os.path.join(folder, entry.name)  # noqa: PTH118 - as above
                yield f"{path}{os.sep}" if entry.is_dir() else path


complete_journals = complete_files(".journal")
complete_jobs = complete_files(".toml")


def complete_exported_endpoints(incomplete: str) -> list[str]:
    """Return the endpoints and parts of details that an export can write and that begin so."""
    from tmapi_async.export.detail_tables.elements import DETAIL_TABLES  # noqa: PLC0415 - slow to import
    from tmapi_async.export.endpoint_choice import EXPORTED  # noqa: PLC0415 - as above

    names = [endpoint.short for endpoint in (*EXPORTED.values(), *DETAIL_TABLES.values())]
    return complete_words(*names)(incomplete)
