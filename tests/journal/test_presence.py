"""A journal that is removed, moved or replaced while it is written."""

from __future__ import annotations

import asyncio
import shutil
import stat

import pytest

from tests.support.harvesting import begin, client, listings, open_with, record, stored
from tmapi_async.errors import MovedJournalError
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.journal import lock, writer
from tmapi_async.journal.journal import Journal

CHANGES = {
    "removed": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("elsewhere")),
    "replaced": lambda path: (
        shutil.copy(path, path.with_name("new")) and (path.with_name("new").replace(path))
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_the_next_commit_notices_and_saves_every_page(path, change):
    """The error names the copy, which holds the pages of the last commit, too."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    change(path)
    with pytest.raises(MovedJournalError, match=r"its pages are in .*\.rescued"):
        await journal.append(visit, record(2))
    await journal.close()
    copy = path.with_name(f"{path.name}.rescued")
    assert stored(copy) == [(visit.id, 1), (visit.id, 2)]
    assert stat.S_IMODE(copy.stat().st_mode) == lock.PRIVATE
    JournalReader(copy).close()


async def test_an_idle_writer_notices_too(path, monkeypatch):
    """While every request waits for a slow server, no commit looks at the file."""
    monkeypatch.setattr(writer, "CHECK_INTERVAL", 0.01)
    noticed = asyncio.Event()
    journal = Journal.open(path)
    plan = journal.plan(listings(7))
    journal.begin(
        plan, host="h", version="test", counts=writer.RequestCounts, on_durable=noticed.set
    )
    path.unlink()
    async with asyncio.timeout(20):
        await noticed.wait()
    assert isinstance(journal.error, MovedJournalError)
    await journal.close()


async def test_an_earlier_copy_is_kept(path):
    """A copy may be all that is left of an earlier harvest."""
    earlier = path.with_name(f"{path.name}.rescued")
    earlier.write_bytes(b"earlier")
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    path.unlink()
    with pytest.raises(MovedJournalError, match="rescued-2"):
        await journal.append(visit, record(1))
    await journal.close()
    assert earlier.read_bytes() == b"earlier"


async def test_a_copy_that_cannot_be_written_is_not_promised(path):
    """The message says that the pages could not be saved, and no half of a copy stays."""
    journal = open_with(path, "cache_size = 100")
    (visit,) = begin(journal, listings(7)).visits
    shutil.rmtree(path.parent)
    with pytest.raises(MovedJournalError, match="could not be saved"):
        await journal.append(visit, record(1))
    await journal.close()
    assert not path.parent.exists()


async def test_a_harvest_stops_before_more_is_paid(tmapi_sandboxes, path):
    """The harvest is resumable with the saved copy, and sends no page of it again."""
    sandbox = await tmapi_sandboxes(categories={6: 2000}, latency=0.005)
    async with client(sandbox) as api:
        harvest = Harvest(api, listings(6), journal=path)
        running = asyncio.create_task(harvest.run())
        while harvest.progress().pages < 5:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.005)
        path.unlink()
        result = await running
    assert isinstance(result.error, MovedJournalError)
    assert (result.stopped_by, result.complete) == ("disk", False)
    assert sandbox.stats.requests < 100
    copy = path.with_name(f"{path.name}.rescued")
    copy.rename(path)
    async with client(sandbox) as api:
        assert (await Harvest(api, listings(6), journal=path).run()).complete
