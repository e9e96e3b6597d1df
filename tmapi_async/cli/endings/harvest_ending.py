"""Last lines of a harvest: its listings and its summary."""

from __future__ import annotations

import sys
from pathlib import Path

from tmapi_async.cli.console import logs_json, print_error_line, terminal_width
from tmapi_async.cli.listing_table import format_failures, format_listings
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
            visits = [visit for visit in reader.listings() if visit.id in result.visits]
            listings = {visit.listing for visit in visits}
            pages = [page for page in reader.failed_pages() if page.listing in listings]
    except JournalError as error:
        # The same trouble has ended the harvest, or it was stopped before there was a file.
        if not result.error and result.visits:
            print_error_line(str(error))
        return
    width = terminal_width(sys.stderr)
    table = [] if logs_json() else format_listings(visits, running=False, every=False, width=width)
    for line in [*table, *format_failures(visits, pages)]:
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
