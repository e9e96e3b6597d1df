"""Sends listings to seats: stretches, as tasks of Dask."""

from __future__ import annotations

import asyncio
import logging
import time

from distributed import Client, Future

from tmapi_async.harvest.cluster import protocol as say
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

    def __init__(self, client: Client, openings: ListingQueue, intake: Receiver) -> None:
        self._client = client
        self._openings = openings
        self._intake = intake

    async def stretch(
        self, line: Channel, *, slots: int, left: int, seats: int
    ) -> tuple[str, say.TaskBatch] | None:
        """The next stretch for a seat and the key of its task, or None if it needs none.

        Args:
            line: The seat's.
            slots: Slots it has.
            left: Listings that have not ended.
            seats: Seats there are.

        Raises:
            JournalError: The journal can take no more.
        """
        size = batch_size(
            len(line.out),
            slots,
            line.ended_a_second(time.monotonic()),
            left=left,
            seats=seats,
        )
        errands: list[say.TaskSpec] = []
        first = None
        while len(errands) < size:
            opening = await self._openings.fetch_ready()
            if opening is None:
                break
            errand = self._intake.entrust(line, opening)
            if errand is not None:
                first = first or opening.listing
                errands.append(errand)
        if first is None:
            return None
        if line.over or line.retiring:  # it went while the journal was read
            self._intake.take_back(line)
            return None
        line.stretches += 1
        key = f"{name(first, len(errands), line.stretches, line.name)} {self._client.id}"
        return key, say.TaskBatch(line.name, line.stretches, tuple(errands))

    async def follow(self, line: Channel, key: str, stretch: say.TaskBatch) -> None:
        """Submit a stretch, and see that its task does not fail unseen."""
        future = self._client.submit(
            walk_batch,
            stretch,
            key=key,
            workers=[line.worker],
            allow_other_workers=False,  # another worker has another seat: we send it again
            pure=False,
        )
        try:
            await future
        except Exception as error:  # noqa: BLE001 - whatever it is, the seat is of no use
            log.warning("%s: its task failed: %s", line.name, type(error).__name__)
            line.cut()
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
