"""`tmapi items`: streams items as JSON lines to standard output; keeps no state."""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from contextlib import aclosing
from typing import Any

import msgspec

from tmapi_async.api.rows import json_lines
from tmapi_async.cli import console
from tmapi_async.cli import runner as running
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.options.listing_options import ListingSet
from tmapi_async.cli.options.split_options import SplitOptions, tell_account, tell_handed_over
from tmapi_async.cli.output import Output, ReaderGoneError
from tmapi_async.cli.summary import OK, PARTIAL, StoppedBy, Summary, stopped_by
from tmapi_async.client.client import TMAPI
from tmapi_async.client.walk import Walk
from tmapi_async.crawl.outcomes import ListingOutcome
from tmapi_async.errors import TMAPIError

_MOST_TOLD = 20


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What `tmapi items` is asked to do.

    Attributes:
        wanted: The listings, each once.
        max_pages: Most pages of each listing, or None.
        unique: Drop items that their listing has shown before.
        dividing: How listings that the API cuts short are divided.
        connection: How the API is reached.
        json: End with the summary as JSON.
        quiet: No progress, no summary.
    """

    wanted: ListingSet
    max_pages: int | None
    unique: bool
    dividing: SplitOptions
    connection: ConnectionOptions
    json: bool
    quiet: bool


class _Run:
    """One run of the command."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._output = Output()
        self._began = time.monotonic()
        self._told = 0
        self._walk: Walk[Any] | None = None
        self._api: TMAPI | None = None
        self.stopped_by: StoppedBy | None = None
        self.broken = False
        self._unwritten = False

    async def __call__(self) -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in a task

        def interrupted() -> None:
            self.stopped_by = "signal"
            task.cancel()

        async with running.on_signal(interrupted):
            try:
                await self._walk_all()
            except asyncio.CancelledError:
                if self.stopped_by != "signal":
                    raise
            except ReaderGoneError:
                self.broken = True
                self._output.silence()
            except TMAPIError as error:
                self.stopped_by = stopped_by(error)
                if error.halts or not error.listing:
                    console.tell(str(error))
            except OSError as error:
                self._could_not_write(error)
        return self._close()

    async def _walk_all(self) -> None:
        job = self._job
        show = not job.quiet and not (sys.stdout.isatty() and sys.stderr.isatty())
        if job.dividing.split:
            tell_handed_over(job.wanted)
        async with running.client(job.connection) as self._api:
            self._walk = self._api.walk(
                job.wanted,
                max_pages=job.max_pages,
                unique=job.unique,
                on_end=self._ended,
                split=job.dividing.chosen(quiet=job.quiet),
            )
            async with (
                self._walk,
                console.progress(self._line, shown=show),
                aclosing(self._walk.pages()) as pages,
            ):
                async for page in pages:
                    for reject in page.rejects:
                        self._tell(f"{page.request} row {reject.position}: {reject.reason}")
                    await self._output.write(json_lines(page))

    def _ended(self, outcome: ListingOutcome) -> None:
        if outcome.ending == "failed" and outcome.error is not None:
            self._tell(f"failed: {outcome.error}")
        elif outcome.ending == "capped":
            cut = f"the API shows no more than that{self._job.dividing.advice(outcome.listing)}"
            reason = "there is more" if self._job.max_pages else cut
            self._tell(
                f"capped: {outcome.listing} ended after {outcome.pages} pages, "
                f"{outcome.items} items: {reason}"
            )

    def _tell(self, text: str) -> None:
        self._told += 1
        if self._told <= _MOST_TOLD:
            console.tell(text)
        elif self._told == _MOST_TOLD + 1:
            console.tell("more of this kind is only counted, in the summary")

    def _could_not_write(self, error: OSError) -> None:
        self._unwritten = True
        advice = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self.stopped_by = "disk"
            advice = ". Free some space, then run the same again"
        console.tell(f"cannot write the items: {error.strerror}; the last line may be cut{advice}")

    def _line(self) -> str:
        assert self._walk is not None and self._api is not None  # noqa: S101, PT018 - set before
        now, gate = self._walk.statistics(), self._api.statistics()
        count = len(self._job.wanted)
        ended = now.complete + now.capped + now.failed
        refused = now.codes.get("503", 0)
        return (
            f"{ended:,}/{count:,} listings, {now.pages:,} pages, {now.items:,} items, "
            f"{now.requests:,} requests, {refused:,} x 503, gate {gate.in_flight}/{gate.width}, "
            f"{time.monotonic() - self._began:.0f} s"
        )

    def _close(self) -> int:
        """Tell the truth at the end; what it says, the exit code says too."""
        if self._walk is None:
            if self.stopped_by == "signal":
                console.tell("interrupted; nothing was sent")
            return PARTIAL
        summary = Summary.of(
            self._walk.statistics(),
            listings=len(self._job.wanted),
            seconds=time.monotonic() - self._began,
            stopped_by=self.stopped_by,
        )
        code = max(summary.exit_code(), PARTIAL if self._unwritten else OK)
        if not self._job.quiet and not self.broken:
            for account in self._walk.reconciliations:
                tell_account(account)
            for line in summary.lines():
                console.tell(line)
            if code == PARTIAL:
                console.tell("not everything was walked: run the same command again for all of it")
        if self._job.json:
            console.tell_plainly(summary.json())
        return code


def items(job: Job) -> int:
    """Stream the items; returns the exit code."""

    async def main() -> int:
        return await _Run(job)()

    return running.run(main())
