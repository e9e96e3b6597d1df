"""The summary at the end of a command, as lines for people and as an event of the log."""

from __future__ import annotations

from tmapi_async.cli.console import log_event, logs_json, print_unlogged
from tmapi_async.cli.summary import Summary


def print_summary(summary: Summary, exit_code: int) -> None:
    """Print a summary, and add it to the log with all its figures and the exit code."""
    lines = summary.lines()
    log_event("summary", "; ".join(lines), **summary.fields(), exit_code=exit_code)
    if not logs_json():
        for line in lines:
            print_unlogged(line)
