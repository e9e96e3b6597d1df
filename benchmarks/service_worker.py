"""The web service of `examples/`, with an address of its own in each worker.

The server of the benchmarks tells processes apart by the first part of the path.
"""

from __future__ import annotations

import os

os.environ["TMAPI_BASE_URL"] += f"/w{os.getpid()}"

from examples.fastapi_service import app

__all__ = ["app"]


@app.get("/worker")
async def worker() -> int:
    """Return the number of this process, so that callers can be spread evenly."""
    return os.getpid()
