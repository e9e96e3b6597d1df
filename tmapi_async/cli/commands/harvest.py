"""`tmapi harvest`: the durable job."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import msgspec

from tmapi_async.cli import console
from tmapi_async.cli import listing_table as listings
from tmapi_async.cli import progress_display as display
from tmapi_async.cli import runner as running
from tmapi_async.cli.options.cluster_options import ClusterOptions
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.options.listing_options import ListingSet
from tmapi_async.cli.options.split_options import SplitOptions, tell_account, tell_handed_over
from tmapi_async.cli.summary import OK, PARTIAL, USAGE, Summary
from tmapi_async.client.client import TMAPI
from tmapi_async.errors import DiskError, InvalidRequestError, TMAPIError
from tmapi_async.harvest import Harvest, HarvestResult, JournalError, JournalReader
from tmapi_async.journal.views import VisitInfo

from .export import Request, export

_LONGEST_COMMAND = 300


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What `tmapi harvest` is asked to do.

    Attributes:
        wanted: The listings, each once.
        journal: The journal's file.
        refresh: Make a new run if everything is complete.
        max_pages: Most pages of each listing, or None.
        most_rejects: Share of a page's rows that may be rejects.
        to: Destinations that get the latest run when the harvest has ended.
        connection: How the API is reached.
        json: End with the summary as JSON.
        quiet: No progress, no summary.
        arguments: The command as typed, to be shown again.
        clustering: Who asks.
        dividing: How listings that the API cuts short are divided.
    """

    wanted: ListingSet
    journal: Path
    refresh: bool
    max_pages: int | None
    most_rejects: float
    to: list[str]
    connection: ConnectionOptions
    json: bool
    quiet: bool
    arguments: list[str]
    clustering: ClusterOptions = ClusterOptions()
    dividing: SplitOptions = SplitOptions()

    def endpoints(self) -> set[str]:
        """Names of the endpoints that are asked."""
        return {listing.endpoint for listing in self.dividing.asked(self.wanted)}

    def export(self, endpoint: str | None = None) -> Request:
        """What is exported in the end: rows of one endpoint, since each has its own columns.

        Args:
            endpoint: Which one; None where nothing of it may be in the journal yet.

        Raises:
            InvalidRequestError: The job asks several.
        """
        several = sorted(self.endpoints())
        if len(several) > 1:
            raise InvalidRequestError(
                f"--to takes rows of one endpoint, and this job asks {', '.join(several)}: leave "
                "it out, and export one after the other with tmapi export --endpoint"
            )
        return Request(
            journal=self.journal,
            to=self.to,
            table=None,
            run=None,
            since=None,
            cats=[],
            unique=False,
            json=False,
            quiet=self.quiet,
            endpoint=endpoint,
        )

    def harvest(self, clients: list[TMAPI], cluster: str | None = None) -> Harvest:
        """The harvest, over open clients; `cluster` is the scheduler, if workers ask."""
        return Harvest(
            clients,
            self.wanted,
            journal=self.journal,
            refresh=self.refresh,
            max_pages=self.max_pages,
            most_rejects=self.most_rejects,
            # Each sandbox has a port of its own; it is still the same one.
            host="sandbox" if self.connection.sandbox else None,
            cluster=cluster,
            tokens=self.clustering.place(),
            split=self.dividing.chosen(quiet=self.quiet),
        )


def harvest(job: Job) -> int:
    """Run the harvest; returns the exit code.

    Raises:
        InvalidRequestError: A destination makes no sense; nothing was sent.
    """
    if job.to:
        job.export().export()

    async def main() -> int:
        try:
            result = await _run(job)
        except DiskError as error:
            console.tell(f"{error}; nothing was sent")
            return PARTIAL
        except JournalError as error:
            console.tell(str(error))
            return USAGE
        return _close(job, result)

    return running.run(main())


def _export(job: Job, result: HarvestResult) -> int:
    """Bring the destinations up to date with what the journal holds now."""
    if not job.to:
        return OK
    if result.stopped_by == "signal":
        console.tell(f"interrupted: not exported; tmapi export {job.journal} does that")
        return OK
    endpoint = min(job.endpoints(), default=None) if result.tally.listings else None
    return export(job.export(endpoint))


