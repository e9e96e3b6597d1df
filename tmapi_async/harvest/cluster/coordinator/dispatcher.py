"""Sends listings to sessions in batches, as Dask tasks."""

from __future__ import annotations

import asyncio
import logging
import time

from distributed import Client, Future

from tmapi_async.harvest.cluster.task_batch import TaskBatch, TaskSpec
from tmapi_async.harvest.cluster.worker.plugin import walk_batch
from tmapi_async.harvest.listing_queue import ListingQueue

from .channel import Channel
from .placement import batch_size, task_key
from .receiver import Receiver

log = logging.getLogger("tmapi_async")

_CANCEL_TIMEOUT = 1.0


class Dispatcher:
    """Makes batches and submits them to the cluster.

    Args:
        client: Client of the cluster.
        queue: Source of the listings.
        receiver: Records which session works on which listing.
    """

    def __init__(self, client: Client, queue: ListingQueue, receiver: Receiver) -> None:
        self._client = client
        self._queue = queue
        self._receiver = receiver

    async def next_batch(
        self, channel: Channel, *, slots: int, remaining: int, sessions: int
    ) -> tuple[str, TaskBatch] | None:
        """Return the next batch for a session and the key of its Dask task; None if not needed.

        Args:
            channel: Channel to the session.
            slots: Slots of the session.
            remaining: Listings of the harvest that have not ended.
            sessions: Number of open sessions.

        Raises:
            JournalError: The journal can take no more.
        """
        size = batch_size(
            len(channel.listings),
            slots,
            channel.end_rate(time.monotonic()),
            remaining=remaining,
            sessions=sessions,
        )
        specs: list[TaskSpec] = []
        first = None
        while len(specs) < size:
            task = await self._queue.fetch_ready()
            if task is None:
                break
            spec = self._receiver.assign(channel, task)
            if spec is not None:
                first = first or task.listing
                specs.append(spec)
        if first is None:
            return None
        if channel.closed or channel.closing:  # the session ended while the journal was read
            self._receiver.reclaim(channel)
            return None
        channel.batches += 1
        key = task_key(first, len(specs), channel.batches, channel.name)
        return f"{key} {self._client.id}", TaskBatch(channel.name, channel.batches, tuple(specs))

    async def submit(self, channel: Channel, key: str, batch: TaskBatch) -> None:
        """Submit a batch, and cut the session's channel if its task fails."""
        future = self._client.submit(
            walk_batch,
            batch.pack(),
            key=key,
            workers=[channel.worker],
            # Another worker has another session: the coordinator sends the batch again.
            allow_other_workers=False,
            pure=False,
        )
        try:
            await future
        except Exception as error:  # noqa: BLE001 - for any reason, the session cannot work
            log.warning("%s: its task failed: %s", channel.name, type(error).__name__)
            channel.cut()
        finally:
            if not future.done():
                await asyncio.shield(_cancel(future))
            future.release()


async def _cancel(future: Future) -> None:
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT):
            await future.cancel()
    except Exception:  # noqa: BLE001 - the scheduler may be gone; then so is the task
        return
