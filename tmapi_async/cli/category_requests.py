"""Requests for the names of categories, whose answers a journal stores."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tmapi_async.api.category_info import problem_with
from tmapi_async.api.endpoints import CATEGORY_INFO
from tmapi_async.api.listings import Listing, describe
from tmapi_async.client.client import TMAPI
from tmapi_async.errors import DiskError, ListingsFailedError, ParameterError, TMAPIError
from tmapi_async.harvest import JournalCategories

from .console import print_message
from .exit_codes import OK, PARTIAL, REFUSED
from .options.cache_options import CacheOptions
from .options.connection_options import ConnectionOptions
from .runner import handle_signal, open_client, run
from .summary import stopped_by

_MAX_FAILURES = 20


def request_categories(journal: Path, cat_ids: Sequence[int], connection: ConnectionOptions) -> int:
    """Ask about categories, one request for each, store the answers and return the exit code.

    Args:
        journal: Journal that stores the answers, beside those of `tmapi categories`.
        cat_ids: The categories.
        connection: Account, server and limits, already checked.

    Raises:
        JournalError: The journal cannot be written; nothing was sent.
    """

    async def main() -> int:
        with JournalCategories(journal, host=connection.host) as cache:
            code = await _request(cache, cat_ids, connection)
            try:
                # An interrupted fetch of the whole tree stays interrupted.
                await cache.end(complete=not cache.continues)
            except DiskError as error:
                print_message(str(error))
                return PARTIAL
            return code

    return run(main())


async def _request(
    cache: JournalCategories, cat_ids: Sequence[int], connection: ConnectionOptions
) -> int:
    """Request the categories until all are answered, or all work has to end."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a running coroutine belongs to a task
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    async with handle_signal(interrupt):
        try:
            async with open_client(connection, CacheOptions()) as api:
                return await _store_answers(cache, cat_ids, api)
        except asyncio.CancelledError:
            if not interrupted:
                raise
            return PARTIAL
        except ListingsFailedError as error:
            for failure in error.errors[:_MAX_FAILURES]:
                print_message(f"failed: {failure}")
            _store_refusals(cache, cat_ids, error.errors)
            return PARTIAL
        except TMAPIError as error:
            print_message(str(error))
            _store_refusals(cache, cat_ids, (error,))
            return REFUSED if stopped_by(error) in ("auth", "balance") else PARTIAL


async def _store_answers(cache: JournalCategories, cat_ids: Sequence[int], api: TMAPI) -> int:
    code = OK
    cache.begin(lambda: None)
    async with api.walk(map(_listing_of, cat_ids)) as walk:
        async for page in walk.pages():
            cat_id = page.request.listing.cat_id or 0
            problem = problem_with(cat_id, page)
            if problem is None:
                cache.put(cat_id, page)
            else:
                print_message(f"the answer about category {cat_id} cannot be used: {problem}")
                code = PARTIAL
    return code


def _store_refusals(
    cache: JournalCategories, cat_ids: Sequence[int], errors: Sequence[TMAPIError]
) -> None:
    """Store which categories the API does not know, so that nothing asks for them again."""
    numbers = {_listing_of(cat_id).identity: cat_id for cat_id in cat_ids}
    for failure in errors:
        if isinstance(failure, ParameterError) and failure.listing in numbers:
            cache.put_refusal(numbers[failure.listing], failure.message)


def _listing_of(cat_id: int) -> Listing:
    return describe(CATEGORY_INFO, {"cat_id": cat_id})
