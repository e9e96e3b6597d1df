"""The journal's files are private, and one process at a time writes to them."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import threading

import pytest
from filelock import FileLock

from tests.support.harvesting import begin, listings, record
from tmapi_async.errors import (
    JournalInUseError,
    NoJournalError,
    ReadOnlyJournalError,
)
from tmapi_async.harvest import JournalReader
from tmapi_async.journal import lock
from tmapi_async.journal.journal import Journal

HOLDER = """
import sys
from tmapi_async.journal.journal import Journal
journal = Journal.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(path):
    """Another process that has the journal open for writing."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


async def test_other_users_can_read_no_file_of_a_journal(path):
    """With an umask of 0, the journal and all files beside it are readable by the owner only."""
    before = os.umask(0)
    try:
        journal = Journal.open(path)
        (visit,) = begin(journal, listings(7)).visits
        await journal.append(visit, record(1))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await journal.close()
    finally:
        os.umask(before)
    names = ["test.journal", "test.journal-lock", "test.journal-shm", "test.journal-wal"]
    assert sorted(modes) == names
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_journal_is_private_from_its_first_moment(path, monkeypatch):
    """The file is created with its final permissions, and not changed later."""
    created = {}
    real = os.open

    def watched(name, flags, mode=0o777, **more):
        if flags & os.O_CREAT:
            created[os.fspath(name)] = mode
        return real(name, flags, mode, **more)

    monkeypatch.setattr(lock.os, "open", watched)
    Journal.open(path)
    assert created == {str(path): 0o600, f"{path}-lock": 0o600}


def test_an_empty_file_becomes_a_private_journal(path):
    """An empty file, as of mktemp or of a start killed at once, becomes a new journal."""
    path.touch(0o644)
    Journal.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.slow
def test_a_second_writer_is_refused_with_the_process_number(path, holder):
    """The error names the process that writes. Reading stays possible."""
    with pytest.raises(JournalInUseError, match=f"pid {holder.pid}") as refused:
        Journal.open(path)
    assert refused.value.pid == holder.pid
    with JournalReader(path) as reader:
        assert reader.writer == holder.pid
        assert reader.runs() == []


@pytest.mark.slow
def test_a_killed_writer_leaves_no_lock(path, holder):
    """The lock ends with its process, also after kill -9. The next writer uses the file again."""
    holder.kill()
    holder.wait(20)
    assert lock.lock_path(path).exists()
    with JournalReader(path) as reader:
        assert reader.writer is None
    Journal.open(path)


def test_one_process_opens_a_journal_once(path):
    """A second writer in the same process is refused like any other."""
    journal = Journal.open(path)
    with pytest.raises(JournalInUseError, match=str(os.getpid())):
        Journal.open(path)
    assert journal.error is None


def test_a_link_to_a_journal_is_the_same_journal(path, tmp_path):
    """The lock is on the file, independent of the name used to open it."""
    journal = Journal.open(path)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(JournalInUseError):
        Journal.open(tmp_path / "link")
    assert journal.error is None


def test_a_reader_that_asks_for_the_writer_does_not_refuse_a_writer(path, monkeypatch):
    """A writer waits for a reader that holds the lock for an instant."""
    monkeypatch.setattr(lock, "WAIT", 20)
    probe = FileLock(lock.lock_path(path), thread_local=False)
    probe.acquire()
    released = threading.Timer(0.05, probe.release)
    released.start()
    Journal.open(path)
    released.join()


def test_a_reader_leaves_no_lock_file(path, holder):
    """Asking who writes removes the lock file of a killed writer, and creates none."""
    holder.kill()
    holder.wait(20)
    with JournalReader(path) as reader:
        assert reader.writer is None
        assert not lock.lock_path(path).exists()
        assert reader.writer is None
        assert not lock.lock_path(path).exists()


def test_a_lock_file_of_the_first_version_is_read(path):
    """A lock file that holds a process number without the leading space names that process."""
    writer = FileLock(lock.lock_path(path))
    with writer:
        lock.lock_path(path).write_text("12345\n")
        with pytest.raises(JournalInUseError, match="pid 12345"):
            Journal.open(path)
        assert lock.writer_pid(path) == 12345


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_neither_holds_nor_frees_the_lock(path):
    """The lock stays with the writer, whether a forked child ends or outlives it."""
    journal = Journal.open(path)
    started, ends = os.pipe(), os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in another process
        os.write(started[1], b"x")
        os.close(ends[1])
        os.read(ends[0], 1)
        del journal
        os._exit(0)
    os.read(started[0], 1)
    with pytest.raises(JournalInUseError, match=str(os.getpid())):
        Journal.open(path)
    asyncio.run(journal.close())
    asyncio.run(Journal.open(path).close())
    again = Journal.open(path)
    os.close(ends[1])
    os.waitpid(child, 0)
    with pytest.raises(JournalInUseError):
        Journal.open(path)
    asyncio.run(again.close())
    for end in (*started, ends[0]):
        os.close(end)


def test_a_missing_folder_is_reported(tmp_path):
    """Folders are not created, because the path may be mistyped."""
    with pytest.raises(NoJournalError, match="does not exist"):
        Journal.open(tmp_path / "nowhere" / "test.journal")
    assert not (tmp_path / "nowhere").exists()


def test_a_read_only_folder_is_reported(path, monkeypatch):
    """If the lock file cannot be created, the journal is not opened."""

    def refuse(*_args, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lock.os, "open", refuse)
    with pytest.raises(ReadOnlyJournalError, match="its directory writable"):
        Journal.open(path)