async def _run(job: Job) -> HarvestResult:
    if job.dividing.split:
        tell_handed_over(job.wanted)
    async with (
        running.clients(job.connection) as clients,
        job.clustering.address() as cluster,
    ):
        work = job.harvest(clients, cluster)
        task = asyncio.create_task(work.run(), name="tmapi harvest")

        def stop_now() -> None:
            console.tell("stopping now: what was received is committed")
            task.cancel()

        def stop() -> None:
            # Before a word is said: whoever reads it may press again at once.
            running.on_next_signal(stop_now)
            in_flight = work.progress().in_flight
            work.stop()
            console.tell(
                f"stopping: {in_flight} requests on their way are paid for and waited for; "
                "once more to stop now"
            )

        async with (
            running.on_signal(stop),
            display.shown(work.progress, wanted=not job.quiet),
        ):
            await asyncio.wait([task])
        return work.result() if task.cancelled() else task.result()


def _close(job: Job, result: HarvestResult) -> int:
    """Tell the truth at the end; what it says, the exit code says too."""
    summary = summarise(result)
    if isinstance(result.error, TMAPIError):
        console.tell(str(result.error))
    if not job.quiet:
        for text in _report(job, result):
            console.tell_plainly(text)
        for account in result.reconciliations:
            tell_account(account)
    exported = _export(job, result)
    code = summary.exit_code() or exported
    if not job.quiet:
        for text in summary.lines():
            console.tell(text)
        console.tell(_verdict(job, summary))
    if job.json:
        tell = console.tell_plainly if "-" in job.to else print
        tell(summary.json())
    return code


def summarise(result: HarvestResult) -> Summary:
    """The summary of the contract."""
    tally, seconds = result.tally, result.seconds
    return Summary(
        listings=tally.listings,
        complete=tally.complete,
        capped=tally.capped,
        failed=tally.failed,
        stopped=tally.left,
        pages=tally.pages,
        items=tally.items,
        unique_items=tally.unique_items,
        rejects=tally.rejects,
        requests=result.requests,
        retries=result.retries,
        wasted=result.wasted,
        codes=result.codes,
        seconds=round(seconds, 3),
        pages_per_second=round(result.pages / seconds, 1) if seconds else 0.0,
        stopped_by=result.stopped_by,
    )


def _report(job: Job, result: HarvestResult) -> list[str]:
    """The listings of this command, and what failed."""
    with JournalReader(job.journal) as journal:
        asked: list[VisitInfo] = [
            visit for visit in journal.listings() if visit.id in result.visits
        ]
        among = {visit.listing for visit in asked}
        pages = [page for page in journal.failed_pages() if page.listing in among]
    return [
        *listings.table(asked, running=False, every=False),
        *listings.failures(asked, pages),
    ]


def _verdict(job: Job, summary: Summary) -> str:
    """One line that cannot be misread."""
    total = f"{summary.listings:,} listings"
    if summary.exit_code() != OK:
        return (
            f"NOT COMPLETE: {summary.complete + summary.capped:,} of {total} have ended, "
            f"{summary.failed:,} failed, {summary.stopped:,} are left. "
            f"To go on: {_command(job.arguments)}"
        )
    if summary.capped:
        advice = "" if job.max_pages else job.dividing.advice(next(iter(job.wanted)))
        return (
            f"COMPLETE, with {summary.capped:,} of {total} capped: those have more than was asked "
            f"for, or than the API shows{advice}. All is in {job.journal}"
        )
    return f"COMPLETE: all {total}, to their end. All is in {job.journal}"


def _command(arguments: list[str]) -> str:
    """The command that goes on: the same again, without the token."""
    kept: list[str] = []
    hidden = False
    for argument in arguments:
        if hidden or argument.startswith("--token="):
            hidden = False
        elif argument == "--token":
            hidden = True
        elif argument.startswith(("postgresql://", "postgres://")):
            kept.append("postgresql://...")  # a password may be in it
        else:
            kept.append(argument)
    text = shlex.join(["tmapi", *kept])
    if len(kept) < len(arguments):
        text = f"{text} (with the token)"
    return text if len(text) <= _LONGEST_COMMAND else "the same command again"
