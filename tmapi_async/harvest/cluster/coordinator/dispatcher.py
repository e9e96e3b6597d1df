"""Sends listings to seats: stretches, as tasks of Dask."""

from __future__ import annotations

import asyncio
import logging
import time

from distributed import Client, Future

from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.worker.plugin import walk_batch
from tmapi_async.harvest.listing_queue import ListingQueue

from .channel import Channel
from .placement import batch_size, name
from .receiver import Receiver

log = logging.getLogger("tmapi_async")

_FOR_CANCELLING = 1.0


class Dispatcher:
    """Makes stretches and submits them.

    Args:
        client: The cluster's.
        openings: The listings.
        intake: Told which seat has which.
    """

    def __init__(self, client: Client, queue: ListingQueue, receiver: Receiver) -> None:
        self._client = client
        self._queue = queue
        self._receiver = receiver

    async def batch(
        self, channel: Channel, *, slots: int, left: int, sessions: int
    ) -> tuple[str, protocol.TaskBatch] | None:
        """The next stretch for a seat and the key of its task, or None if it needs none.

        Args:
            channel: The seat's.
            slots: Slots it has.
            left: Listings that have not ended.
            sessions: Seats there are.

        Raises:
            JournalError: The journal can take no more.
        """
        size = batch_size(
            len(channel.out),
            slots,
            channel.end_rate(time.monotonic()),
            left=left,
            sessions=sessions,
        )
        tasks: list[protocol.TaskSpec] = []
        first = None
        while len(tasks) < size:
            opening = await self._queue.fetch_ready()
            if opening is None:
                break
            task_spec = self._receiver.assign(channel, opening)
            if task_spec is not None:
                first = first or opening.listing
                tasks.append(task_spec)
        if first is None:
            return None
        if channel.over or channel.retiring:  # it went while the journal was read
            self._receiver.reclaim(channel)
            return None
        channel.batches += 1
        key = f"{name(first, len(tasks), channel.batches, channel.name)} {self._client.id}"
        return key, protocol.TaskBatch(channel.name, channel.batches, tuple(tasks))

    async def follow(self, channel: Channel, key: str, batch: protocol.TaskBatch) -> None:
        """Submit a stretch, and see that its task does not fail unseen."""
        future = self._client.submit(
            walk_batch,
            batch,
            key=key,
            workers=[channel.worker],
            allow_other_workers=False,  # another worker has another seat: we send it again
            pure=False,
        )
        try:
            await future
        except Exception as error:  # noqa: BLE001 - whatever it is, the seat is of no use
            log.warning("%s: its task failed: %s", channel.name, type(error).__name__)
            channel.cut()
        finally:
            if not future.done():
                await asyncio.shield(_cancelled(future))
            future.release()


async def _cancelled(future: Future) -> None:
    try:
        async with asyncio.timeout(_FOR_CANCELLING):
            await future.cancel()
    except Exception:  # noqa: BLE001 - the scheduler may be gone; then so is the task
        return
