"""Troubles of the journal that pass: a lock of another program, a disk that is full for a while."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import sqlite3
import tempfile

import pytest

from tests.support.harvesting import begin, listings, locked, record, stored, until
from tmapi_async.errors import DiskError, DiskFullError, LockedJournalError
from tmapi_async.harvest import JournalReader
from tmapi_async.journal import schema, trouble
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.lock import WriteLock
from tmapi_async.journal.trouble import TroubleWait, passing_trouble, retry_delay

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.fixture
def path(tmp_path):
    """A path for a journal."""
    return tmp_path / "test.journal"


@pytest.fixture(autouse=True)
def impatient_sqlite(monkeypatch):
    """Let SQLite report a lock at once, so that no test waits for it."""
    monkeypatch.setattr("tmapi_async.journal.writer.BUSY_SECONDS", 0.0)
    monkeypatch.setattr(trouble, "retry_delay", lambda _: 0.01)


def open_by_hand(path):
    """A journal for writing, and its connection."""
    lock = WriteLock(path)
    lock.acquire()
    connection = schema.connect(path, writing=True)
    return Journal(path, connection, lock), connection


def sqlite_error(code):
    """An error of SQLite with an extended code."""
    error = sqlite3.OperationalError("test")
    error.sqlite_errorcode = code
    return error


async def test_a_commit_waits_for_a_lock_and_loses_nothing(path):
    """Pages that meet a lock are durable when it is gone; meanwhile the backlog is endless."""
    wait = TroubleWait(60.0)
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7), trouble_wait=wait).visits
    await journal.append(visit, record(1))
    with locked(path):
        pages = [asyncio.create_task(journal.append(visit, record(n))) for n in (2, 3)]
        await until(lambda: journal.in_trouble)
        assert isinstance(wait.trouble, LockedJournalError)
        assert journal.backlog > 10**9
        assert journal.waiting == 2
        assert stored(path) == [(visit.id, 1)]
    await asyncio.gather(*pages)
    assert not journal.in_trouble
    assert journal.backlog == 0
    await journal.close()
    assert stored(path) == [(visit.id, 1), (visit.id, 2), (visit.id, 3)]


async def test_a_commit_waits_for_a_full_disk_and_counts_once(path):
    """Pages that meet a full disk are durable when it has space, and are counted once."""
    wait = TroubleWait(60.0)
    journal, connection = open_by_hand(path)
    connection.execute("PRAGMA max_page_count = 20")
    (visit,) = begin(journal, listings(7), trouble_wait=wait).visits
    noise = random.Random(14)  # noqa: S311 - no secret
    pages = 12
    for number in range(1, pages + 1):
        journal.submit((visit, record(number, body=noise.randbytes(40_000))))
    await until(lambda: journal.in_trouble)
    assert isinstance(wait.trouble, DiskFullError)
    connection.execute("PRAGMA max_page_count = 1000")
    await journal.close()
    assert len(stored(path)) == pages
    with JournalReader(path) as reader:
        reader.verify()
        assert reader.ticks(1)[-1].pages == pages


async def test_a_trouble_that_stays_ends_the_writer(path):
    """After the longest wait the journal fails, with the name of the trouble."""
    clock = itertools.count(0.0, 20.0)
    journal = Journal.open(path)
    wait = TroubleWait(60.0, clock=lambda: next(clock))
    (visit,) = begin(journal, listings(7), trouble_wait=wait).visits
    with locked(path):
        with pytest.raises(LockedJournalError, match="Close that program"):
            await journal.append(visit, record(1))
        assert not journal.in_trouble
    await journal.close()


async def test_a_wait_can_be_stopped(path):
    """`stop` ends the wait at once: the commit fails, and the journal can be closed."""
    wait = TroubleWait(1e9)
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7), trouble_wait=wait).visits
    with locked(path):
        page = asyncio.create_task(journal.append(visit, record(1)))
        await until(lambda: journal.in_trouble)
        wait.stop()
        with pytest.raises(LockedJournalError):
            await page
        await journal.close()


async def test_without_a_wait_a_trouble_fails_at_once(path):
    """A wait of 0 is no wait."""
    journal, connection = open_by_hand(path)
    connection.execute("PRAGMA busy_timeout = 0")
    (visit,) = begin(journal, listings(7)).visits
    with locked(path), pytest.raises(LockedJournalError):
        await journal.append(visit, record(1))
    await journal.close()


async def test_an_action_is_repeated_until_the_trouble_has_passed(path):
    """`run` repeats an action that meets a trouble, and raises any other error."""
    errors = [LockedJournalError(path), DiskFullError(path)]

    def action():
        if errors:
            raise errors.pop()
        return "done"

    wait = TroubleWait(60.0)
    assert await wait.run(path, action) == "done"
    assert wait.trouble is None
    errors.append(DiskError(path, "the disk is broken"))
    with pytest.raises(DiskError, match="broken"):
        await wait.run(path, action)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, LockedJournalError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, LockedJournalError),
        (sqlite3.SQLITE_LOCKED, LockedJournalError),
        (sqlite3.SQLITE_FULL, DiskFullError),
        (sqlite3.SQLITE_IOERR_WRITE, None),
        (sqlite3.SQLITE_CORRUPT, None),
        (sqlite3.SQLITE_READONLY, None),
    ],
)
def test_a_trouble_that_can_pass_is_told_from_damage(path, code, kind):
    """Locks and full disks pass; damage and a disk that fails do not."""
    found = passing_trouble(path, sqlite_error(code))
    assert (None if found is None else type(found)) is kind


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_spent_quota_is_a_full_disk(path, monkeypatch, number):
    """SQLite calls a spent quota an I/O error; a file that cannot be written tells them apart."""

    def fail(**_):
        raise OSError(number, "no space")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    error = sqlite_error(sqlite3.SQLITE_IOERR_WRITE)
    assert isinstance(passing_trouble(path, error), DiskFullError)


def test_work_goes_on_within_seconds_of_the_end_of_a_trouble():
    """Tries come often at first, and at least every two seconds."""
    assert retry_delay(0.0) <= 0.2
    assert max(retry_delay(waited) for waited in range(2000)) <= 2.0
