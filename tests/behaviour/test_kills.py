"""Kills and power cuts: no acknowledged page is lost, stored twice or damaged."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.harvesting import begin, listings, open_with, record, totals
from tests.support.paths import ROOT
from tmapi_async.errors import NoJournalError
from tmapi_async.harvest import JournalReader
from tmapi_async.journal.statements import begin_visit, end_visit

EACH = 4
WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from tests.support.harvesting import begin, listings, record
from tmapi_async.journal.journal import Journal

async def one(journal, visit, numbers):
    for number in numbers:
        await journal.append(visit, record(number))
        print(visit.id, number, flush=True)

async def main():
    journal = Journal.open(Path(sys.argv[1]))
    visits = begin(journal, listings(*range(1, 9))).visits
    held = {{
        visit.id: {{page.number for page in journal.stored_pages(visit)}} for visit in visits
    }}
    print("begun", flush=True)
    await asyncio.gather(*(
        one(journal, visit, [n for n in range(1, 4000) if n not in held[visit.id]])
        for visit in visits
    ))

asyncio.run(main())
"""


@pytest.mark.slow
def test_acknowledged_pages_survive_kill_9(path):
    """After a kill at a random moment, the journal has every acknowledged page once."""
    dice = random.Random(3)  # noqa: S311 - no secret
    command = [sys.executable, "-c", WRITER.format(here=str(ROOT)), str(path)]
    acknowledged: set[tuple[int, int]] = set()
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            lines = [process.stdout.readline() for _ in range(dice.randrange(1, 120))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith("\n")]
        acknowledged |= {(int(visit), int(number)) for visit, number in whole}
        with JournalReader(path) as reader:
            held = [(page.visit, page.number) for page in reader.pages()]
            reader.verify()
        assert len(held) == len(set(held))
        assert acknowledged <= set(held)
    assert len(acknowledged) > 20


async def _written(path):
    """A journal whose every commit is in its log: one listing after the other, page by page."""
    journal = open_with(path, "wal_autocheckpoint = 0")
    for visit in begin(journal, listings(*range(1, 7))).visits:
        journal.apply(begin_visit(visit, 1.0))
        for number in range(1, EACH + 1):
            await journal.append(visit, record(number, last=number == EACH))
        journal.apply(end_visit(visit, "complete", totals(EACH), now=2.0))
        await journal.flush()
    return journal


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a journal whose log holds all there is."""
    folder = tmp_path_factory.mktemp("whole")

    async def make() -> None:
        journal = await _written(folder / "test.journal")
        shutil.copytree(folder, folder / "kept", ignore=shutil.ignore_patterns("*-shm", "kept"))
        await journal.close()

    asyncio.run(make())
    return folder / "kept"


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.floats(0, 1), noise=st.binary(max_size=64))
def test_a_power_cut_leaves_whole_commits(whole, tmp_path, where, noise):
    """A log that is cut at any byte, with random bytes after it, leaves whole commits."""
    shutil.rmtree(tmp_path)
    shutil.copytree(whole, tmp_path)
    path = tmp_path / "test.journal"
    log = path.with_name("test.journal-wal")
    content = log.read_bytes()
    log.write_bytes(content[: int(where * len(content))] + noise)
    try:
        reader = JournalReader(path)
    except NoJournalError:  # cut before the commit that made the tables
        return
    with reader:
        held = [(page.visit, page.number) for page in reader.pages()]
        visits = list(reader.visits())
        reader.verify()
    expected = [(visit.id, n) for visit in visits for n in range(1, EACH + 1)]
    assert held == expected[: len(held)]
    for visit in visits:
        pages = [number for owner, number in held if owner == visit.id]
        assert visit.state == "open" or len(pages) == EACH
