"""A gate that others narrowed finds the whole limit again, over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from tmapi_async import TMAPI, Page, RetryPolicy
from tmapi_async.sandbox import Sandbox

LIMIT = 16


async def share_with_others(sandbox: Sandbox, pages: AsyncIterator[Page]) -> None:
    """Let others take most of the limit, another share after every few pages."""
    dice = random.Random(7)  # noqa: S311 - the test must be repeatable
    for _ in range(120):
        sandbox.change(limit=dice.randint(1, LIMIT // 4))
        for _ in range(dice.randint(1, 6)):
            await anext(pages)
    sandbox.change(limit=LIMIT)


@pytest.mark.slow
async def test_whole_limit_is_used_again_after_others_have_left() -> None:
    """Within 400 pages of their end, 90 % of the limit is in use: 60 round trips when narrow.

    The gate used to owe refusals then, and waited for 500 answers for each of them.
    """
    sizes = dict.fromkeys(range(1, 400), 20 * 20)
    async with (
        Sandbox(categories=sizes, page_size=20, limit=LIMIT, latency=0.01) as sandbox,
        TMAPI("sandbox", base_url=sandbox.url, retry=RetryPolicy(base=0)) as api,
        api.category_items(range(1, 400)) as walk,
    ):
        pages = walk.pages()
        async with asyncio.timeout(120):
            for _ in range(500):
                await anext(pages)
            assert api.statistics().width >= 0.9 * LIMIT
            await share_with_others(sandbox, pages)
            assert api.statistics().width < LIMIT // 2
            for _ in range(400):
                await anext(pages)
            assert api.statistics().width >= 0.9 * LIMIT
