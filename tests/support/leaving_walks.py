"""Ways to leave a walk whose requests are on their way: each takes the task and the walk."""

from __future__ import annotations


async def by_cancelling(taking, _):
    """Cancel the task that takes the pages."""
    taking.cancel()


async def by_closing(_, walk):
    """Close the walk."""
    await walk.aclose()


async def by_stopping_and_cancelling(taking, walk):
    """Stop the walk, and cancel the task before the last pages have come."""
    walk.stop()
    taking.cancel()


WAYS = (by_cancelling, by_closing, by_stopping_and_cancelling)
