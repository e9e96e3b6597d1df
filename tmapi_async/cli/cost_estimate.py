"""Cost of a harvest before it is paid for: prints it, requests first pages, asks the user."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tmapi_async.errors import JournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.harvest import Harvest, HarvestResult
from tmapi_async.harvest.estimates.estimate import Amount, Estimate, Source
from tmapi_async.harvest.estimates.harvest_estimate import JournalEstimate, estimate_harvest
from tmapi_async.harvest.estimates.speed import Speed, speed_of_limits, speed_of_starts
from tmapi_async.limits.sharing.limit_memory import recall
from tmapi_async.limits.sharing.runtime_folder import account_name

from .concealing import command_to_continue
from .console import print_error_line, print_json, print_message, print_output, terminal_width
from .exit_codes import OK, PARTIAL, REFUSED, USAGE
from .options.connection_options import ConnectionOptions
from .options.cost_options import CostOptions
from .options.listing_sets import ListingSet
from .progress.interruptible import run_interruptibly
from .runner import open_clients, run
from .tables import format_duration, format_table

MAX_LISTINGS = 40
"""Listings whose pages are shown one by one."""

_SOURCES: dict[Source, str] = {
    "earlier run": "from an earlier run",
    "total": "from the totals of their first pages",
    "other listings": "from the sizes of other listings",
    "one page": "of one request each",
    "unknown": "of unknown size",
}


class HarvestCost:
    """The cost of one harvest.

    Args:
        listings: Listings of the harvest.
        journal: Its journal.
        options: Options of the plan and of the division: those of `estimate_harvest`.
        connection: Account, server and limits.
        quiet: Print no progress.

    Attributes:
        paid: Requests that were sent for first pages.
        failed: Listings whose first page was requested and did not come.
    """

    def __init__(
        self,
        listings: ListingSet,
        journal: Path,
        options: dict[str, Any],
        connection: ConnectionOptions,
        *,
        quiet: bool,
    ) -> None:
        self.paid = self.failed = 0
        self._listings = listings
        self._journal = journal
        self._options = options
        self._connection = connection
        self._quiet = quiet

    def settle(self, options: CostOptions, *, json: bool) -> int | None:
        """Print the cost or ask about it, as the options say.

        Args:
            options: The options, already checked.
            json: Print the cost as JSON.

        Returns:
            The exit code, or None to begin the harvest.
        """
        try:
            found = self._read()
            if options.confirm_above is not None:
                return self._ask(found, options.confirm_above, yes=options.yes)
            code = OK
            if options.estimate and found.unasked:
                code = self._request_first_pages(found) or (PARTIAL if self.failed else OK)
                found = self._read()
        except JournalError as error:
            print_message(str(error))
            return USAGE if not self.paid else PARTIAL
        speed = self._speed(found, sending=not options.dry_run)
        estimate = found.estimate.at_speed(speed.per_second if speed else None)
        if json:
            print_json(self._as_json(estimate))
            return code
        for line in estimate_lines(estimate, speed, terminal_width(sys.stdout)):
            print_output(line)
        if options.dry_run and found.unasked:
            print_output(
                f"for a closer estimate, --estimate requests {quantity(len(found.unasked), 'page')}"
            )
        return code

    def _read(self) -> JournalEstimate:
        return estimate_harvest(self._listings, journal=self._journal, **self._options)

    def _ask(self, found: JournalEstimate, most: int, *, yes: bool) -> int | None:
        """Ask the user about an expensive harvest. Return the exit code, or None to begin it."""
        if yes:
            return None
        if found.estimate.exceeds(most) and 0 < len(found.unasked) <= most:
            code = self._request_first_pages(found)
            if code != OK:
                return code
            found = self._read()
        if not found.estimate.exceeds(most):
            return None
        speed = self._speed(found, sending=True)
        estimate = found.estimate.at_speed(speed.per_second if speed else None)
        for line in estimate_lines(estimate, speed, terminal_width(sys.stderr)):
            print_error_line(line)
        print_message(f"this can be more than --confirm-above {most:,} allows without a question")
        sent = f"{quantity(self.paid, 'request')} sent so far" if self.paid else "nothing was sent"
        if not sys.stdin.isatty():
            print_message(f"add --yes to begin the harvest; {sent}")
            return PARTIAL if self.paid else USAGE
        print_error_line("Begin the harvest? [y/N]")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return None
        command = command_to_continue(sys.argv[1:])
        print_message(f"not begun; {sent}. To begin, run: {command}")
        return PARTIAL

    def _request_first_pages(self, found: JournalEstimate) -> int:
        """Request first pages into the journal. Return an exit code: not OK if all has stopped."""
        number = len(found.unasked)
        print_message(
            f"requesting the first page of {quantity(number, 'listing')}, which tells how many "
            f"rows there are: {quantity(number, 'request')}. The pages are kept in {self._journal}"
        )
        result = run_first_pages(self._harvest_first_pages(found))
        self.paid, self.failed = result.requests, result.tally.failed
        if result.error is not None:
            print_message(str(result.error))
        if result.stopped_by is None:
            return OK
        return REFUSED if result.stopped_by in ("balance", "auth") else PARTIAL

    async def _harvest_first_pages(self, found: JournalEstimate) -> HarvestResult:
        async with open_clients(self._connection) as clients:
            job = Harvest(
                clients,
                found.unasked,
                journal=self._journal,
                first_pages=True,
                host="sandbox" if self._connection.sandbox else None,
            )
            return await run_interruptibly(job, shown=not self._quiet)

    def _speed(self, found: JournalEstimate, *, sending: bool) -> Speed | None:
        """Return the speed to expect: at the widths that were learned, or of the last start."""
        now, speed = time.time(), None
        if sending and not self._connection.sandbox:
            clients = self._connection.clients()
            limits = [recall(account_name(api.core.token, api.host)) for api in clients]
            most, rate = self._connection.bounds()
            speed = speed_of_limits(limits, now, most=most, rate=rate)
        return speed or speed_of_starts(found.starts, now)

    def _as_json(self, estimate: Estimate) -> str:
        whole = {
            name: _rounded(getattr(estimate, name)) for name in ("pages", "requests", "seconds")
        }
        listings = [
            {**msgspec.structs.asdict(entry), "pages": _rounded(entry.pages)}
            for entry in estimate.by_listing
        ]
        summary = {
            "journal": str(self._journal),
            "finished": estimate.finished,
            "listings": estimate.listings,
            **whole,
            "paid": self.paid,
            "unbounded": estimate.unbounded,
            "sources": estimate.sources,
            "by_listing": listings,
        }
        return msgspec.json.encode(summary).decode()


def run_first_pages(coroutine: Any) -> HarvestResult:
    """Run the harvest of first pages in an event loop and return its result."""
    results: list[HarvestResult] = []

    async def harvest() -> int:
        results.append(await coroutine)
        return OK

    run(harvest())
    return results[0]


def _rounded(amount: Amount | None) -> Amount | None:
    return None if amount is None else amount.rounded()


def estimate_lines(estimate: Estimate, speed: Speed | None, width: int | None) -> Iterator[str]:
    """Yield an estimate as text: the listings, the sum, its sources, the time.

    Args:
        estimate: The estimate.
        speed: The speed that its time is computed from, or None.
        width: Cells of the terminal; None for any width.
    """
    if not estimate.listings:
        yield f"{quantity(estimate.finished, 'listing')} finished: nothing to send"
        return
    entries = sorted(estimate.by_listing, key=lambda entry: -(entry.pages.high or 1e12))
    rows = [
        (entry.listing, entry.stored, _amount(entry.pages), entry.source)
        for entry in entries[:MAX_LISTINGS]
    ]
    yield from format_table(("listing", ">stored", ">pages to come", "source"), rows, width)
    if len(entries) > MAX_LISTINGS:
        yield f"... and {len(entries) - MAX_LISTINGS:,} more"
    yield ""
    finished = f", {estimate.finished:,} finished" if estimate.finished else ""
    yield (
        f"expected cost: {_amount(estimate.requests)} requests for "
        f"{_amount(estimate.pages)} pages of {quantity(estimate.listings, 'listing')}{finished}"
    )
    sources = [f"{number:,} {_SOURCES[name]}" for name, number in estimate.sources.items()]
    yield f"listings: {', '.join(sources)}"
    yield _time_line(estimate, speed)


def _time_line(estimate: Estimate, speed: Speed | None) -> str:
    seconds = estimate.seconds
    if seconds is None or speed is None:
        return "time: unknown until a harvest has learned how many requests at once are allowed"
    at = f"{speed.per_second:.1f} requests per second"
    if speed.width is not None:
        at += f", {speed.width:,} at the same time"
    age = f"measured {format_duration(max(0.0, speed.age))} ago"
    if seconds.likely is None:
        most = "" if seconds.high is None else f" to {format_duration(seconds.high)}"
        return f"time: {format_duration(seconds.low)}{most or ' or more'}, at {at} ({age})"
    return f"time: about {format_duration(seconds.likely)}, at {at} ({age})"


def _amount(amount: Amount) -> str:
    whole = amount.rounded()
    if whole.likely is None:
        most = " or more" if whole.high is None else f" to {whole.high:,}"
        return f"{whole.low:,}{most}"
    if whole.high is None or whole.low == whole.high:
        return f"{whole.likely:,}"
    return f"about {whole.likely:,} ({whole.low:,} to {whole.high:,})"
