"""A Prefect flow that harvests categories each night, and writes tables and a report.

    pip install prefect ".[export,report]"     # in the folder of the project
    python examples/prefect_flow/flow.py                 against a sandbox: no token, no cost

It writes into the folder `nightly`. For the real service, serve it where TMAPI_TOKEN is set:

    python examples/prefect_flow/flow.py 1031910 2806778     each night at half past two

A retry continues the same journal, and begins with what the attempt before has left of the budget.
It is made only if it can help: not after a spent budget or balance, or a refused token. So it also
does no harm to run the flow twice.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from nightly_job import TryAgainError, harvest, write_tables
from prefect import flow, task
from prefect.states import State

from tmapi_async.sandbox import Sandbox

FOLDER = "nightly"
RETRY_SECONDS = 1800.0


async def may_help(_task: object, _run: object, state: State[Any]) -> bool:
    """Decide on a retry: only an error that says so is worth one."""
    return isinstance(await state.aresult(raise_on_failure=False), TryAgainError)


@task(retries=2, retry_delay_seconds=RETRY_SECONDS, retry_condition_fn=may_help)
async def harvest_categories(cat_ids: list[int], journal: str, max_requests: int) -> str:
    """Fetch the categories into the journal."""
    return await harvest(cat_ids, Path(journal), max_requests)


@task
def make_tables(journal: str) -> list[str]:
    """Write tables and report of what the journal holds, if there is one."""
    return write_tables(Path(journal)) if Path(journal).exists() else []


def journal_in(folder: str) -> str:
    """Return the path of the journal in a folder, which is created if it does not exist."""
    Path(folder).mkdir(exist_ok=True)
    return str(Path(folder) / "shop.journal")


@flow(name="nightly-harvest")
async def nightly(
    cat_ids: list[int], folder: str = FOLDER, max_requests: int = 5_000
) -> State[str]:
    """Harvest, then write tables of what is there, also if the harvest is not complete."""
    journal = journal_in(folder)
    state = await harvest_categories(cat_ids, journal, max_requests, return_state=True)
    make_tables(journal)
    return state  # fails the flow if the harvest has failed


async def try_it() -> None:
    """Run the flow once, against a sandbox."""
    async with Sandbox(limit=8) as sandbox:
        os.environ |= {"TMAPI_TOKEN": "sandbox", "TMAPI_BASE_URL": sandbox.url}
        await nightly([1031910, 2806778])


if __name__ == "__main__":
    if sys.argv[1:]:
        cats = [int(cat_id) for cat_id in sys.argv[1:]]
        nightly.serve(cron="30 2 * * *", parameters={"cat_ids": cats})
    else:
        asyncio.run(try_it())
