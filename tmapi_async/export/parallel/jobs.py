"""Number of processes that read a journal side by side."""

from __future__ import annotations

import os

from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.argument_checks import check_type
from tmapi_async.errors.shown_value import show_value

MOST_JOBS = 64
"""Processes at most."""

_USUAL_JOBS = 2
"""Processes by default, where there are so many processors. With more of them the process that
takes their results is the slowest part, and the memory of all together would pass 300 MB."""

_WORTHWHILE_PAGES = 5000
"""Pages from which on processes are started by default: starting them takes half a second."""


def check_jobs(jobs: int | None) -> None:
    """Check a number of processes; None decides by the size of the journal.

    Raises:
        InvalidRequestError: The value is no number.
        ExportRefusedError: There cannot be so many.
    """
    check_type("jobs", jobs, int, "a number of processes")
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise ExportRefusedError(f"jobs must be from 1 to {MOST_JOBS}, not {show_value(jobs)}")


def default_jobs(pages: int) -> int:
    """Return the number of processes for a journal of some pages, on this machine."""
    if pages < _WORTHWHILE_PAGES:
        return 1
    return min(_USUAL_JOBS, _processors())


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
