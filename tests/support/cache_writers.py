"""A process that forks readers and writers of one cache file, to be killed at any instant.

    python cache_writers.py FILE LIMIT

Reads lines of standard input. `go SEED` forks a process that reads and writes until it is killed;
the process prints its pid once it has opened the file. At the end of input all processes are
killed, and the exit codes of all of them are printed (a signal as a negative number).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.page_cache.cache_file import CacheFile
from tmapi_async.crawl.page_cache.stores import StoredReply

PAGES = 400


def body(number: int) -> bytes:
    """Return the body of a page, alike for the most part."""
    return b'{"page": %d, "rows": [%s]}' % (number, b'{"title": "dress", "price": 1.5}, ' * 600)


async def work(path: str, limit: int, seed: int) -> None:
    """Read and write without end. A page that is not as it was written ends the process."""
    numbers = random.Random(seed)  # noqa: S311 - no secret
    store = CacheFile(Path(path), limit)
    await store.open("api.example")
    print(os.getpid(), flush=True)  # noqa: T201 - the answer
    while True:
        number = numbers.randrange(1, PAGES)
        request = PageRequest(category_items(1), number)
        found = store.find(request)
        if found is not None and found.body != body(number):
            sys.exit(3)
        store.keep(request, StoredReply(time.time(), body(number)))
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    children = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(sys.argv[1], int(sys.argv[2]), int(line.split()[1])))
        children.append(pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    print(*codes, flush=True)  # noqa: T201 - the answer
