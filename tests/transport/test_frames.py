"""Local variables in the tracebacks that callers and logs receive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.sessions import Server, new_state, open_session, request
from tests.support.tracebacks import product_locals
from tmapi_async import TMAPI, RetryPolicy, TMAPIError
from tmapi_async.transport.frames import clear_locals

TOKEN = "canary-5up3r53cr3t-t0k3n"  # noqa: S105 - a token for this test only
ONCE = RetryPolicy(base=0, max_attempts=1, max_unreachable=1)


async def stall(_: Server, __: str, ___: Any) -> None:
    """Never answer."""
    await asyncio.sleep(60)


async def hang_up(_: Server, __: str, writer: Any) -> None:
    """Close the connection without an answer."""
    writer.close()


async def echo(_: Server, head: str, writer: Any) -> None:
    """Send the head of the request back, as an odd reply."""
    body = head.encode()
    writer.write(b"HTTP/1.1 500 Odd\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.usefixtures("transport")  # the test runs on both HTTP transports
@pytest.mark.parametrize("auth", ["query", "header"])
@pytest.mark.parametrize("behave", [stall, hang_up, echo])
async def test_no_frame_of_an_error_holds_the_token(behave: Any, auth: str, caplog: Any) -> None:
    """A failure or a time-out of the caller passes on no local variable with the token."""
    caplog.set_level("DEBUG")
    async with Server(behave) as server:
        options: dict[str, Any] = {"token": TOKEN, "auth": auth, "policy": ONCE}
        async with open_session(base_url=server.url, timeout=30, **options) as session:
            with pytest.raises((TMAPIError, TimeoutError)) as caught:
                async with asyncio.timeout(0.2):
                    await session.fetch(request(), new_state(session))
    shown = product_locals(caught.value)
    assert shown
    assert [name for name, text in shown.items() if TOKEN in text] == []
    assert all(TOKEN not in repr(vars(record)) for record in caplog.records)


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyboardInterrupt()])
async def test_no_frame_of_an_unexpected_error_holds_the_token(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is nobody's plan keeps its lines, but no local variable with the token."""

    async def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("aiohttp.TCPConnector.connect", broken)
    async with open_session(token=TOKEN, policy=ONCE) as session:
        with pytest.raises(type(error)) as caught:
            await session.fetch(request(), new_state(session))
    assert [name for name, text in product_locals(caught.value).items() if TOKEN in text] == []
    steps = [entry.frame.code.name for entry in caught.traceback]
    assert {"send", "exchange"} <= set(steps)


async def test_frames_of_callers_are_left_alone() -> None:
    """A caller's coroutine that still waits goes on, although its frame is in the traceback."""
    caught = asyncio.get_running_loop().create_future()

    async def waits() -> str:
        try:
            int("odd")
        except ValueError as error:
            caught.set_result(error)
            await asyncio.sleep(0.01)
            return "done"

    task = asyncio.create_task(waits())
    clear_locals(await caught)
    assert await task == "done"


def test_an_error_that_is_being_handled_keeps_its_locals() -> None:
    """Only the frames of the function itself are cleared, not those of an error around it."""

    def fails() -> None:
        kept = "kept"
        try:
            raise LookupError(kept)
        finally:
            TMAPI(TOKEN, timeout=0)

    with pytest.raises(TMAPIError, match="timeout") as caught:
        fails()
    assert isinstance(caught.value.__context__, LookupError)
    frames = [entry.frame.f_locals for entry in caught.traceback]
    assert {"kept": "kept"} in frames
    assert [shown for shown in map(repr, frames) if TOKEN in shown] == []
