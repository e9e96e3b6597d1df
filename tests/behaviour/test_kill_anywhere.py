"""A harvest killed at random instants, again and again: nothing is lost, and little is paid twice.

`TMAPI_KILLS=200 pytest tests/harvest/test_kill_anywhere.py` kills as often as that.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tests.support.paths import SUPPORT
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox import Faults, SandboxThread

KILLS = int(os.environ.get("TMAPI_KILLS", "30"))
WIDTH = 6
FAULTS = Faults(
    {"417": 0.02, "500": 0.02, "503": 0.02, "cut": 0.03, "html": 0.02, "truncated": 0.02}
)


class Forker:
    """Starts harvests and kills them."""

    def __init__(self, url: str, path: Path, ids: list[int]) -> None:
        script = SUPPORT / "forking.py"
        command = [sys.executable, str(script), url, str(path), str(WIDTH), *map(str, ids)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603

    def ask(self, what: str) -> int:
        """Say something, and read the number that is the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(what, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@pytest.fixture
def sandbox():
    """A sandbox that misbehaves, in a thread of its own."""
    sizes = {cat_id: (cat_id * 37) % 170 for cat_id in range(1, 31 + 6 * KILLS)}
    with SandboxThread(categories=sizes, limit=WIDTH + 2, latency=0.004, faults=FAULTS) as thread:
        yield thread


@pytest.fixture
def forker(sandbox, path):
    """Harvests of everything in that sandbox."""
    made = Forker(sandbox.url, path, list(sandbox.sandbox.catalogue.category_ids))
    yield made
    made.process.communicate(timeout=20)


def wait(holds, within=20.0):
    """Poll until a condition holds."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.0005)


def servings(sandbox):
    """Return how often existing pages were served completely."""
    catalogue = sandbox.sandbox.catalogue
    served = sandbox.call(
        lambda: {key: dict(pages) for key, pages in sandbox.sandbox.stats.served.items()}
    )
    return sum(
        count
        for listing, pages in served.items()
        for number, count in pages.items()
        if number <= catalogue.pages(listing.cat_id)
    )


def pages_held(path):
    """Return the number of pages in the journal."""
    if not path.exists():
        return 0
    with JournalReader(path) as reader:
        return sum(visit.pages for visit in reader.visits())


@pytest.mark.slow
def test_a_harvest_killed_at_random_ends_complete(sandbox, forker, path):
    """Every item is there, no page twice, and a kill costs at most two widths of pages."""
    dice = random.Random(KILLS)  # noqa: S311 - no secret
    lost = 0
    for kill in range(KILLS):
        target = sandbox.sandbox.stats.requests + dice.choice((0, 1, 5, 20, 40))
        pid = forker.ask("go")
        wait(lambda target=target: sandbox.sandbox.stats.requests >= target)
        time.sleep(dice.random() * 0.01)  # an instant like any other, in the middle of anything
        os.kill(pid, signal.SIGKILL)
        assert forker.ask("wait") == -signal.SIGKILL, f"it ended by itself before kill {kill}"
        wait(lambda: sandbox.sandbox.stats.in_flight == 0)
        if not path.exists() or not path.stat().st_size:
            continue
        before, lost = lost, servings(sandbox) - pages_held(path)
        assert lost - before <= 2 * WIDTH
    forker.ask("go")
    assert forker.ask("wait") == 0
    catalogue = sandbox.sandbox.catalogue
    with JournalReader(path) as reader:
        pages = [(page.listing.cat_id, page.number, page.body) for page in reader.pages()]
        assert {visit.state for visit in reader.visits()} == {"complete"}
        assert len(reader.starts()) <= KILLS + 1
        reader.verify()
    assert len({(cat_id, number) for cat_id, number, _ in pages}) == len(pages)
    found = {cat_id: set() for cat_id in catalogue.category_ids}
    for cat_id, _, body in pages:
        rows = msgspec.json.decode(body)["data"]["items"]
        found[cat_id].update(int(row["item_id"]) for row in rows)
    assert found == {cat_id: set(catalogue.item_ids(cat_id)) for cat_id in found}
    again = servings(sandbox) - len(pages)
    print(f"{KILLS} kills, {len(pages)} pages, {again} paid for twice")  # noqa: T201 - with -s
    assert 0 < again <= 2 * WIDTH * KILLS
