"""The message about a run that a journal does not have, for every command and the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_MOST = 10


def missing_run(journal: Path, number: int | None, runs: Sequence[int]) -> str:
    """Return the message that a journal has no run of a number.

    Args:
        journal: The journal's file.
        number: The number that was asked for.
        runs: Numbers of the runs in the journal, in ascending order.
    """
    latest = ", ".join(map(str, runs[-_MOST:]))
    if not runs:
        known = "it has no run yet"
    elif len(runs) == 1:
        known = f"its only run is {latest}"
    else:
        known = f"its latest runs are {latest}"
    return f"{journal} has no run {number}: {known}"
