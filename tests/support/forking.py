"""A process that forks harvests on demand, so that one can be killed every few milliseconds.

    python forking.py URL JOURNAL WIDTH CAT...

Reads lines of standard input: `go` starts a harvest in a child and prints its pid; `wait` waits for
the child and prints its exit code (a signal as a negative number). Ends at the end of input.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys

from tmapi_async import TMAPI, RetryPolicy
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest


async def main(url: str, path: str, width: int, ids: list[int]) -> int:
    """Run one start. Returns its exit code."""
    async with TMAPI(
        "sandbox", base_url=url, concurrency=width, retry=RetryPolicy(base=0.001)
    ) as api:
        result = await Harvest(api, map(category_items, ids), journal=path).run()
    return 0 if result.complete else 3


def child(arguments: list[str]) -> int:
    """Run one start in this process. Returns its exit code."""
    url, path, width, *ids = arguments
    return asyncio.run(main(url, path, int(width), [int(cat_id) for cat_id in ids]))


if __name__ == "__main__":
    gc.freeze()
    pid = 0
    for line in sys.stdin:
        if line == "go\n":
            pid = os.fork()
            if pid == 0:
                os._exit(child(sys.argv[1:]))
            print(pid, flush=True)  # noqa: T201 - the answer
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201
