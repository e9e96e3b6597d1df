"""`tmapi report`: one self-contained page with charts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tmapi_async.cli import console
from tmapi_async.cli.summary import OK, PARTIAL, USAGE
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.export.atomic_file import overwrites_journal


def report(
    journal: Path, output: Path, run: int | None, endpoint: str | None = None, *, quiet: bool
) -> int:
    """Write a report; returns the exit code."""
    try:
        _check(output, journal)
        from tmapi_async.report import write_report  # noqa: PLC0415 - an extra

        size = write_report(journal, output, run=run, endpoint=endpoint)
    except (InvalidRequestError, JournalError) as error:
        console.tell(str(error))
        return USAGE
    except OSError as error:
        console.tell(f"cannot write {output}: {error.strerror}; what was there before still is")
        return PARTIAL
    if not quiet:
        print(f"report: {output} ({size / 1e6:.1f} MB); open it in a browser")  # noqa: T201 - the result
    return OK


def _check(output: Path, journal: Path) -> None:
    missing = [name for name in ("pyarrow", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequestError(
            f"a report needs {' and '.join(missing)}, which is not installed: "
            'pip install "tmapi-async[report]"'
        )
    folder = output.expanduser().resolve().parent
    if not folder.is_dir():
        raise InvalidRequestError(f"{output}: there is no folder {folder}: make it first")
    if output.expanduser().exists() and not output.expanduser().is_file():
        raise InvalidRequestError(f"{output} is not a plain file: name one, such as report.html")
    if overwrites_journal(output.expanduser(), journal.expanduser()):
        raise InvalidRequestError(f"{output} is the journal itself: name another file")
