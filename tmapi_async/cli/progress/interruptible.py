"""A harvest with its progress, which the first signal stops and the second one cancels."""

from __future__ import annotations

import asyncio

from tmapi_async.cli.console import print_message
from tmapi_async.cli.runner import handle_signal, on_next_signal
from tmapi_async.errors.quantities import quantity
from tmapi_async.harvest import Harvest, HarvestResult

from .progress_display import show_harvest

_ALL_STORED = "every page that was received is in the journal"


async def run_interruptibly(job: Harvest, *, shown: bool) -> HarvestResult:
    """Run a harvest and return its result, also after a signal.

    Args:
        job: The harvest.
        shown: Show its progress.

    Raises:
        JournalError: The journal cannot be used; nothing was sent.
    """
    task = asyncio.create_task(job.run(), name="tmapi harvest")

    def stop_now() -> None:
        progress = job.progress()
        lost = progress.waiting if progress.waiting_for else 0
        kept = f"{quantity(lost, 'page')} cannot be stored" if lost else _ALL_STORED
        print_message(f"stopping now: {kept}")
        task.cancel()

    def stop() -> None:
        # Before the message: the reader of the message may press Ctrl-C again at once.
        on_next_signal(stop_now)
        progress = job.progress()
        job.stop()
        awaited = f"{quantity(progress.in_flight, 'request')} already paid for"
        if progress.waiting_for and progress.waiting:
            pages = quantity(progress.waiting, "page")
            awaited += f", and for the journal to take {pages} ({progress.waiting_for})"
        print_message(f"stopping: waiting for {awaited}; press Ctrl-C again to stop now")

    async with handle_signal(stop), show_harvest(job.progress, shown=shown):
        await asyncio.wait([task])
    return job.result() if task.cancelled() else task.result()
