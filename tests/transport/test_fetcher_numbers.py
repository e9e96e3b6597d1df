"""Replies that state the number of another page than the requested one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.sessions import Server, new_state, open_session, page, request, send_reply
from tmapi_async import MixedUpReplyError, Page, TMAPIError

if TYPE_CHECKING:
    from tmapi_async.transport.session import Session


async def outcome(session: Session, number: int = 1) -> Page | TMAPIError:
    """Return the page, or the error raised in its place."""
    try:
        return await session.fetch(request(number), new_state(session))
    except TMAPIError as error:
        return error


@pytest.mark.parametrize(
    ("said", "attempts"),
    [
        ({2: [2], 3: [9, 3]}, {2: 1, 3: 2}),
        ({2: [1, 2]}, {2: 2}),
        ({1: [7, 1]}, {1: 2}),
        ({1: [0], 2: [0]}, {1: 1, 2: 1}),
    ],
)
async def test_another_page_is_not_taken_for_the_requested_one(said, attempts):
    """The page is requested again, the first one too; 0 says nothing."""
    pages = {number: list(numbers) for number, numbers in said.items()}

    async def answer(server: Server, request_head: str, writer: Any) -> None:
        del server
        number = int(re.search(r"page=(\d+)", request_head)[1])  # type: ignore[index]
        await send_reply(writer, page(pages[number].pop(0)))

    async with Server(answer) as server, open_session(base_url=server.url) as session:
        for number, times in attempts.items():
            result = await session.fetch(request(number), new_state(session))
            assert (result.number, result.attempts) == (number, times)


async def test_another_page_for_good_is_a_failure_with_its_number():
    """Another page three times is a failure; the last page in place of a later one is not."""

    async def answer(server: Server, request_head: str, writer: Any) -> None:
        del server
        number = int(re.search(r"page=(\d+)", request_head)[1])  # type: ignore[index]
        body = page(number if number < 3 else 2)
        await send_reply(writer, body.replace(b"true", b"false") if number == 4 else body)

    async with Server(answer) as server, open_session(base_url=server.url) as session:
        assert isinstance(await outcome(session, 2), Page)
        failed = await outcome(session, 3)
        assert isinstance(failed, MixedUpReplyError)
        assert failed.label == "mixed-up"
        assert failed.attempts == 3
        assert "page 2 came in its place" in str(failed)
        past = await outcome(session, 4)
        assert isinstance(past, Page)
        assert not past.has_next_page
