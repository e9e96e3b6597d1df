"""Steps of a night as plain functions. `flow.py` makes a Prefect flow of them; any scheduler can.

Each step may be called again at any time, and pays for nothing twice: the journal says what is
there. An error says whether a retry in the same night makes sense.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from tmapi_async import TMAPI, category_items
from tmapi_async.export import export_journal
from tmapi_async.harvest import (
    Harvest,
    HarvestResult,
    JournalReader,
    NoJournalError,
    write_report,
)

NIGHT = 12 * 3600.0
"""Seconds for which a finished category is not fetched again, and a spent budget stays spent."""

OUTAGE_SECONDS = 1800.0
"""Seconds for which a harvest itself waits for an API that does not answer."""

FINAL = ("auth", "balance", "budget")
"""Reasons for an early end that a retry cannot mend, or should not."""


class NightError(Exception):
    """The night is not complete. Every page that was paid for is in the journal."""


class TryAgainError(NightError):
    """The same call continues, and may succeed later in the same night."""


class GiveUpError(NightError):
    """A retry in the same night would change nothing, or spend more than the budget."""


async def harvest(cat_ids: Iterable[int], journal: Path, max_requests: int) -> str:
    """Fetch categories that were not finished within the night, and continue unfinished ones.

    Token and address come from the environment: a scheduler stores and shows parameters.

    Args:
        cat_ids: Categories.
        journal: File of the journal; created if it does not exist.
        max_requests: Requests that all calls of a night may send together.

    Returns:
        The result in one line.

    Raises:
        TryAgainError: Not complete; a later call continues.
        GiveUpError: Not complete: the budget is spent, or the token or the balance was refused.
        JournalError: The journal cannot be used, for example because another harvest writes to it.
    """
    left = max_requests - requests_since(journal, time.time() - NIGHT)
    if left < 1:
        raise GiveUpError(f"the budget of {max_requests:,} requests is spent for this night")
    listings = [category_items(cat_id) for cat_id in cat_ids]
    async with TMAPI.from_env(max_requests=left, wait=OUTAGE_SECONDS) as api:
        result = await Harvest(api, listings, journal=journal, older_than=NIGHT).run()
    check(result)
    return f"{result.tally.items:,} items, {result.requests:,} requests in this start"


def requests_since(journal: Path, since: float) -> int:
    """Return the number of requests that the starts of a journal have sent since a time."""
    try:
        with JournalReader(journal) as reader:
            recent = [start for start in reader.starts() if start.started_at >= since]
    except NoJournalError:  # the first night
        return 0
    return sum(start.totals.requests for start in recent if start.totals is not None)


def check(result: HarvestResult) -> None:
    """Raise an error if a harvest is not complete.

    Raises:
        NightError: See `harvest`.
    """
    if result.complete:
        return
    failed = f"{result.tally.failed:,} of {result.tally.listings:,} categories failed"
    reason = str(result.error) if result.error is not None else result.stopped_by or failed
    raise (GiveUpError if result.stopped_by in FINAL else TryAgainError)(reason)


def write_tables(journal: Path) -> list[str]:
    """Write the items as Parquet, and the report, beside the journal. Return the files' paths.

    What a harvest has left unfinished is in the report; the table has each category's latest
    finished visit.
    """
    items, report = journal.with_name("items.parquet"), journal.with_name("report.html")
    export_journal(journal, [str(items)])
    write_report(journal, report)
    return [str(items), str(report)]
