"""`tmapi replay`: decodes rejects again after a model was mended."""

from __future__ import annotations

from pathlib import Path

from tmapi_async.cli import console
from tmapi_async.cli.summary import OK, USAGE
from tmapi_async.harvest import JournalError
from tmapi_async.journal.redecode import replay as replay_journal


def replay(path: Path) -> int:
    """Decode the rejects of a journal again; returns the exit code."""
    try:
        done = replay_journal(path)
    except JournalError as error:
        console.tell(str(error))
        return USAGE
    if not done.rejects:
        console.tell("there are no rejects: nothing to decode again")
    else:
        console.tell(
            f"{done.rejects:,} rejects on {done.pages:,} pages: {done.mended:,} are items now, "
            f"{done.left:,} still cannot be decoded"
        )
    return OK
