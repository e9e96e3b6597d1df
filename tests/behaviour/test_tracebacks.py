"""Error trackers store the local variables of a traceback: none of the product's has the token."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.sessions import Server, failure, send_reply
from tests.support.tracebacks import product_locals
from tmapi_async import TMAPI, RetryPolicy, TMAPIError, category_items
from tmapi_async.cli import main
from tmapi_async.cli.options.connection_options import ConnectionOptions, SeveralAccountsOptions
from tmapi_async.harvest import Harvest, TokenSource
from tmapi_async.transport.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONCE = RetryPolicy(base=0, max_attempts=1, max_unreachable=1)
LOCAL = "http://127.0.0.1:9"

MISTAKES: dict[str, Any] = {
    "base_url": "localhost",
    "auth": "cookie",
    "concurrency": 0,
    "rate": -1,
    "timeout": 0,
    "lookahead": -1,
    "max_requests": 0,
    "retry": 3,
    "guard": "x",
    "max_body": 0,
    "connector": 5,
    "wait": -1,
    "no_such_option": 1,
}


def refusal(call: Callable[[], object]) -> BaseException:
    """Return the error of a call that must be refused."""
    with pytest.raises((TMAPIError, TypeError, ValueError)) as caught:
        call()
    return caught.value


def leaks(error: BaseException, token: str) -> list[str]:
    """Return the local variables of the product that show the token."""
    shown = product_locals(error)
    return [name for name, text in shown.items() if token in text]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_client_that_refuses_an_option_shows_no_token(canary: Any, name: str) -> None:
    """Each option of the constructor, given wrongly beside a good token."""
    options: dict[str, Any] = {name: MISTAKES[name]}
    assert leaks(refusal(lambda: TMAPI(canary.token, **options)), canary.token) == []


@pytest.mark.parametrize("name", ["base_url", "auth", "concurrency", "rate", "timeout", "retry"])
def test_a_token_in_the_place_of_an_option_is_not_shown(canary: Any, name: str) -> None:
    """A token that was given as another argument by mistake."""
    options: dict[str, Any] = {name: canary.token}
    assert leaks(refusal(lambda: TMAPI("t0ken", **options)), canary.token) == []


@pytest.mark.parametrize("token", ["{} x", "{}\n", "{}é"])
def test_a_token_that_is_refused_is_not_shown(canary: Any, token: str) -> None:
    """A token with white space or letters that no token has."""
    text = token.format(canary.token)
    assert leaks(refusal(lambda: TMAPI(text)), canary.token) == []
    session = refusal(lambda: Session(text))  # type: ignore[call-arg]
    assert leaks(session, canary.token) == []


@pytest.mark.parametrize(
    "variable", ["BASE_URL", "CONCURRENCY", "RATE", "TIMEOUT", "MAX_REQUESTS", "TOKEN"]
)
def test_a_wrong_variable_of_the_environment_shows_no_token(
    canary: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment holds the token, and is in a local variable while it is read."""
    monkeypatch.setenv("TMAPI_TOKEN", canary.token)
    monkeypatch.setenv(f"TMAPI_{variable}", f"{canary.token} and more")
    assert leaks(refusal(TMAPI.from_env), canary.token) == []
    assert leaks(refusal(ConnectionOptions().check), canary.token) == []


