"""The file of learned limits: private, without the token, and never in the way."""

from __future__ import annotations

import asyncio
import pwd
import stat

import pytest

from tmapi_async import TMAPI
from tmapi_async.cli.checks.account_checks import check_sharing
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.learning import START, LearningController
from tmapi_async.limits.sharing import limit_memory
from tmapi_async.limits.sharing.gate_sharing import GateSharing
from tmapi_async.limits.sharing.messages import LearnedLimit
from tmapi_async.limits.sharing.runtime_folder import account_name

LEARNED = LearnedLimit(16, 16, 0.5)


def test_a_limit_is_remembered_for_its_account_alone():
    """In a file that only the user can read."""
    limit_memory.remember("one", LEARNED, bounded=False)
    limit_memory.remember("two", LearnedLimit(7, 7, 0.5), bounded=False)
    assert limit_memory.recall("one").width == 16
    assert limit_memory.recall("two").width == 7
    assert limit_memory.recall("three") is None
    path = limit_memory.memory_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.glob("limits.json*")) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"one": {"width": "x"}}', b"\xff" * 100])
def test_a_damaged_file_counts_as_none_and_is_replaced(content):
    """Nothing is raised."""
    limit_memory.memory_path().write_bytes(content)
    assert limit_memory.recall("one") is None
    limit_memory.remember("one", LEARNED, bounded=False)
    assert limit_memory.recall("one").width == 16


def test_where_no_file_can_be_written_nothing_is_remembered(monkeypatch, tmp_path):
    """The folder is a file, as read-only as a folder can be for every user."""
    blocked = tmp_path / "cache"
    blocked.write_text("a file")
    monkeypatch.setenv("TMAPI_CACHE_DIR", str(blocked))
    limit_memory.remember("one", LEARNED, bounded=False)
    assert limit_memory.recall("one") is None


def test_a_user_without_a_home_remembers_nothing(monkeypatch):
    """The user of a container often has a number alone: no name and no home folder."""

    def look_up(number):
        raise KeyError(number)

    for name in ("TMAPI_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", look_up)
    limit_memory.remember("one", LEARNED, bounded=False)
    assert limit_memory.recall("one") is None
    with pytest.raises(OSError, match="this user has no home folder"):
        limit_memory.memory_path()
    finding = check_sharing()
    assert (finding.result, finding.advice) == (
        "warning",
        "set TMAPI_CACHE_DIR to a folder of yours",
    )


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    """`TMAPI_CACHE_DIR`, else that of the system."""
    monkeypatch.delenv("TMAPI_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert limit_memory.memory_path() == tmp_path / "tmapi-async" / "limits.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert limit_memory.memory_path() == tmp_path / ".cache" / "tmapi-async" / "limits.json"


def make_gate():
    """Return a gate that learns."""
    return Gate(LearningController())


async def test_the_next_process_starts_where_the_last_one_ended():
    """Step by step, as after a pause; a client with a ceiling starts at its ceiling."""
    limit_memory.remember("one", LEARNED, bounded=False)
    gate = make_gate()
    sharing = GateSharing(gate, "one", None)
    await sharing.open()
    assert gate.controller.statistics().width == 16
    assert gate.width == 1  # it opens within a round trip
    await sharing.close()
    gate = Gate(LearningController(8))
    sharing = GateSharing(gate, "one", 8)
    await sharing.open()
    assert gate.controller.statistics().width == 8
    await sharing.close()


async def test_a_client_apart_neither_reads_nor_writes_the_memory(tmapi_sandboxes):
    """`shared=False` keeps it apart in this, too."""
    sandbox = await tmapi_sandboxes(
        categories=dict.fromkeys(range(1, 30), 40), limit=6, latency=0.01
    )
    name = account_name("sandbox", sandbox.url.removeprefix("http://"))
    async with TMAPI("sandbox", base_url=sandbox.url, shared=False) as api:
        assert len(await asyncio.gather(*(api.category_items(n) for n in range(1, 30)))) == 29
    assert limit_memory.recall(name) is None
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        assert api.gate.controller.statistics().width == START
        await asyncio.gather(*(api.category_items(number) for number in range(1, 30)))
    assert limit_memory.recall(name).width > START
    assert "sandbox" not in limit_memory.memory_path().read_text()
