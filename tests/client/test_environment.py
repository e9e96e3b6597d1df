"""Options that environment variables give to applications and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tmapi_async import TMAPI, InvalidRequestError
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.client.environment import read_environment

if TYPE_CHECKING:
    from pathlib import Path

SET = {
    "TMAPI_TOKEN": "t0ken",
    "TMAPI_BASE_URL": "http://127.0.0.1:8017",
    "TMAPI_CONCURRENCY": "5",
    "TMAPI_RATE": "2.5",
    "TMAPI_TIMEOUT": "7",
    "TMAPI_MAX_REQUESTS": "40",
}


def test_cache_of_the_environment_is_that_of_the_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`TMAPI_CACHE` names it; an option wins; a wrong one is refused in the words of the option."""
    monkeypatch.setenv("TMAPI_CACHE", str(tmp_path / "pages.db"))
    cache = TMAPI.from_env(max_age=60).core.page_sources.cache
    assert cache is not None
    assert cache.max_age == 60
    assert "pages.db" in repr(cache)
    assert TMAPI.from_env(cache=None).core.page_sources.cache is None
    monkeypatch.setenv("TMAPI_CACHE", "ftp://host/")
    with pytest.raises(InvalidRequestError, match="cache must be"):
        TMAPI.from_env()


def figures_of(api: TMAPI) -> tuple[Any, ...]:
    """Return what the variables decide, as the client has it."""
    seen = api.statistics()
    return (
        api.reveal_token(),
        api.base_url,
        seen.controller.ceiling,
        seen.rate,
        api.settings.timeout,
        seen.budget_left,
    )


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SET.items():
        monkeypatch.setenv(name, value)


def test_applications_and_commands_read_the_same_variables() -> None:
    """A service and a job on one machine are set up in one place."""
    expected = ("t0ken", "http://127.0.0.1:8017", 5, 2.5, 7, 40)
    assert figures_of(TMAPI.from_env()) == expected
    assert figures_of(ConnectionOptions().clients()[0]) == expected


def test_an_option_wins_over_its_variable() -> None:
    """What is said for one client or command counts more than the environment."""
    options: dict[str, Any] = {"rate": 9.0, "timeout": 1.0, "max_requests": 3}
    expected = ("t0ken", "http://127.0.0.1:1", 6, 9, 1, 3)
    base_url = "http://127.0.0.1:1"
    assert figures_of(TMAPI.from_env(base_url=base_url, concurrency=6, **options)) == expected
    connection = ConnectionOptions(base_url=base_url, concurrency="6", **options)
    assert figures_of(connection.clients()[0]) == expected


def test_variables_that_are_empty_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts and compose files set empty variables for what nobody has chosen."""
    for name in SET:
        monkeypatch.setenv(name, "t" if name == "TMAPI_TOKEN" else " " if "RATE" in name else "")
    expected = ("t", "https://api.tmapi.top", None, None, 60, None)
    assert figures_of(TMAPI.from_env()) == expected
    assert figures_of(ConnectionOptions().clients()[0]) == expected


def test_auto_is_a_concurrency(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word of the option is a word of its variable, too."""
    monkeypatch.setenv("TMAPI_CONCURRENCY", "auto")
    assert TMAPI.from_env().statistics().controller.ceiling is None


@pytest.mark.parametrize("make", [TMAPI.from_env, lambda: ConnectionOptions().check()])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TMAPI_CONCURRENCY", "many"),
        ("TMAPI_CONCURRENCY", "0"),
        ("TMAPI_RATE", "0"),
        ("TMAPI_RATE", "nan"),
        ("TMAPI_RATE", "fast"),
        ("TMAPI_TIMEOUT", "-1"),
        ("TMAPI_TIMEOUT", "inf"),
        ("TMAPI_MAX_REQUESTS", "1.5"),
        ("TMAPI_MAX_REQUESTS", "9" * 5000),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    make: Any, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable, which may have been set long ago."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidRequestError, match=f"environment variable {name} must be"):
        make()


def test_a_file_of_variables_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A `.env` file belongs to whoever loads it."""
    (tmp_path / ".env").write_text("TMAPI_RATE=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMAPI_RATE")
    assert "rate" not in read_environment()
