"""Shared parts of the peers' programs: arguments and URLs. Standard library only."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

TOKEN = "sandbox"  # noqa: S105 - the sandbox's


class Work(NamedTuple):
    """Workload of a peer: listings 1 to `listings`, each to its end, `width` at a time.

    Attributes:
        loop: Event loop to use: "asyncio" or "uvloop"; peers without one ignore it.
    """

    url: str
    listings: int
    width: int
    loop: str = "asyncio"

    @property
    def endpoint(self) -> str:
        """URL without its query."""
        return f"{self.url}/1688/category/items"

    def query(self, cat_id: int, page: int) -> dict[str, str | int]:
        """Return the query of one page."""
        return {"apiToken": TOKEN, "cat_id": cat_id, "page": page}

    def page(self, cat_id: int, page: int) -> str:
        """Return the complete URL of one page."""
        return f"{self.endpoint}?apiToken={TOKEN}&cat_id={cat_id}&page={page}"


def run(walk: Coroutine[Any, Any, tuple[int, int]], loop: str) -> tuple[int, int]:
    """Run a walk on the chosen event loop."""
    if loop == "asyncio":
        return asyncio.run(walk)
    import uvloop  # noqa: PLC0415 - only for this loop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(walk)


def main(walk: Callable[[Work], tuple[int, int]]) -> None:
    """Walk, then print the number of pages and items as the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--listings", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()
    pages, items = walk(Work(options.url, options.listings, options.width, options.loop))
    print(json.dumps({"pages": pages, "items": items}), flush=True)
