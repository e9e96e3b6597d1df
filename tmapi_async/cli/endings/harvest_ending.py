"""Last lines of a harvest: its listings and its summary."""

from __future__ import annotations

import sys
from pathlib import Path

from tmapi_async.cli.console import logs_json, print_error_line, terminal_width
from tmapi_async.cli.listing_table import lines_of_visits
from tmapi_async.cli.summary import Summary
from tmapi_async.errors import JournalError
from tmapi_async.harvest import HarvestResult, JournalReader


def print_listings(journal: Path, result: HarvestResult) -> None:
    """Print the listings of a harvest as a table, and the failures among them.

    A log of JSON objects gets the failures alone: `tmapi status` shows the table at any time.

    Args:
        journal: Journal of the harvest.
        result: Result of the harvest.
    """
    try:
        with JournalReader(journal) as reader:
            width = terminal_width(sys.stderr)
            table, failures = lines_of_visits(reader, result.visits, width)
    except JournalError as error:
        # The same trouble has ended the harvest, or it was stopped before there was a file.
        if not result.error and result.visits:
            print_error_line(str(error))
        return
    for line in failures if logs_json() else [*table, *failures]:
        print_error_line(line)


def summarize_harvest(result: HarvestResult) -> Summary:
    """Return the summary of the command-line contract."""
    seconds = result.seconds
    return Summary.from_tally(
        result.tally,
        requests=result.requests,
        retries=result.retries,
        wasted=result.wasted,
        second_looks=result.second_looks,
        codes=result.codes,
        unreached=result.unreached,
        waited=result.waited,
        seconds=round(seconds, 3),
        pages_per_second=round(result.pages / seconds, 1) if seconds else 0.0,
        stopped_by=result.stopped_by,
    )