def test_options_of_the_command_line_show_no_token(canary: Any, tmp_path: Path) -> None:
    """Options that are refused beside a token, and files of tokens that cannot be used."""
    file = tmp_path / "tokens"
    for text in (f"{canary.token}\n{canary.token}\n", f"{canary.token} x\n", "\n"):
        file.write_text(text, encoding="utf-8")
        options = SeveralAccountsOptions(token_file=file)
        assert leaks(refusal(options.check), canary.token) == []
    file.write_bytes(f"{canary.token}é".encode("latin-1"))
    assert leaks(refusal(ConnectionOptions(token_file=file).check), canary.token) == []
    file.write_text(f"{canary.token}\nanother-t0ken\n", encoding="utf-8")
    assert leaks(refusal(ConnectionOptions(token_file=file).check), canary.token) == []
    for wrong in ({"rate": -1.0}, {"timeout": 0.0}, {"sandbox": True}, {"base_url": ""}):
        one = ConnectionOptions(token=canary.token, **wrong)  # type: ignore[arg-type]
        assert leaks(refusal(one.check), canary.token) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["items", "1", "--rate", "-1"],
        ["items", "no-id"],
        ["items", "1", "--no-such-option"],
        ["harvest", "1"],
        ["status"],
    ],
)
def test_the_end_of_a_command_shows_no_token(
    canary: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit of a command whose arguments hold the token."""
    monkeypatch.setattr(sys, "argv", ["tmapi", *arguments, "--token", canary.token])
    with pytest.raises(SystemExit) as caught:
        main()
    assert leaks(caught.value, canary.token) == []


def test_the_source_of_a_workers_token_shows_no_token(canary: Any, tmp_path: Path) -> None:
    """A token in the place of its source, and a file with too few or damaged tokens."""
    assert leaks(refusal(lambda: TokenSource.parse(canary.token)), canary.token) == []
    file = tmp_path / "tokens"
    source = TokenSource.parse(f"file:{file}")
    for text in (canary.token, f"{canary.token} {canary.token}é"):
        file.write_bytes(text.encode("latin-1"))
        assert leaks(refusal(lambda: source.read(1)), canary.token) == []


def test_a_harvest_that_is_refused_shows_no_token(canary: Any, tmp_path: Path) -> None:
    """Wrong arguments of a harvest and of its cluster, beside good clients."""
    api = TMAPI(canary.token, base_url=LOCAL)
    journal = tmp_path / "j.journal"
    wrong: list[dict[str, Any]] = [
        {"api": [api, canary.token]},
        {"max_pages": 0},
        {"tokens": TokenSource.parse("env:X")},
        {"split": True, "max_pages": 1},
    ]
    for options in wrong:
        made = {"api": api, "journal": journal, "listings": [category_items(1)], **options}
        assert leaks(refusal(lambda made=made: Harvest(**made)), canary.token) == []  # type: ignore[misc]


@pytest.mark.parametrize("auth", ["query", "header"])
@pytest.mark.parametrize("code", [401, 439, 500, None])
async def test_errors_of_walks_and_harvests_show_no_token(
    canary: Any, auth: Any, code: int | None, tmp_path: Path
) -> None:
    """A refused token, a spent balance, a failure and a time-out, of each way to read pages."""

    async def answer(_: Server, __: str, writer: Any) -> None:
        if code is None:
            await asyncio.sleep(60)
        await send_reply(writer, failure(code or 0)[1])

    async with (
        Server(answer) as server,
        TMAPI(canary.token, base_url=server.url, auth=auth, timeout=0.05, retry=ONCE) as api,
    ):
        caught: list[BaseException] = []
        for work in (
            api.category_items(1),
            anext(api.category_items([1, 2]).pages()),
            anext(api.category_items(1).items()),
            anext(aiter(api.categories())),
            api.item_detail(1),
        ):
            try:
                await work
            except Exception as error:  # noqa: BLE001 - every error counts here
                caught.append(error)
        result = await Harvest(api, [category_items(1)], journal=tmp_path / "j.journal").run()
        error = getattr(result, "error", None)
    assert len(caught) == 5
    assert [leaks(one, canary.token) for one in (*caught, *([error] if error else []))] == [
        [] for _ in range(len(caught) + bool(error))
    ]


async def test_a_walk_that_is_cancelled_shows_no_token(canary: Any) -> None:
    """The cancellation passes through every layer, with the request on the wire."""
    arrived = asyncio.Event()

    async def answer(_: Server, __: str, ___: Any) -> None:
        arrived.set()
        await asyncio.sleep(60)

    async with (
        Server(answer) as server,
        TMAPI(canary.token, base_url=server.url) as api,
    ):
        task = asyncio.ensure_future(_first(api))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert leaks(caught.value, canary.token) == []


async def _first(api: TMAPI) -> object:
    return await api.category_items(1)
